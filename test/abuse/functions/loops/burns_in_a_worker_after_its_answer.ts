// Answers, and leaves a worker behind that burns a core, and tells its beat to the request's address.
export default async (request: Request) => {
  const { beat } = await request.json();
  const source = `
    const work = async () => {
      for (;;) {
        const end = Date.now() + 20;
        while (Date.now() < end);
        await fetch(${JSON.stringify(beat)}).then((answer) => answer.text());
      }
    };
    postMessage('started');
    await work();`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: 'module' });
  await new Promise((resolve) => {
    worker.onmessage = resolve;
  });
  return 'answered';
};
