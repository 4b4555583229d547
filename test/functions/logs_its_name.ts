// Logs ten lines with the caller's mark in each, giving way to other calls in between.
export default async function log(request: Request): Promise<Response> {
  const mark = new URL(request.url).searchParams.get('mark');
  for (let line = 0; line < 10; line++) {
    console.log(`${mark} line ${line}`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
    await deeper(mark, line);
  }
  return new Response('logged');
}

async function deeper(mark: string | null, line: number) {
  await Promise.resolve();
  queueMicrotask(() => console.log(`${mark} deep ${line}`));
}
