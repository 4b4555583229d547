/** What Deno says of imports that cannot be had, as what a deploy is told: by the import in the user's code that is to blame. */
import { HearthError } from '../errors.js';
import { invalid } from './prepare_errors.js';
import { askersOf, type Lock } from './prepare_lock.js';

/** Deno's own default for --allow-import (2.9), for the sentence that refuses other hosts. */
const IMPORT_HOSTS = 'jsr.io, deno.land, esm.sh, cdn.jsdelivr.net, raw.githubusercontent.com';
/** Of a package in Deno's cache, and of a module of a jsr package. */
const IN_PACKAGE = /\/((?:@[^/\s]+\/)?[^/@\s]+)\/(\d+\.\d+\.\d+[^/\s]*)\//;

export interface Trouble {
  /** What Deno wrote to standard error. */
  stderr: string;
  /** The module that it was given. */
  text: string;
  asked: readonly string[];
  /** The lock file as Deno left it; null if there is none. */
  lock: Lock | null;
  /** Whether it was given one. */
  locked: boolean;
}

/**
 * Failing imports, with what to say of each.
 *
 * @throws HearthError INVALID_FUNCTION where none can be singled out, UNAVAILABLE when the registry is out of reach.
 */
export function explain(trouble: Trouble): Map<string, string> {
  const { stderr, asked } = trouble;
  const failing = new Map([...atPlaces(trouble), ...inPackages(trouble)]);
  if (failing.size > 0) return failing;
  const mentioned = asked.filter((specifier) => stderr.includes(specifier));
  const [only] = mentioned.length > 0 ? mentioned : asked;
  if (only !== undefined && (mentioned.length === 1 || asked.length === 1))
    return new Map([[only, `Cannot load "${only}": it cannot be fetched or bundled`]]);
  throw invalid([{ message: `One of the imports cannot be fetched or bundled: ${asked.join(', ')}` }]);
}

/** Deno names its error's place in the module that step one made: the import that stands there is the failing one. */
function atPlaces({ stderr, text, asked }: Trouble): Map<string, string> {
  const failing = new Map<string, string>();
  const lines = text.split('\n');
  for (const [, message = '', file = '', line = '', column = ''] of stderr.matchAll(
    /error: ((?:(?!\n\s+at |\nerror: )[\s\S])*)\n\s+at (\S+):(\d+):(\d+)/g,
  )) {
    if (!file.endsWith('/entry.js')) continue;
    const specifier = nearest(lines[Number(line) - 1] ?? '', Number(column), asked);
    if (specifier === undefined) continue;
    if (isUnreachable(message) && !specifier.startsWith('https:')) throw unreachable(stderr);
    failing.set(specifier, describe(specifier, message));
  }
  return failing;
}

/** Errors about a package that an import brings, which Deno names by the package alone. */
function inPackages(trouble: Trouble): Map<string, string> {
  const { stderr, asked, lock, locked } = trouble;
  const failing = new Map<string, string>();
  const blame = (nv: string, what: string) => {
    const askers = lock === null ? [] : askersOf(nv, asked, lock);
    const culprits = askers.length > 0 ? askers : asked.filter((each) => each.includes(nameOf(nv)));
    for (const specifier of culprits.length > 0 ? culprits : asked)
      failing.set(specifier, `Cannot load "${specifier}": ${what}`);
  };
  const onRecord = locked
    ? 'what this function was built with, or what the registry lists'
    : 'what the registry lists';
  const [, npm] = /Tarball checksum did not match[\s\S]*? for (\S+@\S+?)\.\s/.exec(stderr) ?? [];
  if (npm !== undefined) blame(npm, `the checksum of ${npm} is not ${onRecord}`);
  const [, jsr] = /Integrity check failed for package\.[\s\S]*?Package: (\S+)/.exec(stderr) ?? [];
  if (jsr !== undefined) blame(jsr, `the checksum of ${jsr} is not what this function was built with`);
  const [, url] = /Integrity check failed (?:in|for)[\s\S]*?Specifier: (\S+)/.exec(stderr) ?? [];
  if (url !== undefined) {
    const nv = packageIn(url) ?? url;
    blame(nv, `the checksum of ${asked.includes(url) ? 'its text' : nv} is not ${onRecord}`);
  }
  const [, nv, outside] =
    /error: (?:.*\n\s+\d+: )?Error in (\S+@\S+) parsing version requirement for dependency "([^"]+)"/.exec(
      stderr,
    ) ?? [];
  if (nv !== undefined)
    blame(nv, `${nv} depends on "${outside}" by an address, a git repository or a folder, not by a version`);
  const [, missing, from] =
    /Could not find package '([^']+)' from referrer '[^']*' \((\S+)\)/.exec(stderr) ?? [];
  if (missing !== undefined && from !== undefined)
    blame(from, `${from} needs "${missing}", which is not among its dependencies from the registry`);
  for (const [, file = ''] of stderr.matchAll(/error: .*\n\s+at (?!\S+\/entry\.js:)(\S+):\d+:\d+/g)) {
    const within = packageIn(file);
    if (within !== undefined && failing.size === 0)
      blame(
        within,
        `${within} cannot be bundled: a file that it asks for is not there, or is not JavaScript`,
      );
  }
  return failing;
}

/** `name@version` of the package that a file of Deno's cache, or of a registry, belongs to. */
export function packageIn(path: string): string | undefined {
  const [, name, version] = IN_PACKAGE.exec(path) ?? [];
  return name === undefined ? undefined : `${name}@${version?.replace(/_\d+$/, '')}`;
}

function nameOf(nv: string): string {
  return nv.slice(0, nv.lastIndexOf('@'));
}

function nearest(line: string, column: number, asked: readonly string[]): string | undefined {
  const distance = (specifier: string) => Math.abs(line.indexOf(JSON.stringify(specifier)) - column);
  return asked
    .filter((specifier) => line.includes(JSON.stringify(specifier)))
    .sort((a, b) => distance(a) - distance(b))[0];
}

function isUnreachable(message: string): boolean {
  return /error sending request|client error|dns error|' failed\.$/.test(message);
}

function unreachable(stderr: string): HearthError {
  return new HearthError('UNAVAILABLE', 'The package registry cannot be reached', {
    retryAfter: 30,
    cause: stderr,
  });
}

function describe(specifier: string, message: string): string {
  const start = `Cannot load "${specifier}"`;
  if (message.includes('--allow-import')) return `${start}: modules are fetched from ${IMPORT_HOSTS} only`;
  if (/npm packument|Too many redirects|failed to load\. expected|status code|Failed loading/.test(message))
    return `${start}: what the registry answers is no package`;
  if (/find constraint|npm package/i.test(message))
    return `${start}: the npm registry has no such package or version`;
  if (/JSR package not found|Could not find version/.test(message))
    return `${start}: the jsr registry has no such package or version`;
  if (/^Unknown export/.test(message)) return `${start}: the package has no such export`;
  if (/^Could not resolve|^\[ERR_/.test(message)) return `${start}: the package has no such file`;
  return `${start}: it cannot be fetched`;
}
