/** Where attacks are played: a node under each sandbox, a neighbour that is called all the while, and what is asked of both. */
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { z } from 'zod';
import type { SandboxKind } from '../../src/pool/sandbox.js';
import { type Neighbour, startNeighbour } from '../support/neighbour.js';
import { root, startNode, type TestNode } from '../support/node.js';
import { folderOf, routersOf } from '../support/processes.js';
import { differences } from './differences.js';

/** What must never come out of an attack: parts of files and environments that are others'. */
const SECRETS = ['canary-in-the-neighbours-code', 'canary-in-the-environment', 'root:x:0:0'];

export interface Attack {
  name: string;
  answer: Response;
  /** The whole body, held to hold no secret. */
  text: string;
}

export interface AttackOptions {
  settings?: Record<string, unknown>;
  /** What follows the function's name in the path. */
  path?: string;
  init?: RequestInit & { key?: 'service' | 'anon' | 'none' };
  /** Sent as JSON by POST. */
  json?: unknown;
  /** Text of the source to be replaced before it is deployed. */
  replace?: [string, string];
  /** Where the end of the attacker's own process is a refusal too. */
  mayEnd?: boolean;
}

export interface Stage {
  readonly kind: SandboxKind;
  readonly node: TestNode;
  readonly neighbour: Neighbour;
  /** The folder of the neighbour's process, on the machine. */
  readonly neighboursFolder: string;
  /** The node's own processes: the supervisor and its routers. */
  platform(): number[];
  /** Those that were not there when this was last asked. */
  newRouters(): number[];
  /** Deploys test/abuse/functions/<group>/<file>.ts under its own name, if it is not there yet. */
  deploy(file: string, options?: AttackOptions): Promise<string>;
  /** Deploys and calls it. */
  attack(file: string, options?: AttackOptions): Promise<Attack>;
  /** A call that is made again when it finds no process for itself: of many at once some wait in vain. */
  callTaken(name: string): Promise<Response>;
  /** Ends its processes: for what would go on and on. */
  remove(name: string): Promise<void>;
  /** The same for functions that say what each of their ways came to: those that were not refused. */
  waysOpen(file: string, options?: AttackOptions): Promise<Record<string, string>>;
  /** The ways that are open here by what `differences` says, for `toEqual`. */
  openWays(file: string): Record<string, unknown>;
  /** Whether `differences` says that this case ends otherwise here. */
  differs(file: string): boolean;
}

const Outcomes = z.record(z.string(), z.string());

/** Describes the same cases once for each sandbox; after each of them the neighbour is looked at. */
export function underEachSandbox(
  group: string,
  cases: (stage: Stage) => void,
  env: Record<string, string> = {},
): void {
  describe.each<SandboxKind>(['bwrap', 'permissions'])(`${group}, under %s`, (kind) => {
    const skipped = kind === 'bwrap' && !bubblewrapWorks();
    describe.skipIf(skipped)('each case', () => {
      const stage = createStage(kind, group, env);
      beforeAll(stage.start);
      afterEach(async () => {
        await stage.neighbour.answersAgain();
        expect(stage.neighbour.troubles(), 'what the neighbour’s caller saw').toEqual([]);
        // A router that dies takes every caller's connection with it, whether the neighbour had one or not.
        expect(stage.newRouters(), 'routers that had to be started anew').toEqual([]);
      });
      afterAll(stage.end);
      cases(stage);
    });
  });
}

