// Asks to be told of every signal, so that none of them ends it, and never answers.
export default async () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2', 'SIGXCPU'] as const) {
    try {
      Deno.addSignalListener(signal, () => {});
    } catch {
      // not this one
    }
  }
  await new Promise(() => {});
};
