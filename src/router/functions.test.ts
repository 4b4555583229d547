import { describe, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import type { FunctionMeta } from '../store/types.js';
import { createFunctionTable } from './functions.js';
import { literalPrefix } from './route_index.js';

const meta = (name: string, routes: string[] = [], change: Partial<FunctionMeta> = {}) =>
  functionMeta({ id: `id-${name}`, name, routes, ...change });

const table = () => createFunctionTable((fn) => fn);

describe('the table of functions', () => {
  it('finds by name within a tenant only', () => {
    const functions = table();
    functions.set(meta('a'));
    functions.set(meta('a', [], { id: 'other', tenant: 'acme' }));
    expect(functions.byName('default', 'a')?.id).toBe('id-a');
    expect(functions.byName('acme', 'a')?.id).toBe('other');
    expect(functions.byName('acme', 'b')).toBeUndefined();
  });

  it('lets the route with the longest literal prefix win, whatever the order', () => {
    const functions = table();
    functions.set(meta('any', ['/*']));
    functions.set(meta('user', ['/api/users/:id']));
    functions.set(meta('me', ['/api/users/me']));
    expect(functions.byRoute('default', '/api/users/me')?.entry.name).toBe('me');
    expect(functions.byRoute('default', '/api/users/7')).toMatchObject({
      entry: { name: 'user' },
      params: { id: '7' },
    });
    expect(functions.byRoute('default', '/elsewhere')?.entry.name).toBe('any');
  });

  it('tries routes that begin alike one after another', () => {
    const functions = table();
    functions.set(meta('numbers', ['/things/:id(\\d+)']));
    functions.set(meta('words', ['/things/:id([a-z]+)']));
    functions.set(meta('both', ['/things/:id(\\d+)']));
    expect(functions.byRoute('default', '/things/7')?.entry.name).toBe('numbers');
    expect(functions.byRoute('default', '/things/seven')?.entry.name).toBe('words');
    functions.remove('id-numbers');
    expect(functions.byRoute('default', '/things/7')?.entry.name).toBe('both');
    expect(functions.byRoute('default', '/things/7-up')).toBeUndefined();
  });

  it('finds each of many routes, and none that is gone', () => {
    const functions = table();
    for (let n = 0; n < 3_000; n++) functions.set(meta(`f${n}`, [`/many/${n}/:id`, `/many/${n}`]));
    for (let n = 0; n < 3_000; n += 7) functions.remove(`id-f${n}`);
    for (let n = 0; n < 3_000; n++) {
      const expected = n % 7 === 0 ? undefined : `f${n}`;
      expect(functions.byRoute('default', `/many/${n}/x`)?.entry.name).toBe(expected);
      expect(functions.byRoute('default', `/many/${n}`)?.entry.name).toBe(expected);
    }
  });

  it('forgets the routes and the name that a change took away', () => {
    const functions = table();
    functions.set(meta('a', ['/one', '/two']));
    functions.set(meta('a', ['/two']));
    expect(functions.byRoute('default', '/one')).toBeUndefined();
    expect(functions.byRoute('default', '/two')?.entry.name).toBe('a');
    functions.remove('id-a');
    expect(functions.byRoute('default', '/two')).toBeUndefined();
    expect(functions.byName('default', 'a')).toBeUndefined();
  });

  it('keeps the new function when an old one of the same name goes', () => {
    const functions = table();
    functions.set(meta('a', [], { id: 'old' }));
    functions.set(meta('a', [], { id: 'new' }));
    functions.remove('old');
    expect(functions.byName('default', 'a')?.id).toBe('new');
  });
});

describe('literalPrefix', () => {
  it.each([
    ['/api/users/:id', '/api/users/'],
    ['/files/*', '/files/'],
    ['/plain', '/plain'],
    ['/a{/b}?', '/a'],
    ['/(x|y)', '/'],
  ])('of %s is %s', (pattern, prefix) => {
    expect(literalPrefix(pattern)).toBe(prefix);
  });

  it('leaves out a character that a modifier makes optional', () => {
    expect('/colo'.startsWith(literalPrefix('/colou?r'))).toBe(true);
  });
});
