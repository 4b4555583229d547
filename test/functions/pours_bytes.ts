// Streams as many bytes as it is asked for, without end if not told; tells how many it has made.
const CHUNK = new Uint8Array(64 * 1024).fill(120);
let made = 0;
let cancelled = 0;

export default function pour(request: Request): Response {
  const query = new URL(request.url).searchParams;
  if (query.has('made')) return Response.json({ made, cancelled });
  let left = Number(query.get('bytes') ?? Number.POSITIVE_INFINITY);
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
        left -= chunk.length;
        made += chunk.length;
        controller.enqueue(chunk);
        if (left <= 0) controller.close();
      },
      cancel() {
        cancelled++;
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body);
}
