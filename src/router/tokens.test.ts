import { createHmac } from 'node:crypto';
import {
  createLocalJWKSet,
  exportJWK,
  exportSPKI,
  type GenerateKeyPairResult,
  generateKeyPair,
  type JWK,
  SignJWT,
} from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { tenantRecord } from '../../test/support/tenant_record.js';
import { HearthError } from '../errors.js';
import { signToken } from '../tokens.js';
import type { JwksSets } from './jwks.js';
import { createRemembered } from './remembered.js';
import { createTenantTable } from './tenants.js';
import { createTokenVerifier } from './tokens.js';

const NOW_S = 2_000_000_000;
let now = NOW_S * 1000;

const tenants = createTenantTable(null);
const sets = new Map<string, JWK[]>();
/** Addresses that were asked for keys. */
const asked: string[] = [];
const jwks: JwksSets = {
  at(url) {
    asked.push(url);
    const keys = sets.get(url);
    if (keys === undefined)
      return () => Promise.reject(new HearthError('UNAVAILABLE', 'away', { retryAfter: 5 }));
    return createLocalJWKSet({ keys });
  },
};
const verify = createTokenVerifier({ tenants, jwks, now: () => now });

const own = (slug: string, claims: Record<string, unknown> = {}) =>
  signToken(`the secret of ${slug}`, { role: 'authenticated', exp: NOW_S + 3600, ...claims });
const refusal = (token: string, where: string | null = null) =>
  verify(token, where).then(
    ({ principal }) => `accepted as ${JSON.stringify(principal)}`,
    (error: HearthError) => `${error.code}: ${error.message}`,
  );

const pairs = new Map<string, GenerateKeyPairResult>();
const pairOf = (alg: string): GenerateKeyPairResult => {
  const pair = pairs.get(alg);
  if (pair === undefined) throw new Error(`no key for ${alg}`);
  return pair;
};
const KINDS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];

