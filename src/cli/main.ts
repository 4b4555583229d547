/** Reads a command line and does what it says. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { CliError, lineOf } from './errors.js';
import { addKeyCommands } from './keys.js';

export interface CliContext {
  env: Readonly<Record<string, string | undefined>>;
  /** The folder of the built program. */
  dist: string;
  out(text: string): void;
  err(text: string): void;
}

interface GlobalOptions {
  url?: string;
  key?: string;
  tenant?: string;
}

/** Resolves with the exit status: 0, 1 when it was refused or could not be done, 2 when it was not said right. */
export async function runCli(args: string[], { env, dist, out, err }: CliContext): Promise<number> {
  const program = new Command('hearth')
    .description('Manages a node of Hearth.')
    .version(await version(dist))
    .option('--url <url>', 'the node (HEARTH_URL; by default what its credentials.json says)')
    .option('--key <key>', 'a key that may do it; better in HEARTH_KEY, as others can see command lines')
    .option('--tenant <slug>', "the tenant (by default the key's own)")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => out(text.trimEnd()),
      writeErr: (text) => err(text.trimEnd()),
      outputError: (text, write) => write(`hearth: ${lineOf(text.replace(/^error: /, ''))}\n`),
    })
    .addHelpText(
      'after',
      '\nThe key comes from <HEARTH_DATA_DIR or .hearth>/credentials.json unless --key or HEARTH_KEY says another.',
    )
    .exitOverride();
  addKeyCommands(program, {
    given() {
      const { url, key, tenant }: GlobalOptions = program.opts();
      return {
        url: url ?? set(env.HEARTH_URL),
        key: key ?? set(env.HEARTH_KEY),
        tenant,
        dataDir: set(env.HEARTH_DATA_DIR) ?? '.hearth',
      };
    },
    out,
    now: Date.now,
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has said what it has to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    err(`hearth: ${lineOf(error)}`);
    return error instanceof CliError ? error.status : 1;
  }
}

/** An empty variable counts as unset. */
function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

async function version(dist: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(dist, '../package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}
