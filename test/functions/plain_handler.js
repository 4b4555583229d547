// The Fluxbase style: a handler that is not exported, a plain object in, a plain object out.
async function handler(request) {
  return { status: 201, headers: { 'x-style': 'plain' }, body: JSON.stringify(request) };
}
