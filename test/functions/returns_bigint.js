// Returns a value that JSON does not have.
export default () => ({ big: 10n });
