/** What a version's imports came to: Deno's lock file (format 5), and what of it concerns a given set of imports. */

/** One package or module that a version was built from. */
export interface ResolvedImport {
  /** As the code has it, with `@*` where it names no version; null: another import asks for it. */
  specifier: string | null;
  /** `npm:name@1.2.3`, `jsr:@scope/name@1.2.3`, or a URL. */
  resolved: string;
  /** npm: of the package (Subresource Integrity); jsr: SHA-256 of its list of files; a URL: of the text. Hex both. */
  integrity: string;
}

/** What is stored of a version's imports, so that the next deploy gets the same bytes or none. */
export interface ImportRecord {
  /** The import specifiers as the code has them, sorted. */
  asked: string[];
  /** SHA-256 of the module that was left to be bundled with them, hex: the same again comes to the same. */
  entry: string;
  /** Deno's lock file, format 5, without the addresses of tarballs. */
  lock: string;
  resolved: ResolvedImport[];
}

interface NpmPackage {
  integrity?: string;
  dependencies?: string[];
  optionalDependencies?: string[];
}

export interface Lock {
  version: string;
  /** `npm:zod@3` or `jsr:@std/path@1` → the version that it stands for. */
  specifiers: Record<string, string>;
  jsr: Record<string, { integrity: string; dependencies?: string[] }>;
  /** By `name@version`, with `_` and the peers that it was resolved with. */
  npm: Record<string, NpmPackage>;
  redirects: Record<string, string>;
  /** URL → SHA-256, hex. */
  remote: Record<string, string>;
}

/** Reads what Deno wrote. */
export function readLock(text: string): Lock {
  const found = JSON.parse(text) as Partial<Lock>;
  const { version = '5', specifiers = {}, jsr = {}, npm = {}, redirects = {}, remote = {} } = found;
  return { version, specifiers, jsr, npm, redirects, remote };
}

/** Of a lock file that may know more: what `asked` and whatever that needs came to. */
export function recordOf(asked: readonly string[], entry: string, text: string): ImportRecord {
  const whole = readLock(text);
  const specifiers = new Set(asked.map((each) => keyOf(each, whole)).filter((key) => key !== null));
  for (const specifier of specifiers) {
    const version = whole.specifiers[specifier];
    const needed = version === undefined ? [] : (whole.jsr[jsrName(specifier, version)]?.dependencies ?? []);
    for (const dependency of needed) {
      for (const key of Object.keys(whole.specifiers))
        if (key === dependency || key.startsWith(`${dependency}@`)) specifiers.add(key); // a Set goes on with what is added
    }
  }
  const lock: Lock = { ...whole, specifiers: {}, jsr: {}, npm: {} };
  for (const specifier of specifiers) {
    const version = whole.specifiers[specifier];
    if (version === undefined) continue;
    lock.specifiers[specifier] = version;
    const jsr = jsrName(specifier, version);
    if (whole.jsr[jsr] !== undefined) lock.jsr[jsr] = whole.jsr[jsr];
    for (const [name, found] of npmPackages(whole, specifier)) lock.npm[name] = withoutAddress(found);
  }
  return {
    asked: [...asked].sort(),
    entry,
    lock: JSON.stringify(sorted(lock)),
    resolved: resolvedOf(asked, lock),
  };
}

/** What the next deploy goes by: a URL that is no longer asked for may have brought others, which only a new look tells. */
export function lockFor(asked: readonly string[], before: ImportRecord): string {
  const dropped = before.asked.some((each) => each.startsWith('https:') && !asked.includes(each));
  if (!dropped) return before.lock;
  return JSON.stringify({ ...readLock(before.lock), redirects: {}, remote: {} });
}

/** The imports of `asked` that bring the npm package `name@version` with them. */
export function askersOf(nv: string, asked: readonly string[], lock: Lock): string[] {
  return asked.filter((each) => {
    const key = keyOf(each, lock);
    if (key === null) return false;
    return npmPackages(lock, key).some(([name]) => name === nv || name.startsWith(`${nv}_`));
  });
}

/** A package's files are asked for under its own specifier. */
function keyOf(specifier: string, lock: Lock): string | null {
  const [, kind = '', name = '', version = '*'] =
    /^(npm|jsr):\/?((?:@[^/@]+\/)?[^/@]+)(?:@([^/]+))?/.exec(specifier) ?? [];
  if (name === '') return null;
  const key = `${kind}:${name}@${version}`;
  if (key in lock.specifiers) return key;
  // Deno may write a range in another way.
  return Object.keys(lock.specifiers).find((each) => each.startsWith(`${kind}:${name}@`)) ?? null;
}

function jsrName(specifier: string, version: string): string {
  const name = specifier.slice('jsr:'.length, specifier.lastIndexOf('@'));
  return specifier.startsWith('jsr:') ? `${name}@${version}` : '';
}

/** The package of an `npm:` specifier and all that it depends on. */
function npmPackages(lock: Lock, specifier: string): [string, NpmPackage][] {
  if (!specifier.startsWith('npm:')) return [];
  const root = `${specifier.slice('npm:'.length, specifier.lastIndexOf('@'))}@${lock.specifiers[specifier]}`;
  const names = new Set([root]);
  const found: [string, NpmPackage][] = [];
  for (const name of names) {
    const entry = lock.npm[name];
    if (entry === undefined) continue;
    found.push([name, entry]);
    for (const dependency of [...(entry.dependencies ?? []), ...(entry.optionalDependencies ?? [])]) {
      const target = npmName(dependency, lock);
      if (target !== undefined) names.add(target); // a Set goes on with what is added
    }
  }
  return found;
}

/** `bb`, where there is one version of it; `bb@1.2.0`; `alias@npm:bb@1.2.0`. */
function npmName(dependency: string, lock: Lock): string | undefined {
  const name = dependency.split('@npm:').at(-1) ?? dependency;
  if (name in lock.npm) return name;
  return Object.keys(lock.npm).find((each) => each.startsWith(`${name}@`));
}

/** A registry that moves is no other package. */
function withoutAddress(found: NpmPackage): NpmPackage {
  const { tarball: _, ...rest } = found as NpmPackage & { tarball?: string };
  return rest;
}

function sorted(lock: Lock): Record<string, unknown> {
  const { version, ...parts } = lock;
  const filled = Object.entries(parts).filter(([, part]) => Object.keys(part).length > 0);
  return {
    version,
    ...Object.fromEntries(
      filled.map(([name, part]) => [
        name,
        Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))),
      ]),
    ),
  };
}

function resolvedOf(asked: readonly string[], lock: Lock): ResolvedImport[] {
  const own = new Set(asked.map((each) => keyOf(each, lock)));
  const specifierOf = new Map<string, string>();
  for (const [specifier, version] of Object.entries(lock.specifiers)) {
    if (own.has(specifier))
      specifierOf.set(`${specifier.slice(0, specifier.lastIndexOf('@'))}@${version}`, specifier);
  }
  const entry = (resolved: string, integrity = ''): ResolvedImport => ({
    specifier: specifierOf.get(resolved) ?? (asked.includes(resolved) ? resolved : null),
    resolved,
    integrity,
  });
  return [
    ...Object.entries(lock.npm).map(([name, { integrity }]) => entry(`npm:${name}`, integrity)),
    ...Object.entries(lock.jsr).map(([name, { integrity }]) => entry(`jsr:${name}`, integrity)),
    ...Object.entries(lock.remote).map(([url, hash]) => entry(url, hash)),
  ].sort((a, b) => (a.resolved < b.resolved ? -1 : 1));
}
