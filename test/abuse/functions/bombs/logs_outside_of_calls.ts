// Logs where no call is to be blamed: a timer that goes on for the second in which it may.
let lines = 0;
const noise = () => {
  for (let count = 0; count < 500; count++) console.log(`noise ${++lines} ${'x'.repeat(1000)}`);
  if (lines < 20_000) setTimeout(noise, 1);
};
setTimeout(noise, 1);
export default async () => {
  while (lines < 20_000) await new Promise((resolve) => setTimeout(resolve, 5));
  return { lines };
};
