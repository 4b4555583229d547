// Tries to reach one TCP and UDP port by every way that Deno has; answers what came of each.
import dgram from 'node:dgram';
import dns from 'node:dns';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

const emitted = (emitter, success) =>
  new Promise((resolve, reject) => {
    emitter.once(success, resolve);
    emitter.once('error', reject);
  });

/** Resolves when the socket is open, or whatever it was sent to has answered; rejects when it was refused. */
const ways = ({ address, name, port, redirect, own }) => {
  const mapped = `[::ffff:${address}]`;
  const [a, b, c, d] = address.split('.').map(Number);
  const decimal = ((a * 256 + b) * 256 + c) * 256 + d;
  const octal = [a, b, c, d].map((part) => `0${part.toString(8)}`).join('.');
  const at = (host) => `http://${host}:${port}/`;
  return {
    'fetch by address': () => fetch(at(address)),
    'fetch by name': () => fetch(at(name)),
    'fetch by decimal': () => fetch(at(decimal)),
    'fetch by octal': () => fetch(at(octal)),
    'fetch by hexadecimal': () => fetch(at(`0x${decimal.toString(16)}`)),
    'fetch by its short form': () => fetch(at(`${a}.${d}`)),
    'fetch by IPv4-mapped IPv6': () => fetch(at(mapped)),
    'fetch by 0.0.0.0': () => fetch(at('0.0.0.0')),
    'fetch by [::]': () => fetch(at('[::]')),
    'fetch by a redirect': () => fetch(redirect),
    'a client with a proxy': () =>
      fetch('http://127.0.0.6:1/', { client: Deno.createHttpClient({ proxy: { url: at(address) } }) }),
    'a proxy by name': () =>
      fetch('http://127.0.0.6:1/', { client: Deno.createHttpClient({ proxy: { url: at(name) } }) }),
    'a proxy of the environment': () => {
      Deno.env.set('HTTP_PROXY', at(address));
      return fetch('http://127.0.0.6:1/', { client: Deno.createHttpClient({}) });
    },
    'Deno.connect': () => Deno.connect({ hostname: address, port }),
    'Deno.connect by name': () => Deno.connect({ hostname: name, port }),
    'Deno.connect by IPv4-mapped IPv6': () => Deno.connect({ hostname: `::ffff:${address}`, port }),
    'Deno.connect by 0.0.0.0': () => Deno.connect({ hostname: '0.0.0.0', port }),
    'Deno.connectTls': () => Deno.connectTls({ hostname: address, port }),
    'Deno.resolveDns': () => Deno.resolveDns('example.com', 'A', { nameServer: { ipAddr: address, port } }),
    WebSocket: () =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`ws://${address}:${port}/`);
        socket.onopen = resolve;
        socket.onerror = (event) => reject(event.error ?? new Error(event.message));
      }),
    'WebSocket by name': () =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`ws://${name}:${port}/`);
        socket.onopen = resolve;
        socket.onerror = (event) => reject(event.error ?? new Error(event.message));
      }),
    'node:net': () => emitted(net.connect(port, address), 'connect'),
    'node:net by name': () => emitted(net.connect(port, name), 'connect'),
    'node:net by IPv4-mapped IPv6': () => emitted(net.connect(port, `::ffff:${address}`), 'connect'),
    'node:tls': () => emitted(tls.connect(port, address), 'secureConnect'),
    'node:http': () => emitted(http.get(at(address)), 'response'),
    'node:http by name': () => emitted(http.get(at(name)), 'response'),
    'node:http2': () => emitted(http2.connect(at(address)), 'connect'),
    'node:dns': () => {
      const resolver = new dns.promises.Resolver();
      resolver.setServers([`${address}:${port}`]);
      return resolver.resolve4('example.com');
    },
    'node:dgram': async () => {
      const socket = dgram.createSocket('udp4');
      // Unbound, it would bind itself to 0.0.0.0, which is refused whatever it then sends to.
      socket.bind({ address: own });
      await emitted(socket, 'listening');
      await new Promise((resolve, reject) => {
        socket.once('error', reject);
        socket.send('knock', port, address, (error) => (error ? reject(error) : resolve()));
      });
    },
    'an import': () => import(at(address)),
  };
};

export default async (request) => {
  const outcomes = {};
  for (const [way, attempt] of Object.entries(ways(await request.json()))) {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error('no answer')), 2_000));
    try {
      await Promise.race([Promise.resolve(attempt()), late]);
      outcomes[way] = 'open';
    } catch (thrown) {
      outcomes[way] = String(thrown?.cause?.message ?? thrown?.message ?? thrown);
    }
  }
  return outcomes;
};
