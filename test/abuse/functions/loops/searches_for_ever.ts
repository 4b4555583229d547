// Long work in one call of a built-in function: no JavaScript runs that could be interrupted.
export default () => Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);
