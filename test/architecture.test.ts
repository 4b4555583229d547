/** Holds the rooms to their import directions (docs/architecture.md), and what is read in one place to that place. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

/** Files that every room may import: they import nothing of ours but each other. */
const LEAVES = new Set(['errors.ts', 'config.ts', 'sealing.ts', 'tokens.ts', 'leftovers.ts']);
/** Files that put the rooms together, and that no room may import. */
const WIRING = new Set(['main.ts', 'cli.ts', 'node.ts', 'signals.ts', 'start_output.ts']);

/** Room → rooms that it may import. A file stands for itself alone. */
const ALLOWED: Record<string, string[]> = {
  router: ['store', 'telemetry', 'supervisor/protocol.ts', 'supervisor/rpc.ts'],
  supervisor: ['pool', 'store', 'telemetry'],
  pool: ['telemetry'],
  store: ['telemetry'],
  telemetry: [],
  console: [],
  cli: [],
};

interface Import {
  from: string;
  to: string;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path) && !/\.test\.tsx?$/.test(path))
  .sort();
const imports = files.flatMap((from) => importsOf(from));

describe('the rooms', () => {
  it('are those of the architecture, and beside them lie only leaves and wiring', () => {
    expect(files.length).toBeGreaterThan(50);
    for (const file of files) {
      const room = roomOf(file);
      if (room === null) expect([...LEAVES, ...WIRING], `src/${file} belongs to no room`).toContain(file);
      else expect(Object.keys(ALLOWED), `src/${file} is in an unknown room`).toContain(room);
    }
  });

  it('import downwards only', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.filter((each) => !isAllowed(each)).map(show)).toEqual([]);
  });

  it('do not import each other in a circle', () => {
    expect(circles(imports.map(({ from, to }) => [unitOf(from), unitOf(to)]))).toEqual([]);
  });

  it('have no circle of files within them either, types left aside', () => {
    const values = files.flatMap((from) => importsOf(from, { types: false }));
    expect(circles(values.map(({ from, to }) => [from, to]))).toEqual([]);
  });

  it('let leaves be leaves', () => {
    const outward = imports.filter(({ from, to }) => LEAVES.has(from) && !LEAVES.has(to));
    expect(outward.map(show)).toEqual([]);
  });
});

describe('the environment', () => {
  it('is read where a program begins', () => {
    const readers = files.filter((file) => /\bprocess\s*\.\s*env\b|\bprocess\[/.test(text(file)));
    expect(readers).toEqual(['cli.ts', 'main.ts']);
  });

  it("is read by OpenTelemetry's own helpers in telemetry alone", () => {
    const readers = files.filter((file) =>
      /\bget(?:String|StringList|Boolean|Number)FromEnv\b/.test(text(file)),
    );
    expect(readers.filter((file) => roomOf(file) !== 'telemetry')).toEqual([]);
  });
});

describe('migrations', () => {
  it('are named NNNN_name.sql, numbered from 0001 without a gap', () => {
    const names = readdirSync(join(root, 'migrations')).sort();
    expect(names.length).toBeGreaterThan(0);
    names.forEach((name, index) => {
      expect(name).toMatch(/^\d{4}_[a-z0-9_]+\.sql$/);
      expect(Number(name.slice(0, 4))).toBe(index + 1);
    });
  });
});

function text(file: string): string {
  return readFileSync(join(src, file), 'utf8');
}

/** The relative imports of a file, static and dynamic, as paths below src/. */
function importsOf(from: string, { types = true } = {}): Import[] {
  const found: Import[] = [];
  const pattern =
    /\b(import|export)\s+(type\s)?[^'"();]*?from\s*['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]|\bimport\s+['"](\.[^'"]+)['"]/g;
  for (const [, , type, static_, dynamic, bare] of text(from).matchAll(pattern)) {
    if (type !== undefined && !types) continue;
    const specifier = static_ ?? dynamic ?? bare;
    if (specifier === undefined) continue;
    const to = relative(src, join(src, dirname(from), specifier)).replace(/\.js$/, '.ts');
    found.push({ from, to });
  }
  return found;
}

function roomOf(file: string): string | null {
  return file.includes('/') ? (file.split('/')[0] ?? null) : null;
}

/** What a circle is made of: rooms, but for the two files of the supervisor that routers share with it. */
function unitOf(file: string): string {
  const shared = (ALLOWED.router ?? []).includes(file);
  return shared ? file : (roomOf(file) ?? (LEAVES.has(file) ? 'leaves' : file));
}

function isAllowed({ from, to }: Import): boolean {
  const [room, target] = [roomOf(from), roomOf(to)];
  if (room === null) return !LEAVES.has(from) || LEAVES.has(to);
  if (target === null) return LEAVES.has(to);
  if (room === target) return true;
  return (ALLOWED[room] ?? []).some((allowed) => allowed === target || allowed === to);
}

function show({ from, to }: Import): string {
  return `src/${from} imports src/${to}`;
}

/** Every circle that a walk along the edges runs into, once. */
function circles(edges: [from: string, to: string][]): string[] {
  const next = new Map<string, Set<string>>();
  for (const [from, to] of edges) {
    if (from !== to) next.set(from, (next.get(from) ?? new Set()).add(to));
  }
  const found = new Set<string>();
  const done = new Set<string>();
  const walk = (at: string, path: string[]) => {
    const start = path.indexOf(at);
    if (start >= 0) {
      found.add([...path.slice(start), at].join(' → '));
      return;
    }
    if (done.has(at)) return;
    for (const to of next.get(at) ?? []) walk(to, [...path, at]);
    done.add(at);
  };
  for (const from of next.keys()) walk(from, []);
  return [...found];
}
