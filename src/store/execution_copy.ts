/** Writes a batch of executions: by COPY, and by INSERT where COPY was refused and the reason has to be found. */
import type { Sql } from './connection.js';
import { isBadData } from './database_errors.js';
import { EXECUTION_COLUMNS, fieldsOf } from './execution_row.js';

const NAMES = EXECUTION_COLUMNS.map(([name]) => name).join(', ');

/** As many bytes keep PostgreSQL busy for about half a ms. */
const PIECE_BYTES = 8 * 1024;
const MAX_PIECES = 32;

/**
 * All of the lines or none of them.
 *
 * They go in some 32 pieces at most: given all at once, PostgreSQL takes a core for some ms, and calls wait for it meanwhile.
 *
 * postgres.js loses an error that comes after the last byte of a COPY was sent: its stream then never ends. So a query
 * follows in the same transaction, which fails too if the COPY did.
 *
 * @param between awaited before each piece but the first.
 * @throws what the database said, or that the transaction has failed: {@link insertLines} finds out why.
 */
export async function copyLines(
  sql: Sql,
  chunks: Buffer[],
  between: () => Promise<void> | undefined = () => undefined,
): Promise<void> {
  await sql.transaction(async (sql) => {
    const stream = await sql.unsafe(`copy executions (${NAMES}) from stdin`).writable();
    // The error is taken from the stream itself, below; without a listener it would be thrown as well.
    stream.on('error', () => {});
    for (const [index, piece] of piecesOf(chunks).entries()) {
      if (index > 0) await between();
      await new Promise<void>((sent) => stream.write(piece, () => sent()));
    }
    if (stream.errored !== null) throw stream.errored;
    // With nothing left to write this tells PostgreSQL at once that the data is complete, so that a query may follow.
    stream.end();
    await sql`select 1`;
  });
}

function piecesOf(chunks: Buffer[]): Buffer[] {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const size = Math.max(PIECE_BYTES, Math.ceil(bytes / MAX_PIECES));
  return chunks.flatMap((chunk) =>
    Array.from({ length: Math.ceil(chunk.length / size) }, (_, n) =>
      chunk.subarray(n * size, (n + 1) * size),
    ),
  );
}

/**
 * Writes the lines by INSERT; those that are there already (from a COPY whose answer was lost) stay as they are.
 *
 * @throws what the database said, exactly: {@link isBadData} when one of the lines is to blame.
 */
export async function insertLines(sql: Sql, lines: string[]): Promise<void> {
  const rows = lines.map(fieldsOf);
  const values = EXECUTION_COLUMNS.map(([, type], index) => `(line->>${index})::${type}`).join(', ');
  await sql.unsafe(
    `insert into executions (${NAMES}) select ${values} from jsonb_array_elements($1) as line on conflict do nothing`,
    [sql.json(rows)],
  );
}

/**
 * Writes all lines that can be written, by halving whatever is refused.
 *
 * @param onDone told of each line, by its index, as soon as its fate is known; `error` is why it cannot be written.
 * @throws an error that is no line's fault: those not yet told of are not written.
 */
export async function insertGood(
  sql: Sql,
  lines: string[],
  onDone: (from: number, to: number, error?: unknown) => void,
): Promise<void> {
  const ranges: [number, number][] = [[0, lines.length]];
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
    const [from, to] = range;
    try {
      await insertLines(sql, lines.slice(from, to));
      onDone(from, to);
    } catch (error) {
      if (!isBadData(error)) throw error;
      if (to - from <= 1) {
        onDone(from, to, error);
        continue;
      }
      const middle = (from + to) >> 1;
      ranges.push([middle, to], [from, middle]);
    }
  }
}
