// Ends its process as programs for Node do.
import process from 'node:process';
export default () => process.exit(0);
