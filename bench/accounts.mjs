// Whether every call became an execution: the calls that were made against what the node wrote and dropped.
import { metric } from './peers/hearth.mjs';
import { figure } from './statistics.mjs';

const LIMIT_MS = 30_000;

export async function measureAccounts(node, made) {
  const end = Date.now() + LIMIT_MS;
  while ((await metric(node, 'hearth_executions_buffered')) > 0 && Date.now() < end)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const dropped = await metric(node, 'hearth_executions_dropped_total');
  // Calls that were in flight when a load ended are executions too, and the load generator does not count them.
  figure('calls_answered', made, 'calls');
  figure('executions_counted', await metric(node, 'faas_invoke_duration_seconds_count'), 'executions');
  figure('executions_written', await metric(node, 'hearth_executions_written_total'), 'executions', {
    buffered: await metric(node, 'hearth_executions_buffered'),
  });
  figure('executions_dropped', dropped, 'executions', {
    note: dropped > 0 ? 'the database did not keep up with this load' : 'none',
  });
}
