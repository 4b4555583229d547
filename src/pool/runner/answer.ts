/** What a function returned, as a `Response`; nonsense becomes an error that says what was wrong. */
import { headersSet, isArray, isInteger, keys, OwnHeaders, OwnResponse, stringify } from './intrinsics.ts';

/** A return value that cannot be sent. Its message is for the function's author. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
}

export function toResponse(value: unknown): Response {
  if (value instanceof OwnResponse) return checked(value);
  if (typeof value === 'string') return new OwnResponse(value);
  if (isAnswerObject(value)) return fromAnswerObject(value);
  return json(value, 200, new OwnHeaders());
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
  if (typeof value !== 'object' || value === null || isArray(value)) return false;
  if (typeof (value as { status?: unknown }).status !== 'number') return false;
  return keys(value).every((key) => key === 'status' || key === 'headers' || key === 'body');
}

function fromAnswerObject(answer: AnswerObject): Response {
  const { status, body } = answer;
  if (!isInteger(status) || status < 200 || status > 599) {
    throw new BadAnswer(
      `the function returned the status ${status}, which is not a whole number from 200 to 599`,
    );
  }
  const headers = toHeaders(answer.headers);
  if (status === 204 || status === 205 || status === 304) return new OwnResponse(null, { status, headers });
  if (body === undefined || body === null) return new OwnResponse(null, { status, headers });
  if (typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream) {
    return new OwnResponse(body as BodyInit, { status, headers });
  }
  return json(body, status, headers);
}

function toHeaders(value: unknown): Headers {
  if (value === undefined || value === null) return new OwnHeaders();
  try {
    return new OwnHeaders(value as HeadersInit);
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
  return new OwnResponse(text, { status, headers });
}

/** Adds a header, also to a `Response` whose headers cannot be changed (one that `fetch` gave, a redirect). */
export function withHeader(response: Response, name: string, value: string): Response {
  if (response.status === 101) return response;
  try {
    headersSet(response.headers, name, value);
    return response;
  } catch {
    const copy = new OwnResponse(response.body, response);
    headersSet(copy.headers, name, value);
    return copy;
  }
}
