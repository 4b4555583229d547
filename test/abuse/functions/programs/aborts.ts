// Aborts its process.
import process from 'node:process';
export default () => process.abort();
