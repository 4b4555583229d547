// Makes 20,000 small files.
export default () => {
  const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
  let made = 0;
  try {
    for (; made < 20_000; made++) Deno.writeTextFileSync(`${scratch}/small${made}`, 'x');
  } catch (error) {
    return { made, refused: String(error) };
  }
  return { made, refused: null };
};
