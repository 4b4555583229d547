import { decodeProtectedHeader, type JWTHeaderParameters } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { answering, type Issuer, type JwksServer, startJwksServer } from '../../test/support/jwks_server.js';
import { until } from '../../test/support/node.js';
import type { HearthError } from '../errors.js';
import { COOL_DOWN_MS, createJwksSets, LAST_RESORT_MS, REFRESH_MS, RETRY_MS, WAIT_MS } from './jwks.js';

let server: JwksServer;
let issuer: Issuer;
let names = 0;
const errors: string[] = [];
let sets = createJwksSets(() => {});

beforeAll(async () => {
  server = await startJwksServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 2_000_000_000_000 });
  issuer = await server.issuer(`issuer-${++names}`);
  errors.length = 0;
  sets = createJwksSets((error) => errors.push(String(error)));
});
afterEach(() => vi.useRealTimers());

/** Looks for the key of a token that the issuer signs now. */
async function find(given?: string): Promise<string> {
  const token = given ?? (await issuer.sign());
  const [header = '', payload = '', signature = ''] = token.split('.');
  return await Promise.resolve(
    sets.at(issuer.url)(decodeProtectedHeader(token) as JWTHeaderParameters, {
      protected: header,
      payload,
      signature,
    }),
  ).then(
    () => 'found',
    (error: HearthError) => error.code,
  );
}
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

describe('the keys of an issuer', () => {
  it('are fetched once, however many need them at the same time', async () => {
    expect(new Set(await Promise.all(Array.from({ length: 20 }, () => find())))).toEqual(new Set(['found']));
    expect(issuer.asked).toBe(1);
    pass(REFRESH_MS - 1);
    expect(await find()).toBe('found');
    expect(issuer.asked).toBe(1);
  });

  it('are fetched again after 10 minutes, and nobody waits for that', async () => {
    await find();
    const held: (() => void)[] = [];
    const { answer } = issuer;
    issuer.answer = (outgoing) => void held.push(() => answer(outgoing));
    pass(REFRESH_MS);
    expect(await find()).toBe('found');
    expect(await find()).toBe('found');
    await until(() => held.length === 1);
    held[0]?.();
    issuer.answer = answer;
    // Fresh from when they came.
    await until(async () => (await find()) === 'found' && issuer.asked === 2);
    pass(REFRESH_MS - 1);
    expect(await find()).toBe('found');
    expect(issuer.asked).toBe(2);
  });

  it('are fetched for the sake of a new key, every 30 s at most', async () => {
    await find();
    await issuer.rotate();
    expect(await find()).toBe('ERR_JWKS_NO_MATCHING_KEY');
    pass(COOL_DOWN_MS - 1);
    expect(await find()).toBe('ERR_JWKS_NO_MATCHING_KEY');
    expect(issuer.asked).toBe(1);
    pass(1);
    expect(await find()).toBe('found');
    expect(issuer.asked).toBe(2);
  });

  it('are waited for after 20 minutes, so that a key that was withdrawn stops counting', async () => {
    const token = await issuer.sign();
    expect(await find(token)).toBe('found');
    await issuer.rotate();
    pass(WAIT_MS);
    expect(await find(token)).toBe('ERR_JWKS_NO_MATCHING_KEY');
    expect(await find()).toBe('found');
    expect(issuer.asked).toBe(2);
  });

  it('serve for an hour while their issuer is down, which is asked every 30 s at most', async () => {
    await find();
    const { answer } = issuer;
    issuer.answer = (outgoing) => outgoing.destroy();
    pass(REFRESH_MS);
    for (let call = 0; call < 5; call++) expect(await find()).toBe('found');
    await until(() => errors.length === 1);
    expect(issuer.asked).toBe(2);
    pass(COOL_DOWN_MS);
    expect(await find()).toBe('found');
    await until(() => issuer.asked === 3 && errors.length === 2);
    pass(LAST_RESORT_MS - REFRESH_MS - COOL_DOWN_MS - 1);
    expect(await find()).toBe('found');
    await until(() => errors.length === 3);
    pass(RETRY_MS);
    expect(await find()).toBe('UNAVAILABLE');
    issuer.answer = answer;
    pass(RETRY_MS);
    expect(await find()).toBe('found');
  });
});

describe('keys that cannot be had', () => {
  it.each<[string, Issuer['answer'], RegExp]>([
    ['a broken connection', (outgoing) => outgoing.destroy(), /cannot be fetched/],
    ['an error', (outgoing) => outgoing.writeHead(500).end('{"keys":[]}'), /it answered 500/],
    [
      'a redirect, which is not followed',
      (outgoing) => outgoing.writeHead(302, { location: `${issuer.url}?again` }).end(),
      /it answered 302/,
    ],
    ['no JSON', (outgoing) => outgoing.end('<html>'), /no JSON/],
    ['no key set', answering({ keys: 'none' }), /no key set/],
    ['null', answering(null), /no key set/],
    ['a set of no keys', answering({ keys: ['k'] }), /no key set/],
    ['too much', answering({ keys: [], pad: 'x'.repeat(64 * 1024) }), /more than 65536 bytes/],
    [
      'too much without an end',
      (outgoing) => {
        const pour = () => void (outgoing.write('x'.repeat(16_384)) && setImmediate(pour));
        outgoing.on('drain', pour);
        pour();
      },
      /more than 65536 bytes/,
    ],
  ])('for %s: are UNAVAILABLE, and asked for again only after a while', async (_, answer, said) => {
    const { answer: right } = issuer;
    issuer.answer = answer;
    expect(await find()).toBe('UNAVAILABLE');
    expect(errors).toEqual([expect.stringMatching(said)]);
    for (let call = 0; call < 3; call++) expect(await find()).toBe('UNAVAILABLE');
    expect(issuer.asked).toBe(1);
    issuer.answer = right;
    pass(RETRY_MS);
    expect(await find()).toBe('found');
  });

  it('for an issuer that says nothing: are UNAVAILABLE after 3 s, for all who wait alike', async () => {
    issuer.answer = () => {};
    expect(await Promise.all([find(), find(), find()])).toEqual(Array(3).fill('UNAVAILABLE'));
    expect(issuer.asked).toBe(1);
    expect(errors).toEqual([expect.stringMatching(/no answer within 3000 ms/)]);
  });

  it('say when to come again, and nothing of the address beyond its host', async () => {
    issuer.answer = (outgoing) => outgoing.destroy();
    const set = sets.at(`${issuer.url}?token=secret`);
    await expect(set({ alg: 'ES256' }, {} as never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryAfter: 5,
    });
    expect(errors.join()).not.toMatch(/secret/);
  });
});
