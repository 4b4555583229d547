/** The routes that mint a tenant's tokens, and replace the secret that they are signed with. */
import { z } from '@hono/zod-openapi';
import { HearthError } from '../../errors.js';
import { newJwtSecret } from '../../store/jwt_secrets.js';
import { KEY_LIFE_YEARS, signKey, signToken } from '../../tokens.js';
import { MAX_TOKEN_BYTES } from '../tokens.js';
import { type Api, type ApiOptions, requireAdmin, requireService } from './context.js';
import { MANAGING } from './functions.js';
import { readJson } from './json_body.js';
import { addRoute } from './routes.js';
import { invalidRequest, validate } from './validate.js';

const MAX_BODY = 16 * 1024;
const MAX_LIFE_S = KEY_LIFE_YEARS * 365 * 24 * 3600;
const DEFAULT_LIFE_S = 3600;
const DEFAULT_GRACE_S = 24 * 3600;
const MAX_GRACE_S = 30 * 24 * 3600;
/** Claims that decide what a token is good for: they come from fields of their own, or from the platform. */
const PROTECTED = new Set(['role', 'tenant', 'sub', 'email', 'iss', 'iat', 'nbf', 'exp']);

const textField = z.string().min(1).max(512);

const TokenInput = z
  .strictObject({
    role: z.enum(['anon', 'authenticated', 'service_role']),
    sub: textField.optional().openapi({ description: "The function's `user_id`." }),
    email: textField.optional().openapi({ description: "The function's `user_email`." }),
    expires_in: z
      .number()
      .int()
      .min(1)
      .max(MAX_LIFE_S)
      .default(DEFAULT_LIFE_S)
      .openapi({ description: 'Seconds; 10 years at most.' }),
    claims: z
      .record(z.string(), z.unknown())
      .default({})
      .openapi({ description: `More claims; none of ${[...PROTECTED].join(', ')}.` }),
  })
  .openapi('TokenInput');

const TokenCreated = z
  .strictObject({ token: z.string(), expires_at: z.iso.datetime() })
  .openapi('TokenCreated');

const RotationInput = z
  .strictObject({
    grace_seconds: z
      .number()
      .int()
      .min(0)
      .max(MAX_GRACE_S)
      .default(DEFAULT_GRACE_S)
      .openapi({ description: 'How long tokens that were signed before still verify; 30 days at most.' }),
    secret: z
      .string()
      .min(16)
      .max(1024)
      .optional()
      .openapi({ description: 'What signs from now on; a random one where it is left out.' }),
  })
  .openapi('JwtSecretRotation');

const Rotated = z
  .strictObject({
    anon_key: z.string(),
    service_key: z.string(),
    previous_verifies_until: z.iso.datetime(),
  })
  .openapi('JwtSecretRotated');

export function addTokenRoutes(api: Api, options: ApiOptions): void {
  const { store, tenantChanged } = options;

  addRoute(
    api,
    {
      method: 'post',
      path: '/api/v1/tokens',
      tag: 'Tokens',
      summary: "Mint a token, signed with the tenant's newest secret; needs service_role or more",
      body: TokenInput,
      answers: { 201: { description: 'Minted', schema: TokenCreated } },
      errors: [...MANAGING, 'INVALID_REQUEST', 'TOO_LARGE'],
    },
    async (c) => {
      const { tenant, actor } = await requireService(c);
      const given = validate(TokenInput, await readJson(c.req.raw, MAX_BODY));
      const { role, sub, email, claims } = given;
      const details = Object.keys(claims)
        .filter((name) => PROTECTED.has(name))
        .map((name) => ({
          field: `claims.${name}`,
          message: 'has a field of its own, or is set by the platform',
        }));
      if (details.length > 0) throw invalidRequest(details);
      const now = Math.floor(Date.now() / 1000);
      const exp = now + given.expires_in;
      const expires_at = new Date(exp * 1000).toISOString();
      const payload = {
        ...claims,
        iss: 'hearth',
        role,
        tenant,
        ...(sub === undefined ? {} : { sub }),
        ...(email === undefined ? {} : { email }),
        iat: now,
        exp,
      };
      if (signToken('', payload).length > MAX_TOKEN_BYTES)
        throw invalidRequest([
          { field: 'claims', message: `make a token of more than ${MAX_TOKEN_BYTES} bytes` },
        ]);
      const secret = await store.jwtSecrets.forToken(tenant, { role, sub: sub ?? null, expires_at }, actor);
      return c.json({ token: signToken(secret, payload), expires_at }, 201, { 'cache-control': 'no-store' });
    },
  );

  addRoute(
    api,
    {
      method: 'post',
      path: '/api/v1/admin/tenants/{tenant}/jwt-secret',
      tag: 'Tenants',
      summary: "Replace the secret that signs a tenant's tokens; needs the admin key",
      body: RotationInput,
      answers: { 200: { description: 'What was signed anew', schema: Rotated } },
      errors: [...MANAGING, 'INVALID_REQUEST', 'NOT_FOUND', 'CONFLICT', 'TOO_LARGE'],
    },
    async (c) => {
      const { actor } = await requireAdmin(c);
      const tenant = c.req.param('tenant') ?? '';
      const { grace_seconds, secret = newJwtSecret() } = validate(
        RotationInput,
        await readJson(c.req.raw, MAX_BODY),
      );
      if (tenant === 'default' && options.defaultSecretIsSet)
        throw new HearthError(
          'CONFLICT',
          "HEARTH_JWT_SECRET says what the default tenant's tokens are signed with: set another one, and start anew.",
        );
      const { verifiesUntil } = await store.jwtSecrets.rotate(tenant, secret, grace_seconds * 1000, actor);
      await tenantChanged(tenant);
      const now = Math.floor(Date.now() / 1000);
      return c.json(
        {
          anon_key: signKey(secret, 'anon', tenant, now),
          service_key: signKey(secret, 'service_role', tenant, now),
          previous_verifies_until: verifiesUntil.toISOString(),
        },
        200,
        { 'cache-control': 'no-store' },
      );
    },
  );
}
