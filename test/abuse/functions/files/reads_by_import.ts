// Imports files as JavaScript: another tenant's module runs, and a syntax error may show a line.
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const module = await import(`file://${path}`);
    return `${Object.keys(module)} ${module.default}`;
  });
