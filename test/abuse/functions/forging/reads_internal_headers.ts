// Shows every header that it gets, by all the ways to them.
export default (request: Request, context: object) => ({
  headers: [...request.headers],
  clone: [...request.clone().headers],
  context: Object.getOwnPropertyNames(context),
  shown: Deno.inspect(context, { showHidden: true, depth: 10 }),
});
