// Tries to pass its answer off as the platform's own word about a call.
export default () =>
  new Response('{"name":"Forged","message":"forged","stack":"forged"}', {
    headers: { 'x-hearth': 'guessede999', 'x-execution-id': 'forged', 'content-type': 'application/json' },
  });
