/** Who a record says that it was made by. */
import type { Actor } from './types.js';

/** A user's or a key's id, else the kind of credential; null for the platform itself. */
export function authorOf(actor: Actor): string | null {
  return actor.kind === 'system' ? null : (actor.id ?? actor.kind);
}
