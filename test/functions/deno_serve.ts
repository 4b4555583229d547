// The style of Deno and Supabase: a handler given to Deno.serve, with options before it.
Deno.serve({ port: 9999, onListen: () => {} }, (request, info) => {
  const { hostname } = info.remoteAddr as Deno.NetAddr;
  return new Response(`served ${request.method} for ${hostname}`, { status: 202 });
});
