// Ends its process while it loads.
Deno.exit(5);
export default () => 'never';
