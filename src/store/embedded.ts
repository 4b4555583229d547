/** The embedded PostgreSQL: a real server of one node's own, on a private Unix socket, that ends with the node. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StartError } from '../errors.js';
import type { SocketConnection } from './connection.js';
import { findBinaries } from './embedded_binaries.js';
import {
  createData,
  exists,
  makeDataDir,
  removeUnfinished,
  SUPERUSER,
  superuserPassword,
} from './embedded_data.js';
import { inUse, waitUntilUnused } from './embedded_lock.js';
import { makeSocketFolder, SOCKET_PORT } from './embedded_socket.js';
import { chooseUser, giveTo, type RunAs } from './embedded_user.js';

export interface EmbeddedOptions {
  /** The database lies in `postgres/` in it, its superuser's password in `postgres-password`. Made if missing. */
  dataDir: string;
  /** Told what takes long, as a phrase for a person: `creating the database`. */
  onProgress?: (what: string) => void;
}

export interface Embedded {
  connection: SocketConnection;
  /** Settles only if the server ends without stop(): the last thing that it said. */
  died: Promise<string>;
  /** Fast shutdown: cuts the connections, writes everything, at most some 15 s. May be called more than once. */
  stop(): Promise<void>;
}

/** Bytes of the server's log that are kept for error messages. */
const LOG_TAIL = 8192;

/**
 * Starts the server, creating its database first where there is none (about 1 s).
 *
 * @throws StartError when the data directory cannot be written or is in use, or the server does not start.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dataDir = resolve(options.dataDir);
  const data = join(dataDir, 'postgres');
  const onProgress = options.onProgress ?? (() => {});

  await makeDataDir(dataDir);
  const binaries = await findBinaries();
  await waitUntilUnused(data);
  await removeUnfinished(dataDir);
  const password = await superuserPassword(dataDir, data);
  const user = await chooseUser(binaries.postgres, dataDir, (await exists(data)) ? data : null);
  const socketFolder = await makeSocketFolder();
  try {
    await giveTo(user, socketFolder);
    if (!(await exists(data))) {
      onProgress('creating the database');
      await createData({ initdb: binaries.initdb, user, data, scratch: socketFolder, password });
    }
    const server = await startServer(binaries.postgres, user, data, socketFolder, onProgress);
    let stopped: Promise<void> | undefined;
    return {
      connection: { host: socketFolder, port: SOCKET_PORT, user: SUPERUSER, password, database: 'postgres' },
      died: server.died,
      stop: () => {
        stopped ??= server.stop().then(() => rm(socketFolder, { recursive: true, force: true }));
        return stopped;
      },
    };
  } catch (error) {
    await rm(socketFolder, { recursive: true, force: true });
    throw error;
  }
}

/** What a small node wants; the rest is PostgreSQL's default. */
function settings(socketFolder: string): Record<string, string> {
  return {
    listen_addresses: '',
    port: String(SOCKET_PORT),
    unix_socket_directories: socketFolder,
    unix_socket_permissions: '0700',
    shared_buffers: '64MB',
    max_connections: '100',
    timezone: 'UTC',
    // The log goes through our pipe, which tells readiness by it: these words have to be English.
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '',
    lc_messages: 'C',
    // Statements here are short: compiling them costs more than it saves.
    jit: 'off',
  };
}

async function startServer(
  postgres: string,
  user: RunAs,
  data: string,
  socketFolder: string,
  onProgress: (what: string) => void,
): Promise<{ died: Promise<string>; stop(): Promise<void> }> {
  const flags = Object.entries(settings(socketFolder)).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [file = '', ...args] = [...user.prefix, postgres, '-D', data, ...flags];
  // A session of its own: a Ctrl-C in the terminal is for us alone, who stop the server last.
  const child = spawn(file, args, {
    ...user.ids,
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  let stopping = false;
  const exited = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', (error) => {
      log += `${error.message}\n`;
      done();
    });
  });
  const watcher = user.leashed ? null : watchOver(child);
  void exited.then(() => watcher?.kill('SIGKILL'));

  const ready = new Promise<void>((done) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-LOG_TAIL);
      if (text.includes('was interrupted')) onProgress('recovering the database');
      if (log.includes('ready to accept connections')) done();
    });
  });
  await Promise.race([ready, exited]);
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    if (log.includes('lock file "postmaster.pid" already exists')) {
      throw inUse(data, Number(/\(PID (\d+)\)/.exec(log)?.[1] ?? Number.NaN) || null);
    }
    throw new StartError(`the database in ${data} does not start: ${lastWords(log)}`);
  }
  return {
    died: new Promise((tell) => {
      void exited.then(() => stopping || tell(lastWords(log)));
    }),
    stop: () => {
      stopping = true;
      return shutDown(child, exited);
    },
  };
}

/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, which recovers at the next start. */
async function shutDown(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.kill('SIGINT');
  const quit = setTimeout(() => child.kill('SIGQUIT'), 10_000);
  const kill = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await exited;
  clearTimeout(quit);
  clearTimeout(kill);
}

/**
 * Where the kernel does not end the server with us, a shell does: its standard input is a pipe that only we hold
 * open, so that it ends with us, however we end.
 */
function watchOver(child: ChildProcess): ChildProcess {
  const script = 'read -r _; kill -INT "$1"';
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.once('error', (error) => child.stderr?.emit('data', `no watcher: ${error.message}\n`));
  return watcher;
}

function lastWords(log: string): string {
  const lines = log.trim().split('\n');
  return lines.findLast((line) => /FATAL|PANIC|error/.test(line)) ?? lines.at(-1) ?? 'it said nothing';
}
