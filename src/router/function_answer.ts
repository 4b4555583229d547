/**
 * What a function answers, on its way to the client: its head is checked and gets the platform's headers, its body is
 * counted, and kept as far as it shows in the execution. What the function threw is not for the client.
 */
import { messageOf } from '../errors.js';
import { readAnswerHead } from './answer_head.js';
import type { CallDescription } from './call_description.js';
import { serverTiming } from './call_times.js';
import type { Channel } from './channel.js';
import type { ClientAnswer } from './client_answer.js';
import { MAX_ERROR_BYTES, readThrown, type Thrown } from './failures.js';
import { keepResult, keepText, type ResultText } from './result_text.js';
import { wholeHeadText } from './whole_answer.js';

interface Owner {
  /** The answer is none that a client could be given: `why` says of it what it is. */
  unsendable(why: string): void;
}

export class FunctionAnswer {
  /** What the client gets, or has got; null: nothing so far. */
  statusCode: number | null = null;
  /** `d`one, `m`ore to come, `e`rror, or nothing known. */
  kind = '';
  /** null: not known. */
  cpuMs: number | null = null;
  /** Of the body, so far. */
  bytes = 0;
  result: ResultText | null = null;
  private thrown: Buffer[] | null = null;
  private thrownBytes = 0;
  /** Bytes of the body that are still to come, where its length is known. */
  private left = -1;
  private last: Buffer | null = null;

  constructor(
    private readonly owner: Owner,
    private readonly request: CallDescription,
    private readonly outgoing: ClientAnswer,
    private readonly maxBytes: number,
  ) {}

  /** What {@link begin} does, for the usual answer; false: it is another one. */
  beginWhole(channel: Channel, status: number, received: string, length: number): boolean {
    const { outgoing } = this;
    const { answerHeaders, fn, tellsTimes } = this.request;
    if (this.kind === 'e' || tellsTimes || length > this.maxBytes || !outgoing.takesHead()) return false;
    const known = channel.wholeHeads(status, received);
    const head = known === null ? null : wholeHeadText(known, length, answerHeaders);
    if (known === null || head === null) return false;
    this.statusCode = status;
    if (known.isText && !fn.disable_execution_logs) this.result = keepText();
    outgoing.setHead(status, head);
    this.left = length;
    return true;
  }

  /**
   * @param length of the body in bytes; null: not known.
   * @param sized Content-Length where the frame tells it; null where the answer's own headers do.
   * @param token what a mark of the platform's begins with; null: there is none.
   */
  begin(
    status: number,
    received: readonly string[],
    length: number | null,
    sized: string | null,
    token: string | null,
  ): void {
    const { outgoing } = this;
    const { headers, contentType, encoded, mark } = readAnswerHead(received, sized);
    if (mark !== undefined && token !== null) this.readMark(mark, token);
    if (status < 200 || status > 599)
      return this.owner.unsendable(`its status is ${status}, which is not from 200 to 599`);
    this.statusCode = status;
    if (this.kind === 'e') {
      this.thrown = [];
      return;
    }
    if ((length ?? 0) > this.maxBytes) return this.tooLarge();
    if (!this.request.fn.disable_execution_logs) this.result = keepResult(contentType, encoded);
    for (const header of this.request.answerHeaders) headers.push(header);
    const { times, tellsTimes } = this.request;
    if (tellsTimes && times !== null) headers.push('server-timing', serverTiming(times, performance.now()));
    try {
      outgoing.writeHead(status, headers);
    } catch (error) {
      // Node sends no header that RFC 9110 does not allow, nor a status that is none.
      return this.owner.unsendable(messageOf(error));
    }
    // A stream's head goes out at once; otherwise head and body leave in one write.
    if (length === null) outgoing.flushHeaders();
    else this.left = length;
  }

  /** @returns false: the client is slow, and tells by 'drain' when there is room again. */
  write(chunk: Buffer): boolean {
    if (this.thrown !== null) {
      this.thrownBytes += chunk.length;
      if (this.thrownBytes <= MAX_ERROR_BYTES) this.thrown.push(chunk);
      return true;
    }
    this.bytes += chunk.length;
    if (this.bytes > this.maxBytes) {
      this.tooLarge();
      return true;
    }
    this.result?.add(chunk);
    if (this.left >= 0) {
      this.left -= chunk.length;
      if (this.left <= 0) {
        this.last = chunk;
        return true;
      }
    }
    return this.outgoing.write(chunk);
  }

  /** All of it has come. @returns what the function threw; null: it answered, and the client has it. */
  end(): Thrown | null {
    if (this.thrown !== null) return readThrown(Buffer.concat(this.thrown));
    if (this.last === null) this.outgoing.end();
    else this.outgoing.endWith(this.last);
    return null;
  }

  private tooLarge(): void {
    this.owner.unsendable(`it is larger than ${this.maxBytes} bytes`);
  }

  /** Only what bears the process's token is the platform's own. */
  private readMark(value: string, token: string): void {
    if (!value.startsWith(token)) return;
    this.kind = value.charAt(token.length);
    this.cpuMs = Math.max(0, Number(value.slice(token.length + 1)) / 1000 || 0);
  }
}
