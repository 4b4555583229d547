// Returns an object whose toJSON throws.
export default () => ({
  toJSON() {
    throw new Error('not to be shown');
  },
});
