/** Secrets at rest: sealed with AES-256-GCM (NIST SP 800-38D) under a key that has an id, so that keys can be replaced. */
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';

export interface Sealer {
  /** The id of the key that seals now. */
  readonly keyId: string;
  /**
   * `<key id>.<nonce>.<ciphertext and tag>`, the last two in base64url.
   *
   * @param place where the value belongs, such as `secret acme/<function id>/NAME`: it opens nowhere else.
   */
  seal(value: string, place: string): string;
  /** @throws SealError when the key is not known here, the place is another one, or the text was changed. */
  open(sealed: string, place: string): string;
  /**
   * Tells whether two values of one tenant are the same, 64 hex digits: HMAC-SHA256 (RFC 2104) under a key of its own, so
   * that nobody without the secret key can try out values that are short or from a list.
   */
  digest(value: string, tenant: string): string;
  /** Whether what was sealed with the key of that id can be opened. */
  knows(keyId: string): boolean;
}

export class SealError extends Error {
  override readonly name = 'SealError';
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** @param keys at least one text of 16 characters or more: the first seals, all open. */
export function createSealer(keys: readonly string[]): Sealer {
  const known = new Map(keys.map((text) => [keyIdOf(text), deriveKey(text, 'secrets at rest')]));
  const current = keys[0];
  if (current === undefined) throw new Error('a sealer needs a key');
  const keyId = keyIdOf(current);
  const digestKey = deriveKey(current, 'digests of secrets');

  return {
    keyId,
    seal(value, place) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', known.get(keyId) as Buffer, nonce);
      cipher.setAAD(Buffer.from(place));
      const sealed = Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `${keyId}.${nonce.toString('base64url')}.${sealed.toString('base64url')}`;
    },
    open(sealed, place) {
      const [id = '', nonceText = '', text = ''] = sealed.split('.');
      const key = known.get(id);
      if (key === undefined) {
        throw new SealError(
          `a secret is sealed with the key ${id}, which is neither HEARTH_SECRET_KEY nor HEARTH_SECRET_KEY_PREVIOUS`,
        );
      }
      const bytes = Buffer.from(text, 'base64url');
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonceText, 'base64url'));
        decipher.setAAD(Buffer.from(place));
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
        return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString();
      } catch {
        throw new SealError('a sealed secret was changed, or belongs somewhere else');
      }
    },
    // No slug has a NUL in it.
    digest: (value, tenant) => createHmac('sha256', digestKey).update(`${tenant}\0${value}`).digest('hex'),
    knows: (keyId) => known.has(keyId),
  };
}

/** Tells keys apart and nothing about them: 8 hex digits. */
function keyIdOf(text: string): string {
  return createHash('sha256').update(`hearth key id ${text}`).digest('hex').slice(0, 8);
}

/** HKDF (RFC 5869): keys of any length, good or from a person, become 256 bits. */
function deriveKey(text: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', text, 'hearth', purpose, 32));
}
