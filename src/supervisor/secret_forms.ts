/** How a secret shows in logs and answers: as it is, escaped in JSON or by console, in a URL, in base64, line by line. */

/** Bytes of a value of which only the value itself is looked for: what is longer is a file, not a credential. */
const LONGEST_DERIVED = 8 * 1024;
/** Characters that the derived forms of all values of a process may have, which bounds what its redactor takes. */
const MOST_DERIVED = 256 * 1024;

/** Every value as it is first, then the other forms of each, as far as there is room. */
export function formsOf(values: Iterable<string>): Set<string> {
  const all = [...values];
  const forms = new Set(all);
  let left = MOST_DERIVED;
  for (const value of all) {
    if (value.length > LONGEST_DERIVED) continue;
    for (const form of derivedForms(value)) {
      if (forms.has(form) || form.length > left) continue;
      forms.add(form);
      left -= form.length;
    }
  }
  return forms;
}

function derivedForms(value: string): string[] {
  return [inJson(value), inConsole(value), encodeURIComponent(value), ...inBase64(value), ...linesOf(value)];
}

function inJson(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

/** `console.log({ value })` takes the quotes that the value has not, and writes control characters in two digits. */
function inConsole(value: string): string {
  return inJson(value)
    .replaceAll('\\"', '"')
    .replace(/\\u00([0-9a-f]{2})/g, (_, hex: string) => `\\x${hex.toUpperCase()}`);
}

/**
 * In base64 of something that it is a part of, such as `user:password`, a value shows in one of three ways (RFC 4648,
 * section 4: three bytes become four characters). The characters that its neighbours have a share in are left out.
 */
function inBase64(value: string): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)]);
    const first = Math.ceil((offset * 8) / 6);
    const whole = Math.floor((bytes.length * 8) / 6);
    return (['base64', 'base64url'] as const).map((encoding) => bytes.toString(encoding).slice(first, whole));
  });
}

/** `console.log({ value })` prints a text of several lines as several texts. */
function linesOf(value: string): string[] {
  const lines = value.split(/[\r\n]+/).map((line) => line.trim());
  return lines.length === 1 ? [] : lines.flatMap((line) => [line, inJson(line), inConsole(line)]);
}
