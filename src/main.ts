/** One whole node. The primary process is the supervisor; cluster workers run as routers. */
import cluster from 'node:cluster';
import { handleSignals } from './signals.js';

if (cluster.isPrimary) await runNode();
else (await import('./router/process.js')).runRouter(process.env);

async function runNode(): Promise<void> {
  const { StartError } = await import('./errors.js');
  const { startNode } = await import('./node.js');
  const node = startNode(process.env, import.meta.dirname);
  handleSignals({
    stop: () => void node.stop().then((status) => process.exit(status)),
    stopNow: () => {
      node.stopNow();
      process.exit(1);
    },
  });
  try {
    await node.ready;
  } catch (error) {
    if (node.stopping) return;
    await node.stop();
    const known = error instanceof StartError;
    process.stderr.write(
      `hearth: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    );
    process.exit(known ? 2 : 1);
  }
}
