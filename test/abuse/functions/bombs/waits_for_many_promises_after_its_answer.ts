// Gives 10,000 promises to waitUntil, half of which reject.
export default () => {
  for (let count = 0; count < 10_000; count++)
    EdgeRuntime.waitUntil(count % 2 === 0 ? Promise.resolve() : Promise.reject(new Error('x')));
  return 'answered';
};
