// Listens on the port that the platform serves on.
import net from 'node:net';
import { tries } from '../tries.ts';

export default () => {
  const { hostname, port } = new URL(Deno.env.get('HEARTH_URL') ?? '');
  const through = (options: net.ListenOptions) =>
    new Promise((resolve, reject) => {
      const server = net.createServer();
      server.on('error', reject);
      server.listen(options, () => resolve(server.address()));
    });
  return tries({
    plain: () => Deno.listen({ hostname, port: Number(port) }).addr,
    node: () => through({ host: hostname, port: Number(port) }),
    node_shared: () => through({ host: hostname, port: Number(port), reusePort: true }),
  });
};
