// Makes one file as long as it can be: 320 MB at most.
export default async () => {
  const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
  using file = await Deno.open(`${scratch}/huge`, { create: true, write: true });
  const bytes = new Uint8Array(8 * 1024 * 1024).fill(1);
  let written = 0;
  try {
    for (; written < 320 * 1024 * 1024; written += bytes.length) await file.write(bytes);
  } catch (error) {
    return { written, refused: String(error) };
  }
  return { written, refused: null };
};
