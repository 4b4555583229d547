// Changes its module, the platform's program and the binary that runs it, while it loads and later.
import { tries } from '../tries.ts';

const own = new URL(import.meta.url).pathname;
const ways = {
  own: () => Deno.writeTextFile(own, 'export default () => "changed"'),
  own_moved: () => Deno.rename(own, `${own}.old`),
  own_mode: () => Deno.chmod(own, 0o777),
  fn: () => Deno.writeTextFile('/fn/code/main.js', 'export default () => "changed"'),
  beside: () => Deno.writeTextFile('/fn/code/other.js', 'x'),
  // Opened and not written to: a machine on which this works shall stay as it is.
  runner: () => Deno.open(new URL(Deno.mainModule).pathname, { write: true }),
  deno: () => Deno.open(Deno.execPath(), { write: true }),
};
const whileLoading = await tries(ways);
export default async () => {
  const later = await tries(ways);
  const named = (outcomes: Record<string, string>, when: string) =>
    Object.entries(outcomes).map(([way, outcome]) => [`${way}_${when}`, outcome]);
  return Object.fromEntries([...named(whileLoading, 'while_loading'), ...named(later, 'later')]);
};
