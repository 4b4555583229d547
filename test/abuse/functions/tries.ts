/** For every attack: tries its ways one by one, and says what each came to. */

/** Way → `refused: <why>`, or `got: <the start of it>`. */
export type Outcomes = Record<string, string>;

export async function tries(ways: Record<string, () => unknown>): Promise<Outcomes> {
  const outcomes: Outcomes = {};
  for (const [way, attempt] of Object.entries(ways)) outcomes[way] = await outcomeOf(attempt);
  return outcomes;
}

/** One way, tried at each of the targets that the request names (name → path or address). */
export async function atEachTarget(
  request: Request,
  attempt: (target: string) => unknown,
): Promise<Outcomes> {
  const targets: Record<string, string> = await request.json();
  return await tries(
    Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, () => attempt(target)])),
  );
}

async function outcomeOf(attempt: () => unknown): Promise<string> {
  let timer = 0;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, 1000, 'refused: nothing came of it in a second');
  });
  const tried = (async () => {
    try {
      return `got: ${shown(await attempt())}`;
    } catch (error) {
      const errors = error instanceof AggregateError ? error.errors : [error];
      return `refused: ${errors.map(String).join(' | ').slice(0, 2000)}`;
    }
  })();
  const outcome = await Promise.race([tried, late]);
  clearTimeout(timer);
  return outcome;
}

function shown(value: unknown): string {
  const text =
    value instanceof Uint8Array
      ? new TextDecoder().decode(value)
      : typeof value === 'string'
        ? value
        : inspect(value);
  return text.replaceAll('\0', ' ').slice(0, 4000);
}

function inspect(value: unknown): string {
  return Deno.inspect(value, { depth: 3 });
}
