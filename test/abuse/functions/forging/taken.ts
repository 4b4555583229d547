/** For functions that replace built-in parts: what of the platform's they got to see, and the lines that they forge. */

/** What is the platform's own: a mark on an answer, a message of the control channel, an internal header. */
const PLATFORMS = /^[\w-]{8,}[dme]\d+$|^\{"t":"|"t":"(log|end|hold|claim|pong|claimed)"|^x-hearth$/;

export const taken: string[] = [];
let victim = '';
let own = '';

/** By no method: those may be replaced. */
export function note(text: string): void {
  taken[taken.length] = text;
}

/** Remembers `value` if it is the platform's. */
export function look(value: unknown): void {
  if (typeof value === 'string') {
    if (PLATFORMS.test(value)) note(value.slice(0, 200));
  } else if (typeof value === 'object' && value !== null) {
    const { t, token, id, lines } = value as Record<string, unknown>;
    if (typeof t === 'string' && t.length < 10) note(`a message: ${t}`);
    if (typeof token === 'string') note(`a token: ${token}`);
    if (typeof id === 'string' && lines !== undefined) note(`a log: ${id}`);
  }
}

/** The text, with the victim's execution in the place of its own. */
export function forge(text: string): string {
  if (victim === '' || own === '' || !text.includes(own)) return text;
  if (text.includes('"t":')) note(`forged: ${text.slice(0, 100)}`);
  return text.replaceAll(own, victim).replaceAll('its own line', 'a forged line');
}

export const victims = () => victim;

/** The handler of them all: logs a line of its own, which is what they would forge, and shows what they got. */
export async function handler(
  request: Request,
  context: { execution_id: string },
): Promise<{ taken: string[]; query: string }> {
  const { searchParams } = new URL(request.url);
  own = context.execution_id;
  victim = searchParams.get('victim') ?? '';
  await new Promise((resolve) => setTimeout(resolve, 1));
  console.log('its own line');
  await new Promise((resolve) => setTimeout(resolve, 1));
  victim = '';
  if (searchParams.has('throw')) throw new Error('thrown all the same');
  return { taken: [...new Set(taken)], query: searchParams.get('n') ?? '' };
}
