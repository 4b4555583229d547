// Writes 16 MB past console, to standard output itself.
export default async () => {
  const bytes = new TextEncoder().encode(`${'x'.repeat(1023)}\n`.repeat(64));
  for (let count = 0; count < 256; count++) await Deno.stdout.write(bytes);
  return 'written';
};
