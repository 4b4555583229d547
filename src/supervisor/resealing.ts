/** After HEARTH_SECRET_KEY was replaced: what the previous key has sealed is sealed anew, in the background. */
import type { Resealing } from '../store/resealing.js';
import type { Logger } from '../telemetry/logger.js';

/** Says in one line what came of it, and nothing where there was nothing to do. `stop` ends it after the current rows. */
export function startResealing(
  { run }: Resealing,
  log: Logger,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  let stopped = false;
  const done = run(() => stopped).then(({ resealed, failed }) => {
    if (failed > 0) log.error(`${failed} stored secrets cannot be opened, and stay as they are`);
    if (resealed > 0)
      log.info(
        `${resealed} stored secrets are now sealed with HEARTH_SECRET_KEY; HEARTH_SECRET_KEY_PREVIOUS is not needed for them any more`,
      );
  }, onError);
  return {
    stop() {
      stopped = true;
      return done;
    },
  };
}
