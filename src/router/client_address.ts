/** Where a request comes from, as far as it can be believed. */
import { BlockList, isIP } from 'node:net';

export type ClientAddress = (socket: string | undefined, forwardedFor: string | undefined) => string;

/**
 * The address at the other end of the connection; behind a proxy that is trusted, the last in X-Forwarded-For that is no
 * trusted proxy's. Whatever stands before that one anybody can have written.
 *
 * @param trusted addresses and ranges.
 */
export function createClientAddress(trusted: readonly string[]): ClientAddress {
  const proxies = addressList(trusted);
  return (socket, forwardedFor) => {
    let address = plainAddress(socket ?? '');
    if (trusted.length === 0 || forwardedFor === undefined) return address;
    const hops = forwardedFor.split(',');
    for (let index = hops.length - 1; index >= 0 && inList(proxies, address); index--) {
      const hop = plainAddress((hops[index] ?? '').trim());
      if (isIP(hop) === 0) break;
      address = hop;
    }
    return address;
  };
}

/** @param entries addresses and ranges (CIDR) of either family. */
export function addressList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

export function inList(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** An IPv4 address as such, however the socket's family has it written (::ffff:192.0.2.1). */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
