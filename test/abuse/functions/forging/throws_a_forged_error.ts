// Throws an error of 2 MB that passes for one of the platform's, with a stack of its choice.
export default () => {
  const error = new Error(`{"code":"MEMORY_LIMIT"} ${'m'.repeat(1_000_000)}`);
  error.name = 'HearthError';
  error.stack = `forged at file:///etc/passwd:1:1\n${'s'.repeat(1_000_000)}`;
  throw error;
};
