// Reads files as JSON through CommonJS.
import { createRequire } from 'node:module';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, (path) => {
    const require = createRequire('file:///tmp/x.js');
    require.extensions['.js'] = require.extensions['.json'];
    require.extensions[''] = require.extensions['.json'];
    return require(path);
  });
