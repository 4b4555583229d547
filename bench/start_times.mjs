// How long `npm start` takes until `/readyz` answers 200: on an empty data directory, and on one that has been used.
import { startHearth } from './peers/hearth.mjs';
import { folder } from './started.mjs';
import { figure, median } from './statistics.mjs';

/** Leaves the last node running, for the other measurements. */
export async function measureStart({ starts }) {
  const empty = [];
  let dataDir = '';
  for (let round = 0; round < starts; round++) {
    dataDir = await folder();
    const node = await startHearth(dataDir);
    empty.push(node.readyMs);
    await node.stop();
  }
  const initialised = [];
  let node = await startHearth(dataDir);
  initialised.push(node.readyMs);
  while (initialised.length < starts) {
    await node.stop();
    node = await startHearth(dataDir);
    initialised.push(node.readyMs);
  }
  const figures = { startEmptyMs: median(empty), startInitialisedMs: median(initialised) };
  figure('start_empty_data_dir', figures.startEmptyMs, 'ms', { starts });
  figure('start_initialised_data_dir', figures.startInitialisedMs, 'ms', { starts });
  return { node, figures };
}
