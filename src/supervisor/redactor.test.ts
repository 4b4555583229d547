import { describe, expect, it } from 'vitest';
import { createRedactor, REDACTED, SHORTEST } from './redactor.js';
import { formsOf } from './secret_forms.js';

const redactor = (...values: string[]) => createRedactor(formsOf(values));

describe('a redactor', () => {
  it('puts a mark in the place of each secret, and leaves the rest as it is', () => {
    const redact = redactor('sk_live_0123', 'hunter2-hunter2');
    expect(redact('a sk_live_0123, b hunter2-hunter2: é')).toBe(`a ${REDACTED}, b ${REDACTED}: é`);
    expect(redact('sk_live_0124')).toBe('sk_live_0124');
    expect(redact('')).toBe('');
  });

  it('leaves nothing of secrets that lie in or over each other', () => {
    const redact = redactor('abcdef', 'abcdefgh', 'ghijkl', 'xyzxyz');
    expect(redact('<abcdefgh>')).toBe(`<${REDACTED}>`);
    expect(redact('<abcdefghijkl>')).toBe(`<${REDACTED}>`);
    expect(redact('<abcdefabcdef>')).toBe(`<${REDACTED}${REDACTED}>`);
    expect(redact('<xyzxyzxyz>')).toBe(`<${REDACTED}>`);
  });

  it('finds one that was printed in several arguments, or broken into lines', () => {
    const redact = redactor('correct horse battery', 'line one\nline two');
    expect(redact('= correct hor se battery.')).toBe(`= ${REDACTED}.`);
    expect(redact('= correcthorse\n  battery.')).toBe(`= ${REDACTED}.`);
    expect(redact('{ a: "line one\\n" +\n  "line two" }')).toBe(`{ a: "${REDACTED}\\n" +\n  "${REDACTED}" }`);
  });

  it('finds it as JSON, in console quotes, in a URL and in base64, also of more than itself', () => {
    const secret = 'pä"ss/wörd\n\t\u0001&+=?';
    const redact = redactor(secret);
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    for (const shown of [
      JSON.stringify({ secret }),
      `'pä"ss/wörd\\n\\t\\x01&+=?'`,
      `https://example.com/?q=${encodeURIComponent(secret)}&r=1`,
      base64(secret),
      base64(`u:${secret}`),
      base64(`me:${secret}:you`),
      base64(`you:${secret}!`),
      Buffer.from(secret).toString('base64url'),
    ]) {
      expect(redact(shown), shown).toContain(REDACTED);
      // At most the two characters at its ends that others have a share in.
      expect(redact(shown).length, shown).toBeLessThan(shown.length - secret.length + REDACTED.length + 8);
    }
  });

  it('leaves no half of one where a text was cut', () => {
    const redact = redactor('0123456789abcdef');
    expect(redact('x 0123456789')).toBe(`x ${REDACTED}`);
    expect(redact('x 0123456789 … [logs cut at 64 KiB]')).toBe(`x ${REDACTED} … [logs cut at 64 KiB]`);
    expect(redact('x 0123456789\uFFFD')).toBe(`x ${REDACTED}\uFFFD`);
    expect(redact('0123456789 and more')).toBe('0123456789 and more');
  });

  it('takes a long piece of a long one for a secret', () => {
    const long = Array.from({ length: 500 }, (_, index) => index).join('-');
    expect(redactor(long)(`<${long.slice(0, 300)}>`)).toBe(`<${REDACTED}>`);
    expect(redactor(long)(`<${long.slice(0, 200)}>`)).toBe(`<${long.slice(0, 200)}>`);
  });

  it('leaves those alone that are too short to be told from other text', () => {
    expect(SHORTEST).toBe(6);
    expect(redactor('12345', 'on', '')('12345 on')).toBe('12345 on');
  });

  it('finds what a search for every value at every place finds', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return (seed >>> 8) % below;
    };
    const word = (length: number) => Array.from({ length }, () => 'aü'[random(2)]).join('');
    for (let round = 0; round < 300; round++) {
      const values = Array.from({ length: 1 + random(6) }, () => word(6 + random(12)));
      const text = `${word(random(200))}.`; // an end that is no beginning of any
      const covered = Array.from(text, () => false);
      for (const value of values)
        for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1))
          covered.fill(true, at, at + value.length);
      const left = [...text].filter((_, at) => !covered[at]).join('');
      const redacted = createRedactor(values)(text);
      expect(redacted.replaceAll(REDACTED, '')).toBe(left);
    }
  });

  it('copes with a text that is almost a secret everywhere', () => {
    const redact = redactor(...Array.from({ length: 20 }, (_, n) => `${'a'.repeat(3000)}${n}`));
    expect(redact(`${'a'.repeat(2000)}.`.repeat(30))).toContain(REDACTED);
  });
});
