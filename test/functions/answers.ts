// Answers in the way that the last part of the path names.
export default (request: Request): Response => {
  switch (new URL(request.url).pathname.split('/').at(-1)) {
    case 'cookies': {
      const headers = new Headers({ 'x-one': '1' });
      headers.append('set-cookie', 'a=1; Path=/');
      headers.append('set-cookie', 'b=2; HttpOnly');
      return new Response('two cookies', { headers });
    }
    case 'no-content':
      return new Response(null, { status: 204, headers: { 'x-kept': 'yes' } });
    case 'not-modified':
      return new Response(null, { status: 304, headers: { etag: '"v1"' } });
    case 'redirect':
      return Response.redirect('https://example.test/elsewhere?a=1', 307);
    case 'sized':
      return new Response('0123456789', { headers: { 'content-type': 'text/plain' } });
    case 'gzip': {
      const packed = new Blob(['packed '.repeat(1000)]).stream().pipeThrough(new CompressionStream('gzip'));
      return new Response(packed, { headers: { 'content-encoding': 'gzip', 'content-type': 'text/plain' } });
    }
    case 'long-text':
      return new Response('long text '.repeat(1000), { headers: { 'content-type': 'text/plain' } });
    case 'ids':
      return new Response('mine', { headers: { 'x-request-id': 'forged', 'x-execution-id': 'forged' } });
    default:
      return new Response('what?', { status: 418 });
  }
};
