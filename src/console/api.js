// The API, as any client reaches it: with the service key, which stays in this tab.

const KEY = 'hearth-service-key';

/** What the API answered instead; `details` has fields, lines and columns. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error ?? `The node answered ${status}.`);
    this.status = status;
    this.details = body?.details;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** `fetch` with the key; the answer as it comes. */
export function send(path, { headers, ...init } = {}) {
  return fetch(path, { ...init, headers: { authorization: `Bearer ${key.get()}`, ...headers } });
}

/** Resolves with the answer's JSON. Throws ApiError. */
export async function api(path, { json, ...init } = {}) {
  const body = json === undefined ? {} : { body: JSON.stringify(json) };
  const answer = await send(`/api/v1${path}`, {
    ...init,
    ...body,
    headers: json === undefined ? {} : { 'content-type': 'application/json' },
  }).catch(() => {
    throw new ApiError(0, { error: 'The node does not answer.' });
  });
  if (answer.status === 204) return null;
  const value = await answer.json().catch(() => null); // a proxy in between may answer with something else
  if (!answer.ok) throw new ApiError(answer.status, value);
  return value;
}

/** Server-sent events over `fetch`, because EventSource sends no Authorization. Ends with the stream or the signal. */
export async function events(path, signal, onEvent) {
  const answer = await send(`/api/v1${path}`, { signal });
  if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => null));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { name: 'message', data: '' };
      for (const line of block.split('\n')) {
        if (line.startsWith('event: ')) event.name = line.slice(7);
        if (line.startsWith('data: ')) event.data += line.slice(6);
      }
      if (event.data !== '') onEvent(event.name, JSON.parse(event.data));
    }
  }
}
