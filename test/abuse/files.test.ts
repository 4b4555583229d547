/** Attacks on files: reading others', by every way in, and writing anywhere but in the scratch folder. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type AttackOptions, type Stage, underEachSandbox } from './stage.js';

const SCRATCH = { settings: { allow_read: true, allow_write: true } };
/** A worker has a heap of its own: there is room for some, but one that is gone may still count. */
const ROOMY = { settings: { ...SCRATCH.settings, memory_limit_mb: 1024 }, mayEnd: true };

/** Source and settings: with a scratch folder where it needs one to begin. */
const READERS: [file: string, options?: AttackOptions][] = [
  ['reads_by_text_import'],
  ['reads_by_bytes_import'],
  ['reads_by_json_import'],
  ['reads_by_import'],
  ['requires_json'],
  ['requires_javascript'],
  ['reads_with_node_fs', SCRATCH],
  ['reads_with_deno', SCRATCH],
  ['reads_in_a_worker', ROOMY],
  ['asks_a_worker_for_more_permissions', ROOMY],
  ['starts_a_file_as_a_worker', ROOMY],
  ['reads_through_wasm'],
  ['reads_by_import_in_a_made_module', SCRATCH],
  ['reads_by_import_in_a_data_module'],
  ['reads_by_fetch', SCRATCH],
  ['reads_through_sqlite', SCRATCH],
  ['makes_symbolic_links', SCRATCH],
  ['makes_hard_links', SCRATCH],
  ['walks_out_of_its_folder', SCRATCH],
];

underEachSandbox('files', (stage) => {
  it.each(READERS)('%s.ts reads nothing of others', async (file, options) => {
    const open = await stage.waysOpen(file, { ...options, json: targets(stage) });
    expect(open).toEqual(stage.openWays(file));
  });

  it.each(['names_a_file', 'names_a_file_in_pieces'])(
    '%s.ts is not deployed, or reads nothing',
    async (file) => {
      const deploying = stage.waysOpen(file);
      const refused = await deploying.then(
        (open) => open,
        (error: unknown) => String(error),
      );
      if (typeof refused === 'string') expect(refused).toContain('INVALID_FUNCTION');
      else expect(refused).toEqual({});
    },
  );

  it('reads_while_loading.ts reads nothing of others', async () => {
    expect(await stage.waysOpen('reads_while_loading')).toEqual(stage.openWays('reads_while_loading'));
  });

  it('reads_proc.ts finds no process but its own', async () => {
    const json = { supervisor: stage.node.process.pid };
    const open = await stage.waysOpen('reads_proc', { ...SCRATCH, json });
    expect(open).toEqual(stage.openWays('reads_proc'));
  });

  it('writes_outside.ts writes nothing, and what is there stays as it is', async () => {
    const folder = join(stage.node.dataDir, 'outside');
    const file = join(folder, 'file');
    mkdirSync(folder);
    writeFileSync(file, 'as it was', { mode: 0o666 });
    const before = statSync(file);
    const open = await stage.waysOpen('writes_outside', { ...SCRATCH, json: { folder, file } });
    expect(open).toEqual(stage.openWays('writes_outside'));
    expect(readFileSync(file, 'utf8')).toBe('as it was');
    expect([statSync(file).mode, statSync(file).mtimeMs]).toEqual([before.mode, before.mtimeMs]);
    for (const name of ['written', 'written-by-node', 'made', 'link', 'stream'])
      expect(existsSync(join(folder, name)), name).toBe(false);
  });

  it('writes_its_own_code.ts changes neither its module nor the platform', async () => {
    const open = await stage.waysOpen('writes_its_own_code', SCRATCH);
    expect(open).toEqual(stage.openWays('writes_its_own_code'));
  });

  it('uses_scratch_without_leave.ts has no scratch folder', async () => {
    const open = await stage.waysOpen('uses_scratch_without_leave');
    expect(open).toEqual(stage.openWays('uses_scratch_without_leave'));
  });

  it('asks_for_permission.ts is given none', async () => {
    expect(await stage.waysOpen('asks_for_permission')).toEqual(stage.openWays('asks_for_permission'));
  });
});

function targets(stage: Stage) {
  return {
    passwd: '/etc/passwd',
    neighbours_code: join(stage.neighboursFolder, 'code/main.js'),
    neighbours_database: join(stage.neighboursFolder, 'run/deno/v8_code_cache_v2'),
    supervisors_environment: `/proc/${stage.node.process.pid}/environ`,
    credentials: join(stage.node.dataDir, 'credentials.json'),
  };
}
