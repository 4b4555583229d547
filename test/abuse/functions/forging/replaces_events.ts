// Takes every event away from the platform: unhandled rejections and errors are heard by no one else.
import { handler, look } from './taken.ts';

const { addEventListener } = EventTarget.prototype;
EventTarget.prototype.addEventListener = function (this: EventTarget, ...args: never[]) {
  return addEventListener.apply(this, args);
};
for (const name of ['unhandledrejection', 'error', 'beforeunload', 'unload'])
  addEventListener.call(
    globalThis,
    name,
    (event) => {
      look((event as PromiseRejectionEvent).reason);
      event.stopImmediatePropagation();
      event.preventDefault();
    },
    { capture: true },
  );
void Promise.reject(new Error('heard by no one'));
export default handler;
