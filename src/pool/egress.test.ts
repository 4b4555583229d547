import { describe, expect, it } from 'vitest';
import { deniedAddresses, type EgressFacts, platformHost, without } from './egress.js';

const facts = (given: Partial<EgressFacts>): EgressFacts => ({
  deny: [],
  platform: '127.0.0.1',
  endpoints: [],
  interfaces: [],
  ...given,
});

/** Whether Deno would refuse an IPv4 address at a port, by the entries as they are written. */
function denies(entries: string[], address: string, port: number): boolean {
  const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return entries
    .filter((entry) => !entry.startsWith('['))
    .some((entry) => {
      const [range = '', only] = entry.split(':');
      if (only !== undefined && Number(only) !== port) return false;
      const [first = '', bits = '32'] = range.split('/');
      const size = 2 ** (32 - Number(bits));
      return number(address) >= number(first) && number(address) < number(first) + size;
    });
}

describe('what functions may not reach', () => {
  it('is always: this host by 0.0.0.0, link-local addresses and metadata services', () => {
    const entries = deniedAddresses(facts({}));
    for (const address of ['0.0.0.0', '0.1.2.3', '169.254.169.254', '169.254.0.1', '100.100.100.200'])
      expect(denies(entries, address, 80), address).toBe(true);
    expect(entries).toEqual(expect.arrayContaining(['[::]', '[fd00:ec2::254]']));
    for (const address of ['127.0.0.1', '10.0.0.1', '203.0.113.1'])
      expect(denies(entries, address, 80), address).toBe(false);
  });

  it('is every private and loopback address with `private`, but for the platform’s own', () => {
    const entries = deniedAddresses(facts({ deny: ['private'], platform: '127.72.69.65' }));
    for (const address of ['127.0.0.1', '127.72.69.64', '127.72.69.66', '127.255.255.255', '10.1.2.3'])
      expect(denies(entries, address, 80), address).toBe(true);
    for (const address of ['172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '224.0.0.251'])
      expect(denies(entries, address, 80), address).toBe(true);
    expect(entries).toContain('[::1]');
    for (const address of ['127.72.69.65', '172.32.0.1', '172.15.255.255', '203.0.113.1', '223.255.255.255'])
      expect(denies(entries, address, 80), address).toBe(false);
  });

  it('is what the setting lists, ranges and addresses alike', () => {
    const entries = deniedAddresses(facts({ deny: ['203.0.113.9/24', '198.51.100.7', '2001:db8::1'] }));
    expect(denies(entries, '203.0.113.255', 443)).toBe(true);
    expect(denies(entries, '203.0.114.0', 443)).toBe(false);
    expect(denies(entries, '198.51.100.7', 443)).toBe(true);
    expect(entries).toContain('[2001:db8::1]');
  });

  it('keeps the platform’s address even where it lies in a range that is always denied', () => {
    const entries = deniedAddresses(facts({ platform: '169.254.7.7' }));
    expect(denies(entries, '169.254.7.7', 80)).toBe(false);
    expect(denies(entries, '169.254.7.6', 80)).toBe(true);
    expect(deniedAddresses(facts({ deny: ['private'], platform: '::1' }))).not.toContain('[::1]');
  });

  it('is an endpoint of the platform at its port, by every address of this machine if it may be bound to them', () => {
    const interfaces = ['127.0.0.1', '10.0.0.5', '2001:db8::5', '::1'];
    const entries = deniedAddresses(
      facts({
        endpoints: [
          { host: '0.0.0.0', port: 9464 },
          { host: 'db.example.com', port: 5432 },
          { host: '203.0.113.8', port: 5433 },
        ],
        interfaces,
      }),
    );
    for (const address of ['127.0.0.1', '127.9.9.9', '10.0.0.5']) {
      expect(denies(entries, address, 9464), address).toBe(true);
      expect(denies(entries, address, 8080), address).toBe(false);
    }
    expect(entries).toEqual(
      expect.arrayContaining(['[::1]:9464', '[2001:db8::5]:9464', 'db.example.com:5432', '203.0.113.8:5433']),
    );
    expect(denies(entries, '10.0.0.5', 5433)).toBe(false);
  });

  it('is an endpoint on loopback by every loopback address: it may be bound to them all', () => {
    const entries = deniedAddresses(facts({ endpoints: [{ host: '127.0.0.1', port: 5432 }] }));
    expect(denies(entries, '127.0.0.2', 5432)).toBe(true);
    expect(denies(entries, '127.0.0.2', 5433)).toBe(false);
  });
});

describe('a range without an address', () => {
  it('is the ranges around it, which hold everything else once', () => {
    const size = (entry: string) => 2 ** (32 - Number(entry.split('/')[1]));
    const left = without('127.0.0.0/8', '127.0.0.1');
    expect(left.reduce((sum, entry) => sum + size(entry), 0)).toBe(2 ** 24 - 1);
    expect(new Set(left).size).toBe(24);
    expect(without('10.0.0.0/31', '10.0.0.1')).toEqual(['10.0.0.0/32']);
    expect(without('10.0.0.1', '10.0.0.1')).toEqual([]);
    expect(without('0.0.0.0/0', '255.255.255.255')).toHaveLength(32);
  });

  it('is the range itself where it does not hold the address, as Deno writes it', () => {
    expect(without('10.1.2.3/8', '11.0.0.1')).toEqual(['10.0.0.0/8']);
    expect(without('[::1]', '127.0.0.1')).toEqual(['[::1]']);
  });
});

describe('where functions reach the node', () => {
  it('is where it listens, and on every address a loopback one that nothing else is bound to', () => {
    expect(platformHost('10.0.0.5', 'linux')).toBe('10.0.0.5');
    expect(platformHost('::1', 'linux')).toBe('::1');
    expect(platformHost('0.0.0.0', 'linux')).toBe('127.72.69.65');
    expect(platformHost('::', 'linux')).toBe('127.72.69.65');
    expect(platformHost('0.0.0.0', 'darwin')).toBe('127.0.0.1');
  });
});
