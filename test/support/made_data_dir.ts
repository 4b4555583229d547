/** Makes a database once for all test files: that takes as long as all the rest of a node's start. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbedded } from '../../src/store/embedded.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A data directory with an empty database, which nothing runs on. */
    madeDataDir: string;
  }
}

export default async function setup(project: TestProject) {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-test-made-'));
  const server = await startEmbedded({ dataDir: dir });
  await server.stop();
  project.provide('madeDataDir', dir);
  return () => rm(dir, { recursive: true, force: true });
}
