// Starts 200,000 timers that go off again and again.
export default () => {
  for (let count = 0; count < 200_000; count++) setInterval(() => {}, 1);
  return 'started';
};
