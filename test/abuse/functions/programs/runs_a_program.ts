// Starts programs with Deno's own calls.
import { tries } from '../tries.ts';

export default () =>
  tries({
    output: () => new Deno.Command('/bin/true').output(),
    spawn: () => new Deno.Command('/bin/true').spawn().status,
    sync: () => new Deno.Command('true').outputSync(),
    itself: () => new Deno.Command(Deno.execPath(), { args: ['eval', '1'] }).outputSync(),
    by_file: () => new Deno.Command('/deno', { args: ['--version'] }).outputSync(),
  });
