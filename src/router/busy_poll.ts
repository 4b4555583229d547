/**
 * Busy polling: while calls come one after another, a router that waits for an answer or for the next request goes on
 * looking for it for a moment rather than falling asleep. A core that has nothing to do has to be woken, which takes longer
 * than a small call does. Linux does the same in guests of virtual machines (its cpuidle governor "haltpoll"). Looking that
 * finds nothing is paid from an allowance, and without one the router sleeps as usual: what is found gives back about what
 * sleeping and waking would have cost, so that in the long run looking takes no more than it saves, and 2 % of a core.
 */

/** ms for which it looks. */
const WINDOW_MS = 0.1;
/** Calls in flight up to which they count as one after another: with more, the cores have other things to do. */
const FEW = 2;
/** Writes in a row that have found no more than a few calls in flight. */
const CALM = 8;
/** ms of looking in vain that an allowance has at most; what it gets back in each ms, and whenever something was found. */
const ALLOWANCE_MS = 2;
const REFILL = 0.01;
const SAVED_MS = 0.02;

export interface BusyPoll {
  /** Calls were written to a process: so many are in flight now. */
  written(inFlight: number): void;
  /** Answers were delivered. */
  answered(inFlight: number): void;
}

export interface BusyPollOptions {
  /** Cores that this process may use. With a single one, looking would keep it from the process that is to answer. */
  cores: number;
  /** Monotonic, in ms. */
  now(): number;
  /** Calls back once sockets have been looked at: `setImmediate`. */
  afterLook(turn: () => void): void;
}

/** What may be spent on looking for one kind of thing. */
interface Allowance {
  leftMs: number;
  /** When it was looked at last. */
  at: number;
}

/** Sleeps whenever there is nothing to do. */
export const NO_POLL: BusyPoll = { written() {}, answered() {} };

export function createBusyPoll({ cores, now, afterLook }: BusyPollOptions): BusyPoll {
  if (cores < 2) return NO_POLL;
  // Answers may come too late and requests in time, or the other way round.
  const answers: Allowance = { leftMs: ALLOWANCE_MS, at: now() };
  const requests: Allowance = { leftMs: ALLOWANCE_MS, at: answers.at };
  let calm = 0;
  let waiting: Allowance | null = null;
  let until = 0;
  let looking = false;

  function look() {
    if (waiting !== null && now() >= until) {
      waiting.leftMs -= WINDOW_MS;
      waiting = null;
    }
    looking = waiting !== null;
    if (looking) afterLook(look);
  }

  /** What was looked for is there. */
  function found() {
    if (waiting === null) return;
    waiting.leftMs += SAVED_MS;
    waiting = null;
  }

  function waitFor(allowance: Allowance) {
    const time = now();
    allowance.leftMs = Math.min(ALLOWANCE_MS, allowance.leftMs + (time - allowance.at) * REFILL);
    allowance.at = time;
    waiting = allowance.leftMs >= WINDOW_MS ? allowance : null;
    until = time + WINDOW_MS;
    if (waiting === null || looking) return;
    looking = true;
    afterLook(look);
  }

  return {
    written(inFlight) {
      found();
      if (inFlight > FEW) calm = 0;
      else if (calm < CALM) calm++;
      else waitFor(answers);
    },
    answered(inFlight) {
      found();
      if (inFlight < FEW && calm === CALM) waitFor(requests);
    },
  };
}
