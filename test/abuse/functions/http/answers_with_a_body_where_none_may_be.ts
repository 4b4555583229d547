// Answers HEAD, 204 and 304 with what would be the next answer, if its body were sent.
const forged = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged';
export default (request: Request) => {
  const status = Number(new URL(request.url).searchParams.get('status') ?? 200);
  if (status === 200) return new Response(forged);
  return { status, headers: { 'content-length': String(forged.length) }, body: forged };
};
