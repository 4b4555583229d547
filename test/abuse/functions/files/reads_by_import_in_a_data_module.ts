// Imports modules made of text (data: and blob: URLs) that import others' files by name.
import { atEachTarget } from '../tries.ts';

const modules = (code: string) => [
  `data:text/javascript,${encodeURIComponent(code)}`,
  URL.createObjectURL(new Blob([code], { type: 'text/javascript' })),
];

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const name = JSON.stringify(`file://${path}`);
    const codes = [
      `import x from ${name} with { type: 'text' }; export default x;`,
      `import x from ${name} with { type: 'json' }; export default x;`,
      `import * as x from ${name}; export default String(x.default);`,
      `export default (await import(${name}, { with: { type: 'text' } })).default;`,
    ];
    return await Promise.any(codes.flatMap(modules).map(async (url) => (await import(url)).default));
  });
