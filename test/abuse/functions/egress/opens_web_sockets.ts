// Opens web sockets to a denied address; the platform's own way to do so, and a stream.
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(
    request,
    (url) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url.replace('http', 'ws'));
        socket.onopen = () => resolve('open');
        socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
      }),
  );
