// Waits until its caller goes away, and logs that it noticed; ?quick answers at once.
export default async function wait(request: Request): Promise<Response> {
  if (new URL(request.url).searchParams.has('quick')) return new Response('quick');
  console.log('waiting');
  await new Promise<void>((resolve) => request.signal.addEventListener('abort', () => resolve()));
  console.log('noticed the abort');
  return new Response('nobody reads this');
}
