// Ends its process through Node's calls.
import process from 'node:process';
export default () => process.reallyExit(7);
