// Throws in a timer, after its answer: it first replaces what timers are made with, and gives them other names.
const was = Object.getOwnPropertyDescriptor(globalThis, 'setTimeout');
for (const name of ['defineProperty', 'defineProperties', 'getOwnPropertyDescriptors']) {
  Object[name] = () => {
    throw new Error('not this one');
  };
}
globalThis.reportError = () => {};
const { setTimeout: later } = globalThis;
if (later !== setTimeout || typeof was.set !== 'function' || !was.enumerable) throw new Error('other timers');
globalThis.setInterval = 'replaced';
if (setInterval !== 'replaced') throw new Error('not replaced');

export default (request) => {
  if (new URL(request.url).searchParams.has('started')) return started;
  later(() => {
    throw new Error('thrown in a timer');
  }, 10);
  return started;
};
const started = crypto.randomUUID();
