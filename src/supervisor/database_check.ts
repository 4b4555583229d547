/** Asks the database every two seconds whether it answers, and now and then what connections there are. */
import type { Sessions } from '../store/sessions.js';

export interface DatabaseCheckOptions {
  /** Rejects when the database does not answer. */
  ping(): Promise<void>;
  sessions(): Promise<Sessions[]>;
  /** After each check; also when an answer is overdue. */
  onChecked(up: boolean): void;
  /** How long the answer took, in ms, or what came in its place. */
  onTook(ms: number, error?: unknown): void;
  /** None while it is away. */
  onSessions(sessions: readonly Sessions[]): void;
}

export interface DatabaseCheck {
  stop(): void;
}

const CHECK_MS = 2_000;
/** ms after which a database that has not answered counts as away: a network may swallow questions without a word. */
const PATIENCE_MS = 5_000;
/** Checks between two looks at what connections there are. */
const SESSIONS_EVERY = 5;

export function startDatabaseCheck(options: DatabaseCheckOptions): DatabaseCheck {
  const { ping, sessions, onChecked, onTook, onSessions } = options;
  /** When the question was asked that has no answer yet; null: there is none. */
  let askedAt: number | null = null;
  let answers = 0;

  function checked(answered: boolean) {
    if (!answered) onSessions([]);
    onChecked(answered);
  }

  async function check() {
    if (askedAt !== null) {
      if (performance.now() - askedAt >= PATIENCE_MS) checked(false);
      return;
    }
    const began = performance.now();
    askedAt = began;
    const failure = await ping().then(
      () => undefined,
      (error: unknown) => error ?? new Error('no answer'),
    );
    askedAt = null;
    onTook(performance.now() - began, failure);
    checked(failure === undefined);
    // Where this fails, the next check says why.
    if (failure === undefined && answers++ % SESSIONS_EVERY === 0) sessions().then(onSessions, () => {});
  }

  const timer = setInterval(() => void check(), CHECK_MS);
  return {
    stop: () => clearInterval(timer),
  };
}
