// Writes a module into its scratch folder that imports others' files by name, and imports that module.
import { atEachTarget } from '../tries.ts';

const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
let made = 0;

async function through(code: string, extension = 'js') {
  const path = `${scratch}/made${++made}.${extension}`;
  await Deno.writeTextFile(path, code);
  return (await import(`file://${path}`)).default;
}

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const name = JSON.stringify(`file://${path}`);
    return await Promise.any([
      through(`import x from ${name} with { type: 'text' }; export default x;`),
      through(`import x from ${name} with { type: 'json' }; export default x;`),
      through(`import * as x from ${name}; export default String(x.default);`),
      through(`export default (await import(${name}, { with: { type: 'text' } })).default;`),
      through(`export { default } from ${name};`),
      through(`module.exports = { default: require(${JSON.stringify(path)}) };`, 'cjs'),
      through(
        `module.exports = { default: require('fs').readFileSync(${JSON.stringify(path)}, 'utf8') };`,
        'cjs',
      ),
    ]);
  });
