/** The web console's files, as a browser gets them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startNode, type TestNode } from '../support/node.js';

let node: TestNode;

beforeAll(async () => {
  node = await startNode({ HEARTH_ROUTERS: '1', HEARTH_POOL_SIZE: '0' });
});
afterAll(() => node.remove());

const get = (path: string, init: RequestInit = {}) => fetch(node.url + path, { redirect: 'manual', ...init });

describe('the console', () => {
  test.each(['/console', '/console/', '/console?from=start'])(
    'is a page at %s, without a credential',
    async (path) => {
      const answer = await get(path);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(answer.headers.get('x-request-id')).not.toBeNull();
      expect(await answer.text()).toContain('<title>Hearth</title>');
    },
  );

  test('is where the credentials file says', async () => {
    expect((await fetch(node.console_url)).status).toBe(200);
  });

  test('serves every file that its page and its modules name, with the right type', async () => {
    const types = {
      css: 'text/css; charset=utf-8',
      js: 'text/javascript; charset=utf-8',
      svg: 'image/svg+xml',
    };
    const open = ['/console'];
    const seen = new Set<string>(open);
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      const answer = await get(path);
      expect([path, answer.status]).toEqual([path, 200]);
      const type = Object.entries(types).find(([extension]) => path?.endsWith(`.${extension}`))?.[1];
      if (type !== undefined) expect(answer.headers.get('content-type')).toBe(type);
      const text = await answer.text();
      const named = [
        ...[...text.matchAll(/(?:href|src)="(\/console\/[^"]+)"/g)].map(([, found = '']) => found),
        ...[...text.matchAll(/from '\.\/([^']+)'/g)].map(([, found = '']) => `/console/${found}`),
      ];
      for (const found of named) if (!seen.has(found) && seen.add(found)) open.push(found);
    }
    expect([...seen].filter((path) => path.endsWith('.js')).length).toBeGreaterThan(5);
    expect(seen).toContain('/console/console.css');
  });

  test('allows the browser its own files and this node alone, and no script in the page', async () => {
    const answer = await get('/console');
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    const page = await answer.text();
    expect(page.match(/<script(?![^>]*\bsrc=)/)).toBeNull();
    expect(page).not.toMatch(/\son\w+=|style=/);
  });

  test('is sent again only when it has changed', async () => {
    const etag = (await get('/console/console.css')).headers.get('etag') ?? '';
    expect(etag).toMatch(/^".+"$/);
    const known = await get('/console/console.css', { headers: { 'if-none-match': `"other", W/${etag}` } });
    expect(known.status).toBe(304);
    expect(await known.text()).toBe('');
    expect(known.headers.get('cache-control')).toBe('no-cache');
    expect((await get('/console/console.css', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  });

  test('answers HEAD without a body', async () => {
    const answer = await get('/console', { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(Number(answer.headers.get('content-length'))).toBeGreaterThan(0);
    expect(await answer.text()).toBe('');
  });

  test.each([
    ['GET', '/console/nothing.js'],
    ['GET', '/console/..%2f..%2fpackage.json'],
    ['GET', '/consoles'],
    ['POST', '/console'],
  ])('has nothing for %s %s: the contract’s 404', async (method, path) => {
    const answer = await get(path, { method });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: 'NOT_FOUND' });
  });
});
