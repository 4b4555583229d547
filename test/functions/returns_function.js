// Returns a function.
export default () => () => 'inner';