function createStage(kind: SandboxKind, group: string, env: Record<string, string>) {
  let node: TestNode | undefined;
  let neighbour: Neighbour | undefined;
  let folder: string | undefined;
  let known: number[] = [];
  const deployed = new Set<string>();
  const seen: Record<string, Record<string, string>> = {};
  const there = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error('the stage is not set');
    return part;
  };

  const stage: Stage = {
    kind,
    get node() {
      return there(node);
    },
    get neighbour() {
      return there(neighbour);
    },
    get neighboursFolder() {
      return there(folder);
    },
    platform() {
      const supervisor = stage.node.process.pid ?? 0;
      return [supervisor, ...routersOf(supervisor).map(({ pid }) => pid)];
    },
    newRouters() {
      const before = known;
      known = stage.platform();
      return known.filter((pid) => !before.includes(pid));
    },
    async deploy(file, { settings, replace } = {}) {
      const name = basename(file);
      if (deployed.has(name)) return name;
      let code = await bundled(`${group}/${file}`);
      if (replace !== undefined) code = code.replace(...replace);
      await stage.node.deploy(name, code, { timeout_seconds: 5, ...settings });
      deployed.add(name);
      return name;
    },
    async attack(file, options = {}) {
      const name = await stage.deploy(file, options);
      const body = options.json === undefined ? {} : { method: 'POST', body: JSON.stringify(options.json) };
      const answer = await stage.node.call(name + (options.path ?? ''), { ...body, ...options.init });
      const text = await answer.text();
      for (const secret of [...SECRETS, stage.node.service_key, stage.node.jwt_secret])
        expect(text, 'what the attacker got').not.toContain(secret);
      return { name, answer, text };
    },
    async callTaken(name) {
      for (;;) {
        const answer = await stage.node.call(name);
        if (answer.status !== 503) return answer;
        await answer.body?.cancel();
      }
    },
    async remove(name) {
      deployed.delete(name);
      await stage.node.api(`/api/v1/functions/${name}`, { method: 'DELETE' });
    },
    async waysOpen(file, options = {}) {
      const { answer, text } = await stage.attack(file, options);
      if (options.mayEnd === true && answer.status === 502) return {};
      expect(answer.status, text).toBe(200);
      const outcomes = Outcomes.parse(JSON.parse(text));
      expect(Object.keys(outcomes)).not.toEqual([]);
      seen[file] = outcomes;
      return Object.fromEntries(
        Object.entries(outcomes).filter(([, outcome]) => !outcome.startsWith('refused: ')),
      );
    },
    openWays(file) {
      const found = differences.find((each) => each.sandbox === kind && each.case === `${group}/${file}`);
      return Object.fromEntries((found?.open ?? []).map((way) => [way, expect.any(String)]));
    },
    differs: (file) => differences.some((each) => each.sandbox === kind && each.case === `${group}/${file}`),
  };

  return Object.assign(stage, {
    async start() {
      const settings = {
        HEARTH_SANDBOX: kind,
        // One router for all: what an attacker does to it, the neighbour sees.
        HEARTH_ROUTERS: '1',
        HEARTH_ADMIN_KEY: 'canary-in-the-environment-of-the-supervisor',
        ...env,
      };
      node = await startNode(settings);
      neighbour = await startNeighbour(node, { code: await bundled('neighbour') });
      known = stage.platform();
      folder = folderOf(node.process.pid ?? 0, 'canary-in-the-neighbours-code');
    },
    async end() {
      const summary = await neighbour?.stop();
      await node?.remove();
      if (summary === undefined) return;
      const results = join(root, 'test/abuse/results');
      await mkdir(results, { recursive: true });
      const line = JSON.stringify({ group, sandbox: kind, ...summary });
      await writeFile(join(results, `${group}-${kind}.json`), `${line}\n`);
      process.stdout.write(`${line}\n`);
      // What each way came to, to be read when a wall changes: a refusal should be one for the right reason.
      await writeFile(join(results, `${group}-${kind}-ways.json`), JSON.stringify(seen, null, 2));
      expect(summary.failed, `of ${summary.calls} calls of the neighbour`).toBe(0);
    },
  });
}

/** One module of a source below test/abuse/functions and what it imports there: a deploy takes one module alone. */
async function bundled(path: string): Promise<string> {
  const entry = join(root, 'test/abuse/functions', `${path}.ts`);
  const built = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'esnext',
    external: ['node:*', 'file:*'],
    logLevel: 'silent',
  });
  return built.outputFiles[0]?.text ?? '';
}

function bubblewrapWorks(): boolean {
  const tried = spawnSync('bwrap', ['--ro-bind', '/', '/', '--unshare-user', '--unshare-pid', 'true']);
  return tried.status === 0;
}
