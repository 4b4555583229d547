// Answers, and then keeps its process busy for ever.
export default (request: Request) => {
  if (request.url.endsWith('?next')) return 'the next call';
  setTimeout(() => {
    for (;;);
  }, 20);
  return 'answered';
};
