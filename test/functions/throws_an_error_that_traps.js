// Throws an Error whose message and stack throw when they are read.
export default () => {
  const error = new Error('hidden');
  const trap = {
    get() {
      throw new Error('do not look');
    },
  };
  Object.defineProperty(error, 'message', trap);
  Object.defineProperty(error, 'stack', trap);
  throw error;
};
