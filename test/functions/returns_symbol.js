// Returns a symbol.
export default () => Symbol('a sign');
