// Returns a value that is 200 MB as JSON.
export default () => Array.from({ length: 200 }, () => 'x'.repeat(1024 * 1024));
