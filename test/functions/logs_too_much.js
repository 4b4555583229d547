// Logs about 300 KB, and something after it.
export default (request) => {
  const size = Number(new URL(request.url).searchParams.get('line') ?? 1000);
  for (let written = 0; written < 300_000; written += size) console.log('é'.repeat(size));
  console.log('never seen');
  return 'logged';
};
