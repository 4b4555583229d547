/** MiB of memory that V8 has taken for its heap. */
export default () => new Response(String(Deno.memoryUsage().heapTotal / 2 ** 20));
