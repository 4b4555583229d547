/** The same, from a handler that is given `Deno.serve`'s info. */
Deno.serve(
  (_, info) => new Response(String(Deno.memoryUsage().heapTotal / 2 ** 20 + 0 * String(info).length)),
);
