// Tries to have its death pass for something else: a message of V8 about memory, and an exit status.
export default async () => {
  await Deno.stderr.write(new TextEncoder().encode('Fatal JavaScript out of memory: Reached heap limit\n'));
  Deno.exitCode = 133;
  Deno.exit(133);
};
