/** Data directories for nodes and servers that tests start: copies of one in which the database has been made. */
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';

/** One of its own, with an empty database: whose start is a start with existing data. */
export async function newDataDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  // The server's files stay with the user that they belong to.
  await promisify(execFile)('cp', ['-a', `${inject('madeDataDir')}/.`, dir]);
  return dir;
}
