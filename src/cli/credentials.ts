/** Which node a command talks to, and as whom: as told, else as the node's own credentials.json says. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { CliError } from './errors.js';

/** What a person may say, as options or in the environment. */
export interface Given {
  url: string | undefined;
  key: string | undefined;
  /** Whose keys: a slug. */
  tenant: string | undefined;
  dataDir: string;
}

export interface Target {
  /** Without a slash at its end. */
  url: string;
  key: string;
  /** Before each path: `/t/<tenant>`, or nothing for the key's own. */
  prefix: string;
  /** The file, where that is where the key comes from. */
  file: CredentialsFile | null;
}

const CredentialsFile = z.object({
  url: z.string(),
  tenant: z.string(),
  anon_key: z.string(),
  service_key: z.string(),
  admin_key: z.string(),
});

export type CredentialsFile = z.infer<typeof CredentialsFile>;

/** @param as the admin key, or whatever manages the tenant. @throws CliError */
export async function findTarget(given: Given, as: 'admin' | 'service'): Promise<Target> {
  const prefix = given.tenant === undefined ? '' : `/t/${encodeURIComponent(given.tenant)}`;
  const { url, key } = given;
  if (url !== undefined && key !== undefined) return { url: checkUrl(url), key, prefix, file: null };
  const file = await readCredentials(given.dataDir);
  if (key !== undefined) return { url: file.url, key, prefix, file: null };
  // A key goes to the node that it is of, and nowhere else.
  if (url !== undefined && checkUrl(url) !== file.url)
    throw new CliError(`the key in ${pathOf(given.dataDir)} is for ${file.url}: give --key for ${url}`, 2);
  const { tenant = file.tenant } = given;
  const isAdmin = as === 'admin' || tenant !== file.tenant;
  return { url: file.url, key: isAdmin ? file.admin_key : file.service_key, prefix, file };
}

function pathOf(dataDir: string): string {
  return join(resolve(dataDir), 'credentials.json');
}

async function readCredentials(dataDir: string): Promise<CredentialsFile> {
  const path = pathOf(dataDir);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'is not there' : 'cannot be read';
    throw new CliError(
      `${path} ${reason}: start a node here, set HEARTH_DATA_DIR, or give --url and --key`,
      1,
    );
  }
  try {
    return CredentialsFile.parse(JSON.parse(text));
  } catch {
    throw new CliError(`${path} is damaged: start the node anew, or give --url and --key`, 1);
  }
}

function checkUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new CliError(`${JSON.stringify(text)} is no URL that begins with http:// or https://`, 2);
  return text.replace(/\/+$/, '');
}
