/** A bounded queue in front of work that may run only so many times at once. */
import { HearthError } from '../errors.js';

export interface Queue {
  /** Runs `work` when it is its turn; throws HearthError OVERLOADED when too many wait already. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function createQueue(options: { concurrency: number; waiting: number }): Queue {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    async run(work) {
      if (running >= options.concurrency) {
        if (waiting.length >= options.waiting) {
          throw new HearthError('OVERLOADED', 'Too many functions are being deployed at once', {
            retryAfter: 5,
          });
        }
        await new Promise<void>((turn) => waiting.push(turn)); // whoever ends hands its turn on, still counted
      } else {
        running++;
      }
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) running--;
        else next();
      }
    },
  };
}
