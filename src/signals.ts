/** The one place where signals are handled: the first asks for a graceful stop, a second one stops at once. */

export interface SignalHandlers {
  stop(): void;
  stopNow(): void;
}

/** SIGPIPE is left alone: Node ignores it, and a broken pipe shows as an error of its stream. */
export function handleSignals(handlers: SignalHandlers): void {
  let asked = false;
  const onSignal = () => {
    if (asked) return handlers.stopNow();
    asked = true;
    handlers.stop();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);
}