const foreign = (alg: string, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
  new SignJWT({ exp: NOW_S + 3600, iss: 'https://issuer.example', aud: 'mine', sub: 'u1', ...claims })
    .setProtectedHeader({ alg, kid: alg, ...header })
    .sign(pairOf(alg).privateKey);

beforeAll(async () => {
  const keys: JWK[] = [];
  for (const alg of KINDS) {
    const pair = await generateKeyPair(alg, { extractable: true });
    pairs.set(alg, pair);
    keys.push({ ...(await exportJWK(pair.publicKey)), kid: alg });
  }
  sets.set('https://issuer.example/jwks', keys);
  tenants.set(tenantRecord('default'));
  tenants.set(tenantRecord('acme'));
  tenants.set(
    tenantRecord('signed', {
      jwt: {
        jwks_url: 'https://issuer.example/jwks',
        issuer: 'https://issuer.example',
        audience: 'mine',
      },
    }),
  );
});

describe('a token that a tenant signed', () => {
  it('is of the tenant that it names, whichever is asked for', async () => {
    for (const where of [null, 'default', 'acme', 'other']) {
      const { principal, asked } = await verify(
        own('acme', { tenant: 'acme', sub: 'u1', email: 'a@b.c' }),
        where,
      );
      expect(principal).toEqual({ role: 'authenticated', tenant: 'acme', userId: 'u1', userEmail: 'a@b.c' });
      expect(asked).toBeUndefined();
    }
  });

  it('is of the tenant that is asked for where it names none, else of the default one', async () => {
    expect((await verify(own('acme'), 'acme')).principal.tenant).toBe('acme');
    expect((await verify(own('default'), null)).principal.tenant).toBe('default');
    // So that it is refused as another tenant's, not as nobody's.
    expect((await verify(own('default'), 'acme')).principal.tenant).toBe('default');
    expect(await refusal(own('acme'), null)).toMatch(/^UNAUTHENTICATED: The signature/);
    expect(await refusal(own('acme'), 'signed')).toMatch(/^UNAUTHENTICATED: The signature/);
  });

  it('verifies by no other tenant’s secret, whatever it names', async () => {
    expect(await refusal(own('acme', { tenant: 'default' }), 'acme')).toMatch(/^UNAUTHENTICATED/);
    expect(await refusal(own('acme', { tenant: 'signed' }))).toMatch(/^UNAUTHENTICATED/);
    expect(await refusal(own('acme', { tenant: 'unknown' }))).toMatch(/^UNAUTHENTICATED/);
  });

  it('counts from nbf to exp, with 5 s for clocks that differ', async () => {
    const verdict = (claims: Record<string, unknown>) => refusal(own('default', claims));
    expect(await verdict({ exp: NOW_S - 4 })).toMatch(/^accepted/);
    expect(await verdict({ exp: NOW_S - 5 })).toBe('UNAUTHENTICATED: The token has expired.');
    expect(await verdict({ nbf: NOW_S + 5 })).toMatch(/^accepted/);
    expect(await verdict({ nbf: NOW_S + 6 })).toMatch(/not valid yet/);
    expect(await verdict({ exp: '2099' })).toMatch(/^UNAUTHENTICATED: The token has no claim exp/);
  });

  it('verifies by a secret that was replaced until its time, and is remembered no longer', async () => {
    const retires = new Date((NOW_S + 60) * 1000);
    tenants.set(
      tenantRecord('rotated', {
        jwt_secrets: [
          { secret: 'the new secret', verifies_until: null },
          { secret: 'the secret of rotated', verifies_until: retires },
        ],
      }),
    );
    const token = own('rotated', { tenant: 'rotated' });
    expect((await verify(token, null)).until).toBe(retires.getTime());
    expect((await verify(own('rotated', { tenant: 'rotated', exp: NOW_S + 10 }), null)).until).toBe(
      (NOW_S + 15) * 1000,
    );
    now = retires.getTime();
    expect(await refusal(token)).toMatch(/^UNAUTHENTICATED: The signature/);
    now = NOW_S * 1000;
    expect(await refusal(signToken('the new secret', { role: 'anon', tenant: 'rotated' }))).toMatch(
      /^accepted/,
    );
  });

  it('is held to issuer and audience unless it names its tenant, as the platform’s own do', async () => {
    expect(await refusal(own('signed', { tenant: 'signed' }))).toMatch(/^accepted/);
    expect(await refusal(own('signed'), 'signed')).toMatch(/issuer|audience/);
    expect(await refusal(own('signed', { iss: 'https://issuer.example', aud: 'other' }), 'signed')).toMatch(
      /audience/,
    );
    expect(await refusal(own('signed', { iss: 'https://issuer.example', aud: ['mine'] }), 'signed')).toMatch(
      /^accepted/,
    );
  });
});

describe('a token that the holder of a public key’s other half signed', () => {
  it.each(KINDS)('verifies with %s', async (alg) => {
    const { principal, until } = await verify(await foreign(alg), 'signed');
    expect(principal).toEqual({ role: 'authenticated', tenant: 'signed', userId: 'u1' });
    // A key that is withdrawn stops counting, however long the token would.
    expect(until).toBe(now + 600_000);
  });

  it('has the role that it names', async () => {
    expect((await verify(await foreign('ES256', { role: 'anon' }), 'signed')).principal.role).toBe('anon');
    expect(await refusal(await foreign('ES256', { role: 'admin' }), 'signed')).toMatch(/role/);
    expect(await refusal(await foreign('ES256', { role: null }), 'signed')).toMatch(/role/);
  });

  it('is of the only tenant with its issuer where none is asked for', async () => {
    expect((await verify(await foreign('ES256'), null)).principal.tenant).toBe('signed');
    // So that it is refused as another tenant's.
    expect((await verify(await foreign('ES256'), 'acme')).principal.tenant).toBe('signed');
    tenants.set(tenantRecord('twin', { jwt: { issuer: 'https://issuer.example' } }));
    expect(await refusal(await foreign('ES256'))).toMatch(/^UNAUTHENTICATED: .*no JWKS/);
    tenants.remove('twin');
    expect((await verify(await foreign('ES256'), null)).principal.tenant).toBe('signed');
  });

  it('is not of the tenant that it names: any issuer could name any', async () => {
    expect((await verify(await foreign('ES256', { tenant: 'acme' }), null)).principal.tenant).toBe('signed');
  });

  it('is refused with another issuer or audience, an end that has come, or none', async () => {
    const verdict = async (claims: Record<string, unknown>) =>
      refusal(await foreign('RS256', claims), 'signed');
    expect(await verdict({ iss: 'https://other.example' })).toMatch(/issuer/);
    expect(await verdict({ iss: undefined })).toMatch(/issuer/);
    expect(await verdict({ aud: 'theirs' })).toMatch(/audience/);
    expect(await verdict({ aud: undefined })).toMatch(/audience/);
    expect(await verdict({ exp: NOW_S - 5 })).toMatch(/expired/);
    expect(await verdict({ exp: NOW_S - 4 })).toMatch(/^accepted/);
    expect(await verdict({ exp: undefined })).toMatch(/claim exp/);
    expect(await verdict({ nbf: NOW_S + 6 })).toMatch(/not valid yet/);
  });

  it('with another issuer does not make anybody fetch keys', async () => {
    asked.length = 0;
    await refusal(await foreign('RS256', { iss: 'https://other.example' }), 'signed');
    expect(asked).toEqual([]);
  });

  it('is refused by a key that the set has not', async () => {
    expect(await refusal(await foreign('ES256', {}, { kid: 'other' }), 'signed')).toMatch(/not in the JWKS/);
    const stranger = await generateKeyPair('ES256');
    const forged = await new SignJWT({ exp: NOW_S + 60, iss: 'https://issuer.example', aud: 'mine' })
      .setProtectedHeader({ alg: 'ES256', kid: 'ES256' })
      .sign(stranger.privateKey);
    expect(await refusal(forged, 'signed')).toMatch(/signature/);
    // Without the name of its key each one that fits is tried.
    expect(await refusal(await foreign('RS256', {}, { kid: undefined }), 'signed')).toMatch(/^accepted/);
  });

  it('waits for nothing and is not to blame where the keys cannot be had', async () => {
    tenants.set(tenantRecord('down', { jwt: { jwks_url: 'https://down.example/jwks' } }));
    expect(await refusal(await foreign('ES256'), 'down')).toBe('UNAVAILABLE: away');
  });
});

describe('what is signed with the wrong kind of key', () => {
  it('is refused: a public key is no secret', async () => {
    const spki = await exportSPKI(pairOf('RS256').publicKey);
    const jwk = JSON.stringify(sets.get('https://issuer.example/jwks')?.[0]);
    for (const secret of [spki, spki.trim(), jwk]) {
      const claims = { iss: 'https://issuer.example', aud: 'mine', role: 'service_role', exp: NOW_S + 60 };
      expect(await refusal(signToken(secret, claims), 'signed')).toMatch(/^UNAUTHENTICATED: The signature/);
      expect(await refusal(signToken(secret, { ...claims, tenant: 'signed' }))).toMatch(/^UNAUTHENTICATED/);
    }
  });

  it('is refused: alg is taken at its word, and the word has to fit the key', async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const [, payload = '', signature = ''] = (await foreign('RS256')).split('.');
    for (const alg of ['none', 'None', 'HS256', 'HS512', 'RS512', 'ES256', 'EdDSA', 'dir', '', null, 7]) {
      const token = `${encode({ alg, kid: 'RS256' })}.${payload}.${signature}`;
      expect(await refusal(token, 'signed'), String(alg)).toMatch(/^UNAUTHENTICATED/);
      expect(await refusal(`${encode({ alg })}.${payload}.`, 'signed'), String(alg)).toMatch(
        /^UNAUTHENTICATED/,
      );
    }
    const head = `${encode({ alg: 'RS256', kid: 'RS256' })}.${encode({ role: 'anon', tenant: 'default' })}`;
    const mac = createHmac('sha256', 'the secret of default').update(head).digest('base64url');
    expect(await refusal(`${head}.${mac}`)).toMatch(/^UNAUTHENTICATED/);
  });

  it('is refused where it is no token at all', async () => {
    const whole = own('default');
    for (const text of [
      '',
      '.',
      '..',
      'a.b.c',
      whole.slice(0, -4),
      whole.slice(4),
      `${whole}.more`,
      'eyJ.eyJ.',
    ])
      expect(await refusal(text), text).toMatch(/^UNAUTHENTICATED/);
    expect(await refusal(own('default', { pad: 'x'.repeat(8192) }))).toMatch(/too long/);
  });
});

