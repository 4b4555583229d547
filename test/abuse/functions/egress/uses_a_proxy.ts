// Names the denied address as the proxy for an address that is allowed, and the environment's proxies too.
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { denied, allowed } = await request.json();
  return await tries({
    http: async () =>
      await (
        await fetch(allowed, { client: Deno.createHttpClient({ proxy: { url: denied } }) } as RequestInit)
      ).text(),
    tcp: async () => {
      const { hostname, port } = new URL(denied);
      const proxy = { transport: 'tcp' as const, hostname, port: Number(port) };
      return await (await fetch(allowed, { client: Deno.createHttpClient({ proxy }) } as RequestInit)).text();
    },
    socks: async () => {
      const proxy = { url: denied.replace('http', 'socks5') };
      return await (await fetch(allowed, { client: Deno.createHttpClient({ proxy }) } as RequestInit)).text();
    },
    environment: async () => {
      for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']) Deno.env.set(name, denied);
      const text = await (await fetch(allowed, { client: Deno.createHttpClient({}) } as RequestInit)).text();
      if (text !== 'denied') throw new Error(`it was not used: ${text}`);
      return text;
    },
  });
};
