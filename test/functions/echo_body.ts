// Sends the body back as it comes, with its type.
export default (request: Request): Response =>
  new Response(request.body, {
    headers: { 'content-type': request.headers.get('content-type') ?? 'application/octet-stream' },
  });
