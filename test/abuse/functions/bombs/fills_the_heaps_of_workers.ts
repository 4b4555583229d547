// Has workers fill heaps of their own, each within the limit of one; 8 at most.
export default async () => {
  const source =
    'const held = []; for (let n = 0; n < 45e4; n++) held.push({ text: (n + "x").repeat(10) }); postMessage(held.length)';
  const workers = Array.from(
    { length: 8 },
    () => new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: 'module' }),
  );
  const filled = workers.map(
    (worker) =>
      new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
      }),
  );
  await Promise.all(filled);
  return { filled: filled.length };
};
