// Replaces what the platform might lean on while it answers.
JSON.stringify = () => {
  throw new Error('replaced');
};
JSON.parse = JSON.stringify;
globalThis.Response = class {};
globalThis.Headers = class {};
globalThis.Request = class {};
globalThis.TextEncoder = class {};
Date.now = () => Number.NaN;
Deno.inspect = JSON.stringify;
export default (request) => {
  console.log('a line');
  if (request.url.endsWith('throw')) throw new Error('thrown all the same');
  return { status: 200, headers: { 'x-still': 'here' }, body: 'still works' };
};
