/**
 * The files that a process loads its module from, made and opened before it is known what they will hold: on the way of
 * a first call each system call counts.
 */
import { closeSync, openSync, write, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** In the process's folder of code. */
export const MODULE_FILE = 'main.js';
export const V8_FILE = 'v8.bin';
const MAP_FILE = `${MODULE_FILE}.map`;
/** All that can be in that folder. */
export const CODE_FILES = [MODULE_FILE, MAP_FILE, V8_FILE] as const;

export interface CodeFiles {
  /**
   * Writes a module, once.
   *
   * @param v8 V8's code cache of it, if there is one.
   * @returns null: it is done.
   */
  write(files: ModuleFiles, v8: Buffer | null): Promise<void> | null;
  close(): void;
}

/** A prepared module as it lies in a process's folder. */
export interface ModuleFiles {
  /** The parts of the module's file in turn. */
  module: readonly Buffer[];
  /** Its source map, if it has one. */
  map: Buffer | null;
}

const INLINE_MAP = '//# sourceMappingURL=data:application/json;base64,';
const MAP_COMMENT = Buffer.from(`//# sourceMappingURL=${MAP_FILE}\n`);
/** Bytes up to which a write takes less than a turn through the thread pool. */
const AT_ONCE_BYTES = 256 * 1024;
const writeInPool = promisify(write);

/**
 * A prepared module's source map goes into a file of its own: Deno reads that when a stack is asked for, where it would take
 * an inline one apart while it loads the module, which takes three times as long as all else.
 */
export function moduleFiles(bundle: Buffer): ModuleFiles {
  const at = bundle.lastIndexOf(INLINE_MAP);
  if (at < 0) return { module: [bundle], map: null };
  const map = Buffer.from(bundle.toString('latin1', at + INLINE_MAP.length), 'base64');
  return { module: [bundle.subarray(0, at), MAP_COMMENT], map };
}

/** @param dir exists, and has none of the files. */
export function openCodeFiles(dir: string): CodeFiles {
  const files = [MODULE_FILE, MAP_FILE].map((name) => openSync(join(dir, name), 'wx', 0o444));

  /** Files that are being written are not the process's end's to close. */
  function takeFiles(): number[] {
    return files.splice(0);
  }

  function closeAll(open: number[]) {
    for (const file of open) closeSync(file);
  }

  function writeModule({ module, map }: ModuleFiles): Promise<void> | null {
    const open = takeFiles();
    const [moduleFile, mapFile] = open;
    if (moduleFile === undefined || mapFile === undefined) return null;
    const parts: [number, Buffer][] = module.map((part) => [moduleFile, part]);
    if (map !== null) parts.push([mapFile, map]);
    if (parts.reduce((sum, [, bytes]) => sum + bytes.length, 0) > AT_ONCE_BYTES)
      return writeLarge(parts).finally(() => closeAll(open));
    try {
      for (const [file, bytes] of parts)
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    } finally {
      closeAll(open);
    }
    return null;
  }

  return {
    write(files, v8) {
      const module = writeModule(files);
      if (v8 === null) return module;
      return Promise.all([module, writeFile(join(dir, V8_FILE), v8, { mode: 0o444 })]).then(() => {});
    },
    close: () => closeAll(takeFiles()),
  };
}

async function writeLarge(parts: [number, Buffer][]): Promise<void> {
  for (const [file, bytes] of parts)
    for (let done = 0; done < bytes.length; ) done += (await writeInPool(file, bytes, done)).bytesWritten;
}
