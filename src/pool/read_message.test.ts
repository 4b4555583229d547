import { describe, expect, it } from 'vitest';
import { SPAN_LIMITS } from './messages.js';
import { readMessage } from './read_message.js';

const ID = '0123456789abcdef';
const OF = ['0af7651916cd43dd8448eb211c80319c', ID];
const span = {
  id: ID,
  parent: ID,
  name: 'work',
  kind: 0,
  start: 1.5,
  end: 2,
  status: [0, ''],
  attributes: [
    ['a', 1],
    ['b', [true, 'x']],
  ],
  events: [['seen', 3, [['c', 'd']]]],
  scope: ['own', ''],
};
const message = (change: object = {}, of: unknown = OF) =>
  readMessage(JSON.stringify({ t: 'span', id: 'e', of, span: { ...span, ...change } }));

describe('a span that a process tells of', () => {
  it('is read as it was sent', () => {
    expect(message()).toEqual({ t: 'span', id: 'e', of: OF, span });
  });

  const { attributes, events, items, name, text } = SPAN_LIMITS;
  const many = <T>(length: number, item: T) => Array.from({ length }, () => item);
  it.each([
    ['an id of another length', { id: `${ID}0` }],
    ['an id of zeros', { id: '0'.repeat(16) }],
    ['an id in capitals', { parent: ID.toUpperCase() }],
    ['no name', { name: null }],
    ['a long name', { name: 'x'.repeat(name + 1) }],
    ['a kind that there is not', { kind: 5 }],
    ['a time that there is not', { start: -1 }],
    ['a time beyond all', { end: 1e300 }],
    ['a status that there is not', { status: [3, ''] }],
    ['a long status', { status: [2, 'x'.repeat(text + 1)] }],
    ['many attributes', { attributes: many(attributes + 1, ['a', 1]) }],
    ['a long value', { attributes: [['a', 'x'.repeat(text + 1)]] }],
    ['a long list', { attributes: [['a', many(items + 1, 1)]] }],
    ['a list of lists', { attributes: [['a', [[1]]]] }],
    ['an object for a value', { attributes: [['a', {}]] }],
    ['nothing for a value', { attributes: [['a', null]] }],
    ['many events', { events: many(events + 1, ['e', 1, []]) }],
    ['an event without a time', { events: [['e', null, []]] }],
    ['half a scope', { scope: ['own'] }],
  ])('is none with %s', (_, change) => {
    expect(message(change)).toBeNull();
  });

  it('is none without the call that it belongs to', () => {
    for (const of of [null, [], [OF[0]], [OF[1], OF[0]], ['0'.repeat(32), ID]])
      expect(message({}, of)).toBeNull();
  });
});

describe('a line that a process tells of', () => {
  const line = (origin: unknown) =>
    readMessage(JSON.stringify({ t: 'log', id: 'e', line: [1, 'log', 'hello'], in: origin }));

  it('may say in which span it was written', () => {
    expect(line(undefined)).toEqual({ t: 'log', id: 'e', line: [1, 'log', 'hello'] });
    expect(line({ of: OF, span: ID })).toMatchObject({ in: { of: OF, span: ID } });
    for (const origin of [null, {}, { of: OF }, { of: OF, span: 'x' }, { of: [ID, ID], span: ID }])
      expect(line(origin)).toBeNull();
  });
});
