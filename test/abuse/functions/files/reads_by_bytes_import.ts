// Reads files as modules of bytes.
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(
    request,
    async (path) => (await import(`file://${path}`, { with: { type: 'bytes' } })).default,
  );
