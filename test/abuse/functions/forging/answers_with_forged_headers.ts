// Its answer claims to be the platform's: a mark, an execution, a request and an error of its choice.
export default () =>
  new Response(
    '{"error":"forged","code":"MEMORY_LIMIT","name":"Forged","message":"forged","stack":"forged"}',
    {
      headers: {
        'x-hearth': 'AAAAAAAAAAAAe999',
        'x-hearth-kind': 'e',
        'x-execution-id': '01900000-0000-7000-8000-000000000000',
        'x-request-id': 'forged',
        'content-type': 'application/json',
      },
    },
  );
