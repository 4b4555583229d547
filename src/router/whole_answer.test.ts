import { describe, expect, it } from 'vitest';
import { createWholeHeads, wholeHeadText } from './whole_answer.js';

const IDS = ['x-request-id', 'r', 'x-execution-id', 'e'];

describe('the head of a whole answer', () => {
  it('is put together once for answers that have the same', () => {
    const heads = createWholeHeads();
    const first = heads(200, 'content-type\ntext/plain');
    expect(first?.text).toBe('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n');
    expect(heads(200, 'content-type\ntext/plain')).toBe(first);
    expect(heads(404, 'content-type\ntext/plain')?.text).toBe(
      'HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\n',
    );
    expect(heads(200, 'x-a\nb')?.text).toBe('HTTP/1.1 200 OK\r\nx-a: b\r\n');
    expect(heads(200, '')?.text).toBe('HTTP/1.1 200 OK\r\n');
  });

  it('is remembered only while it is small', () => {
    const heads = createWholeHeads();
    const received = `x-a\n${'b'.repeat(5000)}`;
    const large = heads(200, received);
    expect(large).not.toBeNull();
    expect(heads(200, received)).toEqual(large);
    expect(heads(200, received)).not.toBe(large);
  });

  it('has none of what the function may not say', () => {
    const head = createWholeHeads()(
      200,
      'content-length\n99\nconnection\nclose\nx-request-id\nforged\ntransfer-encoding\nchunked\nx-a\nb',
    );
    expect(head?.text).toBe('HTTP/1.1 200 OK\r\nx-a: b\r\n');
  });

  it.each([
    ['a value with a carriage return', 200, 'x-a\nb\rset-cookie: c'],
    ['a name that is no token', 200, 'x a\nb'],
    ['an empty name', 200, '\nb'],
    ['a character over 255', 200, 'x-a\n\u0100'],
    ['a status that is none', 600, ''],
    ['an informational status', 101, ''],
    ['a status without a body', 204, ''],
    ['another status without a body', 304, ''],
    ['a date of its own', 200, 'date\nThu, 01 Jan 1970 00:00:00 GMT'],
    ['the mark of the runner', 200, 'x-hearth\nd1'],
  ])('is looked at closer with %s', (_, status, received) => {
    const heads = createWholeHeads();
    expect(heads(status, received)).toBeNull();
    expect(heads(200, 'x-a\nb')).not.toBeNull();
    expect(heads(status, received)).toBeNull();
  });

  it('has the length of the body and the headers of the platform', () => {
    const head = createWholeHeads()(200, 'x-a\nb');
    if (head === null) throw new Error('it is whole');
    expect(wholeHeadText(head, 7, [...IDS, 'vary', 'Origin'])).toBe(
      'HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 7\r\nx-request-id: r\r\nx-execution-id: e\r\nvary: Origin\r\n',
    );
    expect(wholeHeadText(head, 7, [...IDS, 'access-control-allow-origin', 'a\r\nb: c'])).toBeNull();
  });

  it('tells whether the body is text', () => {
    const heads = createWholeHeads();
    expect(heads(200, 'content-type\napplication/json')?.isText).toBe(true);
    expect(heads(200, 'content-type\nimage/png')?.isText).toBe(false);
    expect(heads(200, 'content-type\ntext/plain\ncontent-encoding\ngzip')?.isText).toBe(false);
    expect(heads(200, '')?.isText).toBe(false);
  });
});
