// Reads files as JSON modules; what is no JSON may still show in the error.
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => (await import(`file://${path}`, { with: { type: 'json' } })).default);
