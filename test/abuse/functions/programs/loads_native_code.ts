// Loads libraries of the system into the process.
import { createRequire } from 'node:module';
import process from 'node:process';
import { tries } from '../tries.ts';

export default () =>
  tries({
    dlopen: () => Deno.dlopen('libc.so.6', { getpid: { parameters: [], result: 'i32' } }).symbols.getpid(),
    by_path: () =>
      Deno.dlopen('/lib/x86_64-linux-gnu/libc.so.6', {
        getpid: { parameters: [], result: 'i32' },
      }).symbols.getpid(),
    process: () => process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libc.so.6'),
    addon: () => createRequire('file:///tmp/x.js')('/tmp/x.node'),
    pointer: () => Deno.UnsafePointer.create(4096n),
    view: () => new Deno.UnsafePointerView(Deno.UnsafePointer.create(4096n) as never).getInt8(),
  });
