// Waits until its caller goes away, and logs that it noticed; ?quick answers at once, ?stream with a stream in the end.
export default async function wait(request: Request): Promise<Response> {
  if (new URL(request.url).searchParams.has('quick')) return new Response('quick');
  console.log('waiting');
  await new Promise<void>((resolve) => request.signal.addEventListener('abort', () => resolve()));
  console.log('noticed the abort');
  if (new URL(request.url).searchParams.has('stream'))
    return new Response(new ReadableStream({ cancel: () => console.log('stream given up') }));
  return new Response('nobody reads this');
}
