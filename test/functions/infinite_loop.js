// Loops for ever when asked to, and is then deaf to everything else.
export default (request) => {
  if (!new URL(request.url).searchParams.has('loop')) return { pid: Deno.pid, started };
  console.log('the loop begins');
  for (;;);
};
const started = crypto.randomUUID();
