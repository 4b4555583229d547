// Throws in a timer, after its answer.
export default (request) => {
  if (new URL(request.url).searchParams.has('started')) return started;
  setTimeout(() => {
    throw new Error('thrown in a timer');
  }, 10);
  return started;
};
const started = crypto.randomUUID();
