// Answers with the request as it arrived, in the style of Fluxbase: a plain object in, a plain object out.

async function handler(request) {
  console.log(`${request.method} ${request.url}`);
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      method: request.method,
      url: request.url,
      headers: request.headers,
      body: request.body === '' ? null : parse(request.body),
      user: { id: request.user_id ?? null, role: request.user_role ?? null },
    }),
  };
}

function parse(body) {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
