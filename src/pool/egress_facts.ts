/** What the egress decisions need to know of this machine: its addresses, and those behind the names of endpoints. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { EgressFacts, Endpoint } from './egress.js';

/** `endpoints` by name also count at each address that the name has now. */
export async function gatherEgressFacts(
  given: Pick<EgressFacts, 'deny' | 'platform' | 'endpoints'>,
): Promise<EgressFacts> {
  const interfaces = Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).map(({ address }) => address),
  );
  const [[platform = given.platform], endpoints] = await Promise.all([
    addressesOf(given.platform),
    Promise.all(given.endpoints.map(withAddresses)),
  ]);
  return { deny: given.deny, platform, endpoints: endpoints.flat(), interfaces };
}

async function withAddresses(endpoint: Endpoint): Promise<Endpoint[]> {
  const addresses = await addressesOf(endpoint.host);
  return [endpoint, ...addresses.map((host) => ({ ...endpoint, host }))];
}

/** None for a name that does not resolve now: it is then denied by name alone. */
async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}
