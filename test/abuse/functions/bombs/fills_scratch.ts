// Fills its scratch folder: 320 MB at most.
export default async () => {
  const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
  const bytes = new Uint8Array(8 * 1024 * 1024).fill(1);
  let written = 0;
  try {
    for (let count = 0; count < 40; count++) {
      await Deno.writeFile(`${scratch}/fill${count}`, bytes);
      written += bytes.length;
    }
  } catch (error) {
    return { written, refused: String(error) };
  }
  return { written, refused: null };
};
