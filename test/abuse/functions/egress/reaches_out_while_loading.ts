// Reaches for a denied address while its module loads.
import { tries } from '../tries.ts';

const address = new URL('http://@ADDRESS@/');
const found = await tries({
  fetch: async () => await (await fetch(address)).text(),
  connect: async () =>
    `${(await Deno.connect({ hostname: address.hostname, port: Number(address.port) })).localAddr.transport}`,
});
export default () => found;
