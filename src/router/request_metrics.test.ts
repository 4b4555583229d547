import { describe, expect, it } from 'vitest';
import { routeOf } from './request_metrics.js';

describe('the route that a request is counted under', () => {
  it.each([
    ['/functions/v1/hello', '/functions/v1/:name'],
    ['/functions/v1/hello/more?x=/api/v1/', '/functions/v1/:name'],
    ['/t/acme/functions/v1/hello', '/functions/v1/:name'],
    ['/api/v1/functions/hello/invoke', '/api/v1/functions/:name/invoke'],
    ['/t/acme/api/v1/functions/hello/invoke?a=b', '/api/v1/functions/:name/invoke'],
    ['/api/v1/functions/hello', '/api/v1/*'],
    ['/api/v1/functions/a/b/invoke', '/api/v1/*'],
    ['/console/index.html', '/console'],
    ['/readyz', '/readyz'],
    ['/healthz', '/healthz'],
    ['/notes/12?secret=1', '/*'],
    ['/t/acme', '/*'],
    ['http://elsewhere/functions/v1/hello', '/*'],
    ['*', '/*'],
    ['', '/*'],
  ])('of %s is %s', (url, route) => {
    expect(routeOf(url)).toBe(route);
  });
});
