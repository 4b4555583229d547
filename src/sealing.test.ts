import { describe, expect, it } from 'vitest';
import { createSealer, SealError } from './sealing.js';

const OLD = 'the old key of the installation';
const NEW = 'the new key of the installation';

describe('a sealed secret', () => {
  it('opens with its key in its place, and looks different each time', () => {
    const sealer = createSealer([NEW]);
    const sealed = sealer.seal('übergeheim 🔥', 'secret acme/*/NAME');
    expect(sealer.open(sealed, 'secret acme/*/NAME')).toBe('übergeheim 🔥');
    expect(sealer.seal('übergeheim 🔥', 'secret acme/*/NAME')).not.toBe(sealed);
    expect(sealed).not.toMatch(/geheim/);
    expect(sealed.startsWith(`${sealer.keyId}.`)).toBe(true);
  });

  it('opens nowhere else, and not once a bit of it was changed', () => {
    const sealer = createSealer([NEW]);
    const sealed = sealer.seal('value', 'secret acme/*/NAME');
    expect(() => sealer.open(sealed, 'secret other/*/NAME')).toThrow(SealError);
    const [id, nonce, text = ''] = sealed.split('.');
    const bytes = Buffer.from(text, 'base64url');
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      const other = `${id}.${nonce}.${changed.toString('base64url')}`;
      expect(() => sealer.open(other, 'secret acme/*/NAME')).toThrow(SealError);
    }
    for (const torn of [`${id}.${nonce}.`, `${id}..${text}`, `${id}`, ''])
      expect(() => sealer.open(torn, 'secret acme/*/NAME')).toThrow(SealError);
  });

  it('opens with the previous key, while the current one seals', () => {
    const sealed = createSealer([OLD]).seal('value', 'place');
    const both = createSealer([NEW, OLD]);
    expect(both.open(sealed, 'place')).toBe('value');
    expect(createSealer([NEW]).open(both.seal('value', 'place'), 'place')).toBe('value');
  });

  it('says which key is missing, and nothing of the key', () => {
    const sealed = createSealer([OLD]).seal('value', 'place');
    const open = () => createSealer([NEW]).open(sealed, 'place');
    expect(open).toThrow(createSealer([OLD]).keyId);
    expect(open).toThrow('HEARTH_SECRET_KEY');
    expect(open).not.toThrow(OLD);
  });
});
