import { describe, expect, it } from 'vitest';
import { readTarget } from './target.js';

describe('readTarget', () => {
  it.each([
    ['/functions/v1/hello', { kind: 'function', tenant: null, name: 'hello' }],
    ['/functions/v1/hello/a/b?c=d', { kind: 'function', tenant: null, name: 'hello' }],
    ['/functions/v1/hello?x=/y', { kind: 'function', tenant: null, name: 'hello' }],
    ['/t/acme/functions/v1/hello/x', { kind: 'function', tenant: 'acme', name: 'hello' }],
    ['/api/v1/functions/hello/invoke', { kind: 'invoke', tenant: null, name: 'hello' }],
    ['/t/acme/api/v1/functions/hello/invoke?x=1', { kind: 'invoke', tenant: 'acme', name: 'hello' }],
    ['/api/v1/functions/hello', { kind: 'other', tenant: null, path: '/api/v1/functions/hello' }],
    ['/t/acme/users/1?q=2', { kind: 'other', tenant: 'acme', path: '/users/1?q=2' }],
    ['http://example.com/functions/v1/hello', { kind: 'function', tenant: null, name: 'hello' }],
    ['/t/acme', { kind: 'other', tenant: 'acme', path: '/' }],
  ])('reads %s', (url, expected) => {
    expect(readTarget(url)).toMatchObject(expected);
  });

  it('passes the whole path on to the function, undecoded', () => {
    expect(readTarget('/functions/v1/hello/%C3%BC%20x?y=%2F')).toMatchObject({
      path: '/functions/v1/hello/%C3%BC%20x?y=%2F',
    });
  });

  it.each([
    '/functions/v1/../api/v1/functions',
    '/functions/v1/hello/..',
    '/functions/v1/hello/%2e%2e/x',
    '/functions/v1/hello/.%2E/x',
    '/functions/v1/hello/./x',
    '/functions/v1/hello%00',
    '/functions/v1/hello\\..\\x',
    '/functions/v1/%zz',
    '/functions/v1/%ff',
    '*',
    'ftp://example.com/x',
  ])('refuses %s', (url) => {
    expect(readTarget(url).kind).toBe('invalid');
  });

  it('takes dots that are no segment for what they are', () => {
    expect(readTarget('/functions/v1/hello/a..b/.well-known/...')).toMatchObject({ kind: 'function' });
  });
});
