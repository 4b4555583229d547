// Leaves a rejected promise behind, and answers.
export default (request) => {
  if (new URL(request.url).searchParams.has('started')) return started;
  Promise.reject(new Error('nobody catches this'));
  return started;
};
const started = crypto.randomUUID();
