// One call listens for server-sent events; each other call has it send, log or end. Needs max_instances 1.
let listener: ReadableStreamDefaultController<string> | undefined;
let log: ((text: string) => void) | undefined;

export default function answer(request: Request): Response {
  const url = new URL(request.url);
  const text = url.searchParams.get('text') ?? '';
  switch (url.pathname.split('/').at(-1)) {
    case 'listen':
      return new Response(
        new ReadableStream<string>({
          start(controller) {
            listener = controller;
            log = (text) => console.log(text);
          },
        }).pipeThrough(new TextEncoderStream()),
        { headers: { 'content-type': 'text/event-stream' } },
      );
    case 'send':
      listener?.enqueue(`data: ${text}\n\n`);
      break;
    case 'log':
      console.log(text);
      break;
    case 'break':
      listener?.error(new Error('broken on purpose'));
      break;
    case 'end':
      listener?.close();
      break;
  }
  return new Response(log === undefined ? 'nobody listens' : 'told');
}
