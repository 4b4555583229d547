// Fetches file: URLs.
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => await (await fetch(`file://${path}`)).text());
