/** The node's credentials: taken from the settings, else from `credentials.json`, else generated and kept there. */
import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jwtVerify } from 'jose';
import { z } from 'zod';
import { StartError } from '../errors.js';
import { signKey } from '../tokens.js';

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

/** What `credentials.json` held at the last start; empty before the first, and where it is damaged. */
export type KeptKeys = z.infer<typeof Kept>;

/** `jwtSecret` is what the default tenant's tokens are signed with. */
export async function makeKeys(
  kept: KeptKeys,
  given: { jwtSecret: string; adminKey: string | null },
): Promise<Keys> {
  return {
    jwt_secret: given.jwtSecret,
    admin_key: given.adminKey ?? kept.admin_key ?? `hth_adm_${randomBytes(32).toString('base64url')}`,
    anon_key: await keyFor('anon', given.jwtSecret, kept.anon_key),
    service_key: await keyFor('service_role', given.jwtSecret, kept.service_key),
  };
}

/**
 * What stored secrets are sealed with: the setting, else `<data dir>/secret.key` (mode 0600), made where it is missing. It
 * is not in `credentials.json`, which people read and copy from.
 */
export async function readSecretKey(dataDir: string, given: string | null): Promise<string> {
  if (given !== null) return given;
  const path = join(dataDir, 'secret.key');
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (text.length < 16)
      throw new StartError(`${path} is damaged: put the key back, or set HEARTH_SECRET_KEY`);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const made = randomBytes(32).toString('base64url');
  await writeFile(path, `${made}\n`, { mode: 0o600, flag: 'wx' });
  return made;
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

export async function readKept(dataDir: string): Promise<KeptKeys> {
  try {
    return Kept.parse(JSON.parse(await readFile(credentialsPath(dataDir), 'utf8')));
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
  if (kept !== undefined) {
    const key = new TextEncoder().encode(secret);
    const valid = await jwtVerify(kept, key, { algorithms: ['HS256'] }).then(
      ({ payload }) => payload.role === role,
      () => false,
    );
    if (valid) return kept;
  }
  return signKey(secret, role, 'default', Math.floor(Date.now() / 1000));
}
