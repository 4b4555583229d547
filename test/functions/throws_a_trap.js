// Throws an object that throws when it is looked at.
export default () => {
  throw {
    get message() {
      throw new Error('do not look');
    },
    get stack() {
      throw new Error('do not look');
    },
    toString() {
      throw new Error('do not look');
    },
    [Symbol.for('Deno.customInspect')]() {
      throw new Error('do not look');
    },
  };
};
