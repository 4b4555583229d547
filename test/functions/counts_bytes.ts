// Reads its body piece by piece, and answers with how much it was.
export default async function count(request: Request): Promise<Response> {
  let bytes = 0;
  for await (const chunk of request.body ?? []) bytes += chunk.length;
  return Response.json({ bytes });
}
