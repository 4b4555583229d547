/** A gate that calls of test/functions/waits_at_gate.js wait at: a test knows which of them run, and when they end. */
import { createServer, type ServerResponse } from 'node:http';

export interface Arrival {
  call: string;
  /** Of the process that it runs in. */
  instance: string;
}

export interface Gate {
  /** For the header `x-gate`. */
  readonly url: string;
  /** Everyone who ever came, in order. */
  readonly arrived: readonly Arrival[];
  /** Lets one call through, if it waits here. */
  release(call: string): void;
  /** Lets everyone through who waits and who comes, until it is closed again. */
  open(): void;
  close(): void;
  stop(): Promise<void>;
}

export async function startGate(): Promise<Gate> {
  const arrived: Arrival[] = [];
  const waiting = new Map<string, ServerResponse>();
  let isOpen = false;
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://gate');
    const call = searchParams.get('call') ?? '';
    arrived.push({ call, instance: searchParams.get('instance') ?? '' });
    if (isOpen) response.end();
    else waiting.set(call, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the gate has no port');

  return {
    url: `http://127.0.0.1:${address.port}/`,
    arrived,
    release(call) {
      waiting.get(call)?.end();
      waiting.delete(call);
    },
    open() {
      isOpen = true;
      for (const response of waiting.values()) response.end();
      waiting.clear();
    },
    close() {
      isOpen = false;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
