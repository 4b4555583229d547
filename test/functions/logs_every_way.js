// Uses every method of the console that writes.
export default () => {
  console.log('log', 1, { a: [1, 2], deep: { x: null } });
  console.info('info %s and %d', 'text', 42);
  console.debug('debug');
  console.warn('warn');
  console.error(new Error('an error as a value'));
  console.assert(false, 'assertion');
  console.table([{ name: 'a row' }]);
  console.group('group');
  console.log('inside', 1);
  console.groupEnd();
  console.count('counter');
  console.dir({ dir: true });
  console.log('two\nlines');
  console.log('%s', 'ünïcödé ✓ 🦕');
  console.log();
  return 'logged';
};
