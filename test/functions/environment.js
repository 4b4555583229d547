// Tells the platform's part of its environment.
export default () => Deno.env.toObject();
