// Returns an object that holds itself.
export default () => {
  const value = { name: 'round' };
  value.self = value;
  return value;
};
