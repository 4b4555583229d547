// Throws an error whose message takes for ever to read.
export default () => {
  throw Object.defineProperty(new Error('x'), 'message', {
    get() {
      for (;;);
    },
  });
};
