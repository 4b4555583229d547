// Logs before its answer, after it, and from a promise that EdgeRuntime.waitUntil holds.
declare const EdgeRuntime: { waitUntil(promise: Promise<unknown>): void };

export default (request: Request): Response => {
  console.log('before the answer');
  setTimeout(() => console.log('after the answer'), 50);
  if (new URL(request.url).searchParams.has('wait')) EdgeRuntime.waitUntil(later());
  if (new URL(request.url).searchParams.has('fail'))
    EdgeRuntime.waitUntil(Promise.reject(new Error('too late')));
  return new Response('answered');
};

async function later() {
  await new Promise((resolve) => setTimeout(resolve, 300));
  console.log('from waitUntil');
}
