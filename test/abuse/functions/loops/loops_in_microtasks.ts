// A chain of microtasks that never ends: timers and sockets starve.
export default async () => {
  for (;;) await null;
};
