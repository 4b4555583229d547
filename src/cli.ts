#!/usr/bin/env node
/** The command line, `hearth`: what the API offers about keys and tokens, for people. */
import { runCli } from './cli/main.js';

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  dist: import.meta.dirname,
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
});
