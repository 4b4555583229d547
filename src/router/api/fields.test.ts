import { expect, it } from 'vitest';
import { corsField, cronField, rateLimitField, routeField, toCors } from './fields.js';
import { problemOf } from './validate.js';

it.each([
  '/',
  '/*',
  '/users/:id',
  '/api/users/:id(\\d+)?',
  '/test',
  '/api/v2/x',
  '/:a/v1',
  '/consoles',
  '/é',
  '/healthz2',
])('lets a route be %s', (route) => expect(problemOf(routeField, route)).toBeNull());

it.each([
  ...[
    'users',
    '',
    '/a(',
    '/a?b',
    '/api/v1',
    '/api/v1/x',
    '/api/v1/:a',
    '/functions/v1/*',
    '/t/:x',
    '/console',
    '/healthz',
    '/readyz',
  ],
  ...[
    '/{api}/v1/x',
    '/(api)/v1',
    '/a\\pi/v1',
    '/%61pi/v1',
    '/x/../api/v1',
    '/{api}?/v1/x',
    '/(t)/a',
    '//t/a',
    `/${'a'.repeat(256)}`,
  ],
])('does not let a route be %s', (route) => expect(problemOf(routeField, route)).not.toBeNull());

it.each(['* * * * *', '*/5 * * * * *', '@daily', '0 9 * * MON-FRI'])('lets a schedule be %s', (schedule) =>
  expect(problemOf(cronField, schedule)).toBeNull(),
);

it.each([
  '',
  'nope',
  '60 * * * *',
  '* * * *',
  '2027-01-01T00:00:00',
  '0 0 30 2 *',
  '0 0 * * * * 2030',
  '@often',
])('does not let a schedule be "%s"', (schedule) => expect(problemOf(cronField, schedule)).not.toBeNull());

it('writes the shorthand of cors out', () => {
  expect(toCors('*')).toEqual({ origins: ['*'] });
  expect(toCors('https://a.example,http://localhost:3000')).toEqual({
    origins: ['https://a.example', 'http://localhost:3000'],
  });
});

it.each<[unknown, string]>([
  ['', 'Too small'],
  ['*, https://a.example', 'must stand alone'],
  ['https://a.example/', 'must be an origin'],
  ['null', 'must be an origin'],
  [{ origins: ['*'], credentials: true }, 'credentials need named origins'],
  [{ origins: ['*'], extra: 1 }, 'is not a known field'],
  [{ origins: ['*'], methods: ['GET, POST'] }, 'must be a token'],
  [{ origins: [] }, 'Too small'],
  [7, 'Invalid input'],
])('does not let cors be %j', (cors, message) => expect(problemOf(corsField, cors)).toContain(message));

it.each(['1/s', '100/min', '5/hour', '9/day'])('lets a rate limit be %s', (limit) =>
  expect(problemOf(rateLimitField, limit)).toBeNull(),
);
it.each(['0/s', '1/week', 'x', '1 / s', '-1/s'])('does not let a rate limit be %s', (limit) =>
  expect(problemOf(rateLimitField, limit)).not.toBeNull(),
);
