// Ends its process by Deno.exit.
export default () => Deno.exit(3);
