/** What a request's path asks for: pure, and without decoding what goes on to a function. */

export type Target =
  | { kind: 'function'; tenant: string | null; name: string; path: string }
  | { kind: 'invoke'; tenant: string | null; name: string; path: string }
  /** Custom routes, the management API and whatever else hono knows. `path` has no `/t/<tenant>`. */
  | { kind: 'other'; tenant: string | null; path: string; pathname: string }
  | { kind: 'invalid'; reason: string };

const FUNCTIONS = '/functions/v1/';
const API_FUNCTIONS = '/api/v1/functions/';
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
/** `.` or `..` as a segment, written plainly or as %2e; %00; a backslash, which URL parsers take for a slash. */
const DANGEROUS = /(?:^|[/\\])(?:\.|%2e){1,2}(?=[/\\?#]|$)|%00|\\/i;

/** `url` is the request target: origin-form, or absolute-form as a proxy sends it (RFC 9112, 3.2). */
export function readTarget(url: string): Target {
  let path = url;
  if (path.charCodeAt(0) !== 47) {
    const absolute = /^https?:\/\/[^/?#]+(\/[^#]*)?$/i.exec(path);
    if (absolute === null) return { kind: 'invalid', reason: 'The request target is not a path.' };
    path = absolute[1] ?? '/';
  }
  const query = path.indexOf('?');
  const pathname = query < 0 ? path : path.slice(0, query);
  if (pathname.includes('.') || pathname.includes('%') || pathname.includes('\\')) {
    if (DANGEROUS.test(pathname)) {
      return { kind: 'invalid', reason: 'The path has a dot segment, a backslash or a NUL in it.' };
    }
    if (!decodes(pathname)) return { kind: 'invalid', reason: 'The path is not valid percent-encoding.' };
  }
  let tenant: string | null = null;
  let local = pathname;
  if (pathname.startsWith('/t/')) {
    const end = pathname.indexOf('/', 3);
    tenant = end < 0 ? pathname.slice(3) : pathname.slice(3, end);
    local = end < 0 ? '/' : pathname.slice(end);
  }
  if (local.startsWith(FUNCTIONS)) {
    const end = local.indexOf('/', FUNCTIONS.length);
    const name = end < 0 ? local.slice(FUNCTIONS.length) : local.slice(FUNCTIONS.length, end);
    return { kind: 'function', tenant, name, path };
  }
  if (local.startsWith(API_FUNCTIONS) && local.endsWith('/invoke')) {
    const name = local.slice(API_FUNCTIONS.length, -'/invoke'.length);
    if (NAME.test(name)) return { kind: 'invoke', tenant, name, path };
  }
  return { kind: 'other', tenant, path: query < 0 ? local : local + path.slice(query), pathname: local };
}

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
