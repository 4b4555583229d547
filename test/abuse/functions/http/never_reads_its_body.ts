// Answers at once, without a look at what it is sent.
export default () => new Response('not read', { status: 202 });
