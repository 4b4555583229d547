// Listens on the port that the platform serves on with the option that lets two share one.
import { tries } from '../tries.ts';

export default () => {
  const { hostname, port } = new URL(Deno.env.get('HEARTH_URL') ?? '');
  return tries({
    same: () => Deno.listen({ hostname, port: Number(port), reusePort: true } as Deno.TcpListenOptions).addr,
    everywhere: () => Deno.listen({ port: Number(port), reusePort: true } as Deno.TcpListenOptions).addr,
  });
};
