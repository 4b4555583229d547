// Runs files as CommonJS modules, with a loader of its own that looks at the text.
import Module, { createRequire } from 'node:module';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, (path) => {
    let source = '';
    Module.prototype._compile = (text: string) => {
      source = text;
    };
    createRequire('file:///tmp/x.js')(path);
    if (source === '') throw new Error('no source');
    return source;
  });
