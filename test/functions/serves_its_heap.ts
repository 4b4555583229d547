/** The same, by `Deno.serve`. */
Deno.serve(() => new Response(String(Deno.memoryUsage().heapTotal / 2 ** 20)));
