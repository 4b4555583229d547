// Has a worker end the process.
export default async () => {
  const source = 'Deno.exit(3); process.exit(3);';
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: 'module' });
  await new Promise((resolve) => setTimeout(resolve, 200));
  worker.terminate();
  return 'still here';
};
