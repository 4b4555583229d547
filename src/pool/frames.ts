/**
 * How routers and a Deno process exchange calls without a body of their own size to speak of: frames over a Unix socket,
 * many calls on one connection, written together. HTTP carries what is large, streamed or upgraded (decision 11).
 *
 * A frame is: u32 length of what follows it, u8 kind, u32 call, then what its kind says. Numbers are big-endian.
 *
 * From the router:
 * - `Call`: u32 length of the head, the head, the body. The head is lines of Latin-1, joined by a line feed: method, URL,
 *   execution id, then the headers' names and values in turn. None of them can hold a line feed (RFC 9110, 5.5).
 * - `Abort`: the caller went away.
 * - `Hello`: the first frame; answered by one, whose CPU field is the connection's place in the progress file.
 * - `Http`: the router comes over HTTP as well, which a process serves from then on.
 *
 * From the process: u32 µs of CPU, u16 status, u32 length of the head, the head (names and values in turn), the body.
 * - `Done`: complete; nothing more will be heard of the execution.
 * - `More`: complete; more about the execution comes over the control channel.
 * - `Failed`: the function failed; the body is JSON, `{ name, message, stack }`.
 * - `Take`: the answer is large or streamed: it is to be had over HTTP, under the ticket that is the head.
 */
export const FrameKind = {
  Call: 1,
  Abort: 2,
  Hello: 3,
  Done: 4,
  More: 5,
  Failed: 6,
  Take: 7,
  Http: 8,
} as const;

/** Bytes before a request frame's head, its length field included: length, kind, call, length of the head. */
export const REQUEST_PREFIX = 13;
/** Bytes before an answer frame's head, its length field included: … CPU, status, length of the head. */
export const ANSWER_PREFIX = 19;
/** Bytes that a request frame may have, so that one fits into the process's buffer. */
export const MAX_REQUEST_FRAME = 60 * 1024;
/** Bytes of a request's body that go into a frame. */
export const MAX_FRAMED_BODY = 16 * 1024;
/** Characters, or bytes, of an answer's body that go into a frame. */
export const MAX_FRAMED_ANSWER = 64 * 1024;
/** Bytes that an answer frame may have: a body of three-byte characters and a head of the most that a function may send. */
export const MAX_ANSWER_FRAME = 3 * MAX_FRAMED_ANSWER + 256 * 1024;

/**
 * The progress file: for each connection, at four bytes times its place, the last call that was handed to the function,
 * written before it is. When the process ends, calls beyond it have not been seen by the function.
 */
export const PROGRESS_PLACES = 16;
