/** What a function returned, as a `Response`; nonsense becomes an error that says what was wrong. */

/** A return value that cannot be sent. Its message is for the function's author. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
}

const { stringify } = JSON;
const OriginalResponse = Response;
const OriginalHeaders = Headers;

export function toResponse(value: unknown): Response {
  if (value instanceof OriginalResponse) return checked(value);
  if (typeof value === 'string') return new OriginalResponse(value);
  if (isAnswerObject(value)) return fromAnswerObject(value);
  return json(value, 200, new OriginalHeaders());
}

function checked(response: Response): Response {
  if (response.bodyUsed) throw new BadAnswer('the function returned a Response whose body was already used');
  if (response.status === 0) throw new BadAnswer('the function returned Response.error()');
  return response;
}

interface AnswerObject {
  status: number;
  headers?: unknown;
  body?: unknown;
}

/** `{ status, headers, body }` of the Fluxbase style: a numeric status and no other key. */
function isAnswerObject(value: unknown): value is AnswerObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (typeof (value as { status?: unknown }).status !== 'number') return false;
  return Object.keys(value).every((key) => key === 'status' || key === 'headers' || key === 'body');
}

function fromAnswerObject(answer: AnswerObject): Response {
  const { status, body } = answer;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new BadAnswer(
      `the function returned the status ${status}, which is not a whole number from 200 to 599`,
    );
  }
  const headers = toHeaders(answer.headers);
  if (status === 204 || status === 205 || status === 304)
    return new OriginalResponse(null, { status, headers });
  if (body === undefined || body === null) return new OriginalResponse(null, { status, headers });
  if (typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream) {
    return new OriginalResponse(body as BodyInit, { status, headers });
  }
  return json(body, status, headers);
}

function toHeaders(value: unknown): Headers {
  if (value === undefined || value === null) return new OriginalHeaders();
  try {
    return new OriginalHeaders(value as HeadersInit);
  } catch (thrown) {
    throw new BadAnswer(
      `the function returned headers that cannot be sent: ${String((thrown as Error).message)}`,
    );
  }
}

function json(value: unknown, status: number, headers: Headers): Response {
  let text: string | undefined;
  try {
    text = stringify(value);
  } catch (thrown) {
    throw new BadAnswer(
      `the function returned a value that is not JSON: ${String((thrown as Error).message)}`,
    );
  }
  if (text === undefined)
    throw new BadAnswer(`the function returned ${typeof value}, which cannot be an answer`);
  if (!headers.has('content-type')) headers.set('content-type', 'application/json');
  return new OriginalResponse(text, { status, headers });
}

/** Adds a header, also to a `Response` whose headers cannot be changed (one that `fetch` gave, a redirect). */
export function withHeader(response: Response, name: string, value: string): Response {
  if (response.status === 101) return response;
  try {
    response.headers.set(name, value);
    return response;
  } catch {
    const copy = new OriginalResponse(response.body, response);
    copy.headers.set(name, value);
    return copy;
  }
}
