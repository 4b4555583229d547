// Starts 100 workers, each a thread.
export default async () => {
  const started: Promise<unknown>[] = [];
  for (let count = 0; count < 100; count++) {
    const worker = new Worker("data:text/javascript,postMessage('up')", { type: 'module' });
    started.push(
      new Promise((resolve, reject) => {
        worker.onmessage = resolve;
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
      }),
    );
  }
  await Promise.all(started);
  return { workers: started.length };
};
