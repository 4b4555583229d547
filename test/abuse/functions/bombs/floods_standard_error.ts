// Writes 16 MB to standard error, in one line without an end.
import process from 'node:process';
export default async () => {
  const bytes = new TextEncoder().encode('x'.repeat(64 * 1024));
  for (let count = 0; count < 256; count++) await Deno.stderr.write(bytes);
  process.stderr.write('through node as well');
  return 'written';
};
