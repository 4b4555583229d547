// Tells what it saw of a request: method, URL, headers as they came, and the body as base64.
export default async function mirror(request: Request): Promise<Response> {
  const body = new Uint8Array(await request.arrayBuffer());
  let binary = '';
  for (const byte of body) binary += String.fromCharCode(byte);
  return Response.json(
    { method: request.method, url: request.url, headers: [...request.headers], body: btoa(binary) },
    { headers: { 'x-method': request.method } },
  );
}
