import { expect, it } from 'vitest';
import { createClientAddress } from './client_address.js';

const TRUSTED = ['10.0.0.0/8', '::1', '192.0.2.7'];

it.each<[string[], string | undefined, string | undefined, string]>([
  [[], '203.0.113.9', undefined, '203.0.113.9'],
  [[], '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  [[], '::ffff:203.0.113.9', undefined, '203.0.113.9'],
  [TRUSTED, '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  [TRUSTED, '10.1.2.3', '198.51.100.1', '198.51.100.1'],
  [TRUSTED, '::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
  [TRUSTED, '::1', '2001:db8::5', '2001:db8::5'],
  // Whatever the client wrote stands before what the proxies did.
  [TRUSTED, '10.1.2.3', '6.6.6.6, 198.51.100.1, 192.0.2.7', '198.51.100.1'],
  [TRUSTED, '10.1.2.3', '10.9.9.9, 10.8.8.8', '10.9.9.9'],
  [TRUSTED, '10.1.2.3', 'unknown, 192.0.2.7', '192.0.2.7'],
  [TRUSTED, '10.1.2.3', '', '10.1.2.3'],
  [TRUSTED, undefined, undefined, ''],
])('with %j trusted, %s and X-Forwarded-For "%s" are %s', (trusted, socket, forwardedFor, address) => {
  expect(createClientAddress(trusted)(socket, forwardedFor)).toBe(address);
});
