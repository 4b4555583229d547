/** What a person sees when a node starts: progress while it takes long, then one block with everything to go on. */
import { relative } from 'node:path';

export interface Started {
  version: string;
  url: string;
  metricsUrl: string | null;
  credentialsPath: string;
  functions: string[];
  /** Functions whose files could not be deployed, and why. */
  failed: { name: string; error: string }[];
  routers: number;
  poolSize: number;
  database: string;
  sandbox: { kind: string; reason: string };
  tookMs: number;
}

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface StartOutput {
  progress(what: string): void;
  started(facts: Started): void;
}

export function createStartOutput(output: Output, cwd: string): StartOutput {
  const bold = (text: string) => (output.isTTY ? `\x1b[1m${text}\x1b[22m` : text);
  const dim = (text: string) => (output.isTTY ? `\x1b[2m${text}\x1b[22m` : text);
  return {
    progress: (what) => void output.write(dim(`  ${what} …\n`)),
    started(facts) {
      const rows: [string, string][] = [
        ['Functions', `${facts.url}/functions/v1/<name>`],
        ['Console', `${facts.url}/console`],
        ['Metrics', facts.metricsUrl ?? 'off'],
        ['Credentials', shortest(cwd, facts.credentialsPath)],
        ['Database', facts.database],
        ['Sandbox', `${facts.sandbox.kind} (${facts.sandbox.reason})`],
        ['Serving', list(facts.functions)],
      ];
      const lines = rows.map(([name, value]) => `  ${dim(name.padEnd(12))} ${value}`);
      for (const { name, error } of facts.failed) lines.push(`  ${bold('Not loaded')}   ${name}: ${error}`);
      if (facts.sandbox.kind === 'permissions') {
        lines.push(
          `  ${bold('Warning')}      only Deno's permissions keep functions in here: run no code that you do not trust (docs/security.md)`,
        );
      }
      const seconds = (facts.tookMs / 1000).toFixed(1);
      const processes = `${facts.routers} ${facts.routers === 1 ? 'router' : 'routers'}, ${facts.poolSize} processes warm`;
      output.write(
        `\n  ${bold(`Hearth ${facts.version}`)} is ready ${dim(`in ${seconds} s (${processes})`)}\n\n${lines.join('\n')}\n\n`,
      );
      output.write(dim('  Ctrl-C stops it gracefully; a second one at once.\n\n'));
    },
  };
}

function list(names: string[]): string {
  if (names.length === 0) return 'no functions yet';
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${names.length} functions: ${shown}, …` : shown;
}

function shortest(cwd: string, path: string): string {
  const short = relative(cwd, path);
  return short.startsWith('..') ? path : short;
}
