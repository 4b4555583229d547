// Throws a string.
export default () => {
  throw 'only words';
};
