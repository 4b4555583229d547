/**
 * A bounded queue of executions as lines of COPY: full, it gives up its oldest. The lines lie as bytes in pages outside
 * of the JavaScript heap, so that the thousands that wait cost its garbage collector nothing.
 */

export interface ExecutionBuffer {
  /** @returns how many had to go for it: the oldest, or itself when all room is taken by what is being written. */
  push(line: string): number;
  /** Takes the oldest out: a page at least if there is one. Their room stays taken until settled or given back. */
  take(maxRows: number): Batch;
  /** The first `rows` of what is left of the batch are done with. */
  settle(batch: Batch, rows: number): void;
  /** What is left of the batch goes back to its place, as the oldest. */
  restore(batch: Batch): void;
  /** Waiting, without what is taken. */
  waiting(): number;
  /** Waiting and taken. */
  size(): number;
}

/** Lines that were taken together. */
export interface Batch {
  pages: Page[];
}

interface Page {
  bytes: Buffer;
  used: number;
  /** Where each line begins. */
  starts: number[];
  /** Lines at its beginning that are gone. */
  gone: number;
}

const PAGE_BYTES = 256 * 1024;
/** Empty pages that are kept to be filled again. */
const MAX_SPARE = 4;

/** @param pageRows lines that a page holds at most, so that a batch can be kept to a number of them. */
export function createExecutionBuffer(maxRows: number, maxBytes: number, pageRows: number): ExecutionBuffer {
  /** Oldest first. */
  let pages: Page[] = [];
  const spare: Buffer[] = [];
  let count = 0;
  let taken = 0;
  let bytes = 0;

  /** Bytes of the page's first `rows` lines that are left. */
  function bytesOf(page: Page, rows: number): number {
    const from = page.starts[page.gone] ?? page.used;
    return (page.starts[page.gone + rows] ?? page.used) - from;
  }

  function shift(page: Page, rows: number): void {
    bytes -= bytesOf(page, rows);
    page.gone += rows;
  }

  function dropOldest(): void {
    const page = pages[0];
    if (page === undefined) return;
    shift(page, 1);
    count--;
    if (left(page) === 0) recycle(pages.shift());
  }

  function recycle(page: Page | undefined): void {
    if (page !== undefined && page.bytes.length === PAGE_BYTES && spare.length < MAX_SPARE)
      spare.push(page.bytes);
  }

  function pageFor(line: string): Page {
    const last = pages.at(-1);
    if (last !== undefined && last.starts.length < pageRows && fits(line, last.bytes.length - last.used)) {
      return last;
    }
    const room = Math.max(PAGE_BYTES, fits(line, PAGE_BYTES) ? 0 : Buffer.byteLength(line));
    const page = {
      bytes: (room === PAGE_BYTES ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(room),
      used: 0,
      starts: [],
      gone: 0,
    };
    pages.push(page);
    return page;
  }

  return {
    push(line) {
      // No UTF-16 unit takes more than three bytes: counting them exactly would cost as much as writing them.
      const most = line.length * 3;
      const length = bytes + most > maxBytes || count + taken >= maxRows ? Buffer.byteLength(line) : 0;
      let gone = 0;
      while (count > 0 && (count + taken >= maxRows || bytes + length > maxBytes)) {
        dropOldest();
        gone++;
      }
      if (count + taken >= maxRows || bytes + length > maxBytes) return gone + 1;
      const page = pageFor(line);
      page.starts.push(page.used);
      const written = page.bytes.write(line, page.used, 'utf8');
      page.used += written;
      bytes += written;
      count++;
      return gone;
    },
    take(maxTaken) {
      let end = 0;
      let rows = 0;
      for (const page of pages) {
        if (end > 0 && rows + left(page) > maxTaken) break;
        rows += left(page);
        end++;
      }
      const batch = { pages: pages.slice(0, end) };
      pages = pages.slice(end);
      count -= rows;
      taken += rows;
      return batch;
    },
    settle(batch, rows) {
      for (let open = rows; open > 0; ) {
        const page = batch.pages[0];
        if (page === undefined) return;
        const done = Math.min(open, left(page));
        shift(page, done);
        taken -= done;
        open -= done;
        if (left(page) === 0) recycle(batch.pages.shift());
      }
    },
    restore(batch) {
      const rows = rowsOf(batch);
      pages = batch.pages.concat(pages);
      batch.pages = [];
      taken -= rows;
      count += rows;
    },
    waiting: () => count,
    size: () => count + taken,
  };
}

export function rowsOf(batch: Batch): number {
  return batch.pages.reduce((rows, page) => rows + left(page), 0);
}

/** The batch as it goes to COPY. The bytes are the buffer's own: they hold until the batch is settled. */
export function chunksOf(batch: Batch): Buffer[] {
  return batch.pages.map((page) => page.bytes.subarray(page.starts[page.gone] ?? page.used, page.used));
}

export function linesOf(batch: Batch): string[] {
  return batch.pages.flatMap((page) =>
    page.starts
      .slice(page.gone)
      .map((start, index) =>
        page.bytes.toString('utf8', start, page.starts[page.gone + index + 1] ?? page.used),
      ),
  );
}

function left(page: Page): number {
  return page.starts.length - page.gone;
}

/** No UTF-16 unit takes more than three bytes of UTF-8: most lines need no counting. */
function fits(line: string, room: number): boolean {
  return line.length * 3 <= room || Buffer.byteLength(line) <= room;
}
