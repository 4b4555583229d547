// Loaded into the supervisor before all else: `Date` goes on by as many ms as the file named in BENCH_CLOCK says, read anew
// at each SIGUSR2. So a function can have the habits of an hour in a benchmark of seconds; what is measured is real.
import { readFileSync } from 'node:fs';

const file = process.env.BENCH_CLOCK;
const now = Date.now;
let ahead = 0;
Date.now = () => now() + ahead;
process.on('SIGUSR2', () => {
  ahead = Number(readFileSync(file, 'utf8'));
});
