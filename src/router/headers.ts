/** A request's headers in one pass: what goes on to the function, and what the platform needs itself. */
import type { Credentials } from './authenticate.js';

export interface ReadHeaders extends Credentials {
  /** Name, value, name, value …: names in lower case, what must not be passed on left out. */
  forwarded: string[];
  /** RFC 9112, 6.3: a request without Content-Length and Transfer-Encoding has none. */
  hasBody: boolean;
  /** Content-Length, where that is how the body is framed. */
  length: number | undefined;
  host: string | undefined;
  hosts: number;
  origin: string | undefined;
  requestId: string | undefined;
  /** Empty where there are several, of which none counts. */
  traceparent: string | undefined;
  tracestate: string | undefined;
  userAgent: string | undefined;
  forwardedFor: string | undefined;
  forwardedProto: string | undefined;
  requestMethod: string | undefined;
}

/** Names in lower case by how clients write them, so that the usual ones cost no new string. */
const LOWER = new Map(
  [
    [
      'Host',
      'User-Agent',
      'Accept',
      'Accept-Encoding',
      'Accept-Language',
      'Authorization',
      'Connection',
      'Origin',
    ],
    [
      'Content-Type',
      'Content-Length',
      'Transfer-Encoding',
      'Cookie',
      'Referer',
      'Cache-Control',
      'X-Forwarded-For',
    ],
  ]
    .flat()
    .flatMap((name) => [
      [name, name.toLowerCase()] as const,
      [name.toLowerCase(), name.toLowerCase()] as const,
    ]),
);

/** Names as they came last at each place: most requests have those of the one before, and to compare is cheaper. */
const lastWritten: string[] = Array.from({ length: 16 }, () => 'host');
const lastLower: string[] = Array.from({ length: 16 }, () => 'host');

function lowerCase(written: string, place: number): string {
  if (place < lastWritten.length && lastWritten[place] === written) return lastLower[place] ?? '';
  const name = LOWER.get(written) ?? written.toLowerCase();
  if (place < lastWritten.length) {
    lastWritten[place] = written;
    lastLower[place] = name;
  }
  return name;
}

/** `raw` as Node gives it (`rawHeaders`). Hop-by-hop headers (RFC 9110, 7.6.1) and our own are not passed on. */
export function readHeaders(raw: readonly string[]): ReadHeaders {
  const forwarded: string[] = [];
  const read: ReadHeaders = {
    forwarded,
    hasBody: false,
    length: undefined,
    host: undefined,
    hosts: 0,
    origin: undefined,
    requestId: undefined,
    traceparent: undefined,
    tracestate: undefined,
    userAgent: undefined,
    forwardedFor: undefined,
    forwardedProto: undefined,
    requestMethod: undefined,
    authorization: undefined,
    apikey: undefined,
    serviceKey: undefined,
    apiKey: undefined,
    adminKey: undefined,
  };
  let listed: string | undefined;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const written = raw[index] ?? '';
    const value = raw[index + 1] ?? '';
    const name = lowerCase(written, index >> 1);
    switch (name) {
      case 'host':
        read.host = value;
        read.hosts++;
        continue; // the URL carries it on
      case 'connection':
        if (value !== 'keep-alive' && value !== 'close') listed = value.toLowerCase();
        continue;
      case 'transfer-encoding':
        read.hasBody = true;
        continue;
      case 'content-length':
        if (value !== '0') read.hasBody = true;
        read.length = Number(value);
        break;
      case 'keep-alive':
      case 'proxy-connection':
      case 'proxy-authorization':
      case 'te':
      case 'trailer':
      case 'upgrade':
      case 'expect':
      case 'x-execution-id':
      case 'x-execution-trigger':
      case 'x-execution-attempt':
        continue;
      case 'x-request-id':
        read.requestId = value;
        continue;
      case 'traceparent':
        read.traceparent = read.traceparent === undefined ? value : '';
        continue;
      case 'tracestate':
        read.tracestate = read.tracestate === undefined ? value : `${read.tracestate},${value}`;
        continue;
      case 'user-agent':
        read.userAgent = value;
        break;
      case 'x-forwarded-for':
        read.forwardedFor = read.forwardedFor === undefined ? value : `${read.forwardedFor}, ${value}`;
        continue;
      case 'x-forwarded-proto':
        read.forwardedProto = value;
        break;
      case 'authorization':
        read.authorization = value;
        break;
      case 'apikey':
        read.apikey = value;
        break;
      case 'x-api-key':
        read.apiKey = value;
        break;
      case 'x-service-key':
        read.serviceKey = value;
        break;
      case 'x-admin-key':
        read.adminKey = value;
        continue;
      case 'origin':
        read.origin = value;
        break;
      case 'access-control-request-method':
        read.requestMethod = value;
        break;
      default:
        if (name.startsWith('x-hearth')) continue;
    }
    forwarded.push(name, value);
  }
  if (listed !== undefined) dropListed(forwarded, listed);
  return read;
}

/** What `Connection` names is hop-by-hop too. */
function dropListed(forwarded: string[], connection: string) {
  const names = new Set(connection.split(',').map((name) => name.trim()));
  for (let index = forwarded.length - 2; index >= 0; index -= 2) {
    if (names.has(forwarded[index] ?? '')) forwarded.splice(index, 2);
  }
}

/** A header value for any text: what is not visible ASCII is percent-encoded. */
export function encodeHeader(text: string): string {
  return encodeURIComponent(text);
}
