// Logs 200,000 lines in one call.
export default () => {
  for (let line = 0; line < 200_000; line++) console.log(`line ${line} ${'x'.repeat(100)}`);
  return 'logged';
};
