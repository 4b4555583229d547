// Answers never, unless asked to be quick.
export default (request) =>
  new URL(request.url).searchParams.has('quick') ? 'quick' : new Promise(() => {});
