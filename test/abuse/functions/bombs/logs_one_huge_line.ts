// Logs a line of 64 MB, and an object that is long to show.
export default () => {
  console.log('x'.repeat(64 * 1024 * 1024));
  console.log(
    Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => ({ deep: { deeper: {} } }))),
  );
  return 'logged';
};
