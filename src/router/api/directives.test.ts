import { expect, it } from 'vitest';
import { readDirectives } from './directives.js';

it('reads every directive, under both prefixes', () => {
  const { settings, errors } = readDirectives(`
// @hearth:allow-unauthenticated
// @hearth:timeout 60
//@hearth:memory 256
  // @hearth:cron */5 * * * *
// @fluxbase:route /a/:id
// @hearth:route /b
// @hearth:cors-origins https://a.example, https://b.example
// @hearth:rate-limit 100/min
/**
 * @fluxbase:disable-execution-logs
 */
export default () => "// @hearth:timeout 1";
`);
  expect(errors).toEqual([]);
  expect(settings).toEqual({
    allow_unauthenticated: true,
    timeout_seconds: 60,
    memory_limit_mb: 256,
    cron_schedule: '*/5 * * * *',
    routes: ['/a/:id', '/b'],
    cors: { origins: ['https://a.example', 'https://b.example'] },
    rate_limit: '100/min',
    disable_execution_logs: true,
  });
});

it('reads a block comment on one line', () => {
  expect(readDirectives('/* @hearth:timeout 5 */ /** @hearth:x */').settings).toEqual({ timeout_seconds: 5 });
  expect(readDirectives('/** @hearth:allow-unauthenticated*/').settings).toEqual({
    allow_unauthenticated: true,
  });
});

it.each([
  ['@hearth:nope', 'is not a known directive'],
  ['@hearth:', 'is not a known directive'],
  ['@hearth:timeout', 'needs a whole number'],
  ['@hearth:timeout 60s', 'needs a whole number'],
  ['@hearth:timeout 999', '<=300'],
  ['@hearth:memory 1', '>=32'],
  ['@hearth:cron nope', 'five fields'],
  ['@hearth:route users', 'must start with "/"'],
  ['@hearth:route /api/v1/x', 'belongs to the platform'],
  ['@hearth:cors-origins', 'needs a value'],
  ['@hearth:cors-origins example.com', 'must be an origin'],
  ['@hearth:rate-limit many', 'must be a number'],
  ['@hearth:allow-unauthenticated yes', 'takes no value'],
])('says where %s is wrong', (text, message) => {
  const { settings, errors } = readDirectives(`const a = 1;\n  // ${text}\n`);
  expect(settings).toEqual({});
  expect(errors).toMatchObject([{ field: 'code', line: 2, column: 6 }]);
  expect(errors[0]?.message).toContain(message);
});
