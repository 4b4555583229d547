/** The node's credentials: taken from the settings, else from `credentials.json`, else generated and kept there. */
import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';

/** What the file holds (mode 0600). */
export interface CredentialsFile {
  url: string;
  metrics_url: string | null;
  console_url: string;
  tenant: string;
  anon_key: string;
  service_key: string;
  admin_key: string;
  jwt_secret: string;
}

export type Keys = Pick<CredentialsFile, 'anon_key' | 'service_key' | 'admin_key' | 'jwt_secret'>;

const Kept = z
  .object({ anon_key: z.string(), service_key: z.string(), admin_key: z.string(), jwt_secret: z.string() })
  .partial();

/** Years that the default tenant's anon and service keys are good for, as Supabase's are. */
const KEY_LIFE = '10y';

export async function readKeys(
  dataDir: string,
  given: { jwtSecret: string | null; adminKey: string | null },
): Promise<Keys> {
  const kept = await readKept(credentialsPath(dataDir));
  const jwt_secret = given.jwtSecret ?? kept.jwt_secret ?? randomBytes(32).toString('base64url');
  return {
    jwt_secret,
    admin_key: given.adminKey ?? kept.admin_key ?? `hth_adm_${randomBytes(32).toString('base64url')}`,
    anon_key: await keyFor('anon', jwt_secret, kept.anon_key),
    service_key: await keyFor('service_role', jwt_secret, kept.service_key),
  };
}

export async function writeCredentials(dataDir: string, credentials: CredentialsFile): Promise<void> {
  const path = credentialsPath(dataDir);
  const fresh = `${path}.new`;
  await writeFile(fresh, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  await chmod(fresh, 0o600); // the mode above counts only for a new file
  await rename(fresh, path);
}

export function credentialsPath(dataDir: string): string {
  return join(dataDir, 'credentials.json');
}

async function readKept(path: string): Promise<z.infer<typeof Kept>> {
  try {
    return Kept.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return {}; // none yet, or damaged: new ones are generated
  }
}

/** A key that was handed out stays good as long as the secret is the same. */
async function keyFor(
  role: 'anon' | 'service_role',
  secret: string,
  kept: string | undefined,
): Promise<string> {
  const key = new TextEncoder().encode(secret);
  if (kept !== undefined) {
    const valid = await jwtVerify(kept, key, { algorithms: ['HS256'] }).then(
      ({ payload }) => payload.role === role,
      () => false,
    );
    if (valid) return kept;
  }
  return await new SignJWT({ role, tenant: 'default' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('hearth')
    .setIssuedAt()
    .setExpirationTime(KEY_LIFE)
    .sign(key);
}
