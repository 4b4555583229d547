/** Calls over HTTP: what does not go in frames. */

type Answer = (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>;
/** Given what Deno itself could not answer with, a defect of the function's Response. */
type Unanswerable = (thrown: unknown) => Response;

export interface HttpServer {
  /** From now on calls at the socket are answered; once is enough. */
  serve(answer: Answer, unanswerable: Unanswerable): void;
  /** Loads what `serve` needs. */
  load(): void;
}

/** What Deno 2.9 keeps behind `Deno[Deno.internal]`, and loads when it is first looked at; its version is pinned. */
interface DenoHttp {
  /** What `Deno.serve` is, without the listening. */
  serveHttpOnListener(
    listener: Deno.Listener,
    signal: undefined,
    handler: Answer,
    onError: Unanswerable,
    onListen: () => void,
  ): unknown;
}

/**
 * Listens at `path`, while the process may; connections wait until somebody serves them. Deno's HTTP server takes 1 MiB, and
 * many processes never need it.
 */
export function listenForHttp(path: string): HttpServer {
  const { internal } = Deno as unknown as { internal: symbol };
  const deno = (Deno as unknown as Record<symbol, DenoHttp>)[internal] as DenoHttp;
  const listener = Deno.listen({ transport: 'unix', path });
  let serving = false;
  return {
    serve(answer, unanswerable) {
      if (serving) return;
      serving = true;
      deno.serveHttpOnListener(listener, undefined, answer, unanswerable, () => {});
    },
    load: () => void deno.serveHttpOnListener,
  };
}
