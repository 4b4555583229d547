// Opens 3,000 connections to the address that the request names, and closes none.
const held: Deno.Conn[] = [];
export default async (request: Request) => {
  const { hostname, port } = await request.json();
  try {
    for (let count = 0; count < 3000; count++) held.push(await Deno.connect({ hostname, port }));
  } catch (error) {
    return { open: held.length, refused: String(error) };
  }
  return { open: held.length, refused: null };
};