describe('a verdict that is remembered', () => {
  it('is of the tenant that was asked for, and of no other', async () => {
    tenants.set(tenantRecord('first', { jwt: { jwks_url: 'https://issuer.example/jwks' } }));
    tenants.set(tenantRecord('second', { jwt: { jwks_url: 'https://issuer.example/jwks' } }));
    const remembered = createRemembered(10);
    const token = await foreign('ES256');
    remembered.add(token, await verify(token, 'first'));
    expect(remembered.get(token, 'first', now)?.principal.tenant).toBe('first');
    expect(remembered.get(token, 'second', now)).toBeUndefined();
    expect(remembered.get(token, null, now)).toBeUndefined();
  });

  it('ends with its time, and when the tenant is another one or none', async () => {
    const remembered = createRemembered(10);
    const token = own('acme', { tenant: 'acme', exp: NOW_S + 60 });
    remembered.add(token, await verify(token, null));
    expect(remembered.get(token, 'anything', (NOW_S + 65) * 1000 - 1)).toBeDefined();
    expect(remembered.get(token, null, (NOW_S + 65) * 1000)).toBeUndefined();
    tenants.set(tenantRecord('acme'));
    expect(remembered.get(token, null, now)).toBeUndefined();
  });

  it('makes room for others', async () => {
    const remembered = createRemembered(2);
    const verdict = await verify(own('default'), null);
    for (const token of ['a', 'b', 'c']) remembered.add(token, verdict);
    expect(['a', 'b', 'c'].map((token) => remembered.get(token, null, now) !== undefined)).toEqual([
      false,
      true,
      true,
    ]);
  });
});
