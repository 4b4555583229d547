// Opens one file 5,000 times, and closes none.
export default () => {
  const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
  Deno.writeTextFileSync(`${scratch}/one`, 'x');
  const held = [];
  try {
    for (let count = 0; count < 5000; count++) held.push(Deno.openSync(`${scratch}/one`));
  } catch (error) {
    return { open: held.length, refused: String(error) };
  }
  return { open: held.length, refused: null };
};
