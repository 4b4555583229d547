// Uses a request, and answers, in the way that the last part of the path names.
export default async (request: Request): Promise<Response> => {
  switch (new URL(request.url).pathname.split('/').at(-1)) {
    case 'kind':
      return Response.json([request instanceof Request, String(request), request.constructor === Request]);
    case 'twice': {
      const copy = request.clone();
      return Response.json([request.bodyUsed, await request.text(), request.bodyUsed, await copy.text()]);
    }
    case 'again': {
      const next = new Request('http://localhost/next', request);
      return Response.json([next.method, next.headers.get('x-given'), await next.json()]);
    }
    case 'form':
      return Response.json([...(await request.formData())]);
    case 'stream': {
      const parts: string[] = [];
      for await (const part of request.body ?? []) parts.push(new TextDecoder().decode(part));
      return new Response(parts.join(''));
    }
    case 'latin':
      return new Response(request.headers.get('x-given'), {
        headers: { 'x-back': request.headers.get('x-given') ?? '', 'content-type': 'text/plain' },
      });
    case 'large':
      return new Response('ä€🔥'.repeat(40_000));
    case 'large-bytes':
      return new Response(new Uint8Array(300_000).fill(7));
    case 'lies':
      return new Response('12345', {
        headers: { 'content-length': '3', 'transfer-encoding': 'chunked', connection: 'close' },
      });
    case 'control-character':
      return new Response('a', { headers: { 'x-odd': 'a\u0001b' } });
    case 'used': {
      const answer = new Response('read before');
      await answer.text();
      return answer;
    }
    case 'peeked': {
      const answer = new Response('looked at');
      void answer.body;
      return answer;
    }
    default:
      return new Response('what?', { status: 418 });
  }
};
