// Answers preflights itself, as functions of Supabase do.
export default (request: Request): Response => {
  const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'authorization' };
  if (request.method === 'OPTIONS') return new Response('ok', { headers });
  return Response.json({ method: request.method }, { headers });
};
