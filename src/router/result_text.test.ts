import { describe, expect, it } from 'vitest';
import { keepResult } from './result_text.js';

describe('the result that is kept', () => {
  it('is whole wherever the network has cut it', () => {
    const bytes = Buffer.from('aé€😀z');
    for (let cut = 0; cut <= bytes.length; cut++) {
      const result = keepResult('text/plain', false);
      result?.add(bytes.subarray(0, cut));
      result?.add(bytes.subarray(cut));
      expect(result?.text()).toBe('aé€😀z');
    }
  });

  it('keeps what is no UTF-8 as the mark of it', () => {
    const result = keepResult('application/json', false);
    result?.add(Buffer.from([0x61, 0xe2, 0x82]));
    expect(result?.text()).toBe('a\uFFFD');
  });

  it('is null for what is no text', () => {
    expect(keepResult('image/png', false)).toBeNull();
    expect(keepResult('text/plain', true)).toBeNull();
    expect(keepResult(undefined, false)).toBeNull();
  });
});
