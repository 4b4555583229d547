/** Which addresses functions may not reach: pure decisions, as the values of Deno's `--deny-net`. */
import { isIPv4, isIPv6 } from 'node:net';
import { isLoopback } from '../config.js';

/** What listens for the platform alone, such as the metrics page or PostgreSQL. */
export interface Endpoint {
  /** An address, `0.0.0.0` or `::` for every one of this machine, or a name. */
  host: string;
  port: number;
}

export interface EgressFacts {
  /** HEARTH_EGRESS_DENY: `private`, addresses, and ranges of IPv4 addresses (CIDR). */
  deny: readonly string[];
  /** The address at which functions reach this node (HEARTH_URL): never denied as a whole. */
  platform: string;
  /** Denied always, at their port. */
  endpoints: readonly Endpoint[];
  /** The addresses of this machine's network interfaces. */
  interfaces: readonly string[];
}

/**
 * Where a function reaches a node that listens on every address, on Linux: a loopback address that nothing else is
 * bound to. What listens on 127.0.0.1 alone stays out of reach behind it.
 */
const PLATFORM_LOOPBACK = '127.72.69.65';

/** Denied whatever the settings say: this host, link-local, and clouds' metadata services. */
const ALWAYS = [
  '0.0.0.0/8', // RFC 1122: as a destination, this host
  '169.254.0.0/16', // RFC 3927: link-local; metadata at AWS, Azure, Google Cloud and most others
  '100.100.100.200/32', // metadata at Alibaba Cloud
  '168.63.129.16/32', // Azure's platform channel
  '192.0.0.192/32', // metadata at Oracle Cloud
  '[::]',
  '[fd00:ec2::254]', // metadata at AWS
  '[fd20:ce::254]', // metadata at Google Cloud
  '[fe80::a9fe:a9fe]', // metadata at OpenStack
];

/** `private`: loopback, and what IANA's special-purpose registry (RFC 6890) does not call globally reachable. */
const PRIVATE = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3', // multicast, reserved and broadcast
  '[::1]',
];

/** The host of HEARTH_URL for a listener on `host` (an address, or a name). */
export function platformHost(host: string, system: NodeJS.Platform): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  return system === 'linux' ? PLATFORM_LOOPBACK : '127.0.0.1';
}

/** The values of `--deny-net`, which wins over `--allow-net`. */
export function deniedAddresses(facts: EgressFacts): string[] {
  const asked = facts.deny.flatMap((entry) => (entry === 'private' ? PRIVATE : [bracketed(entry)]));
  const ranges = [...ALWAYS, ...asked].flatMap((entry) => without(entry, facts.platform));
  const ports = facts.endpoints.flatMap((endpoint) => endpointAddresses(endpoint, facts.interfaces));
  return [...new Set([...ranges, ...ports])];
}

/** Everything by which an endpoint may be reached. One on this machine may be bound to more than its own address. */
function endpointAddresses({ host, port }: Endpoint, interfaces: readonly string[]): string[] {
  const everywhere = host === '0.0.0.0' || host === '::';
  const local = everywhere || isLoopback(host) || interfaces.includes(host);
  const hosts = local ? ['127.0.0.0/8', '::1', ...interfaces.filter((each) => !isLoopback(each))] : [];
  if (!everywhere) hosts.push(host);
  return [...new Set(hosts)].map((each) => `${bracketed(each)}:${port}`);
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/** An entry without one address: a range of IPv4 addresses falls into those around it. */
export function without(entry: string, address: string): string[] {
  const range = parseRange(entry);
  if (range === null) return entry === bracketed(address) ? [] : [entry];
  if (!isIPv4(address) || !holds(range, toNumber(address))) return [show(range)];
  return pieces(range, toNumber(address)).map(show);
}

interface Range {
  /** The first address, as an unsigned 32-bit number. */
  first: number;
  /** Bits that all of them share, 0 to 32. */
  bits: number;
}

function pieces(range: Range, address: number): Range[] {
  if (range.bits === 32) return [];
  const bits = range.bits + 1;
  const low = { first: range.first, bits };
  const high = { first: range.first + size(low), bits };
  return holds(low, address) ? [...pieces(low, address), high] : [low, ...pieces(high, address)];
}

function size({ bits }: Range): number {
  return 2 ** (32 - bits);
}

function holds(range: Range, address: number): boolean {
  return address >= range.first && address < range.first + size(range);
}

/** IPv4 alone: null for what is neither an address nor a range of it. */
function parseRange(text: string): Range | null {
  const [address = '', bitsText = '32', ...rest] = text.split('/');
  const bits = Number(bitsText);
  if (rest.length > 0 || !isIPv4(address) || !(bits >= 0 && bits <= 32)) return null;
  const given = toNumber(address);
  return { first: given - (given % size({ first: 0, bits })), bits };
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function show({ first, bits }: Range): string {
  const parts = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
  return `${parts.join('.')}/${bits}`;
}
