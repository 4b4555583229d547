/** The telemetry of the primary: the node's metrics page, and OpenTelemetry's SDK where OTEL_* variables ask for it. */
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { askedExporters, isDisabled } from './asked.js';
import type { ClusterMetrics } from './cluster_metrics.js';
import { freshMetrics } from './fresh_metrics.js';
import { listenForScrapes, type PageFormat } from './metrics_listener.js';

export interface TelemetryOptions {
  /** Where the OTEL_* variables are. */
  env: Readonly<Record<string, string | undefined>>;
  /** Hearth's version: `service.version`. */
  version: string;
  /** Unique per node: `service.instance.id`. */
  instanceId: string;
  host: string;
  /** 0 takes a free one; `off`: no page. */
  port: number | 'off';
  metrics: ClusterMetrics;
  /** Asks the routers for their newest points, before each collection; waited for for at most 1 s. */
  beforeScrape: () => Promise<void>;
  /** What goes wrong while the node runs: a refresh, a collection, an export. Never the caller's concern. */
  onError: (error: unknown) => void;
}

export interface Telemetry {
  /** The page's address, such as `http://127.0.0.1:9464/metrics`; null when there is none. */
  metricsUrl: string | null;
  /** Resolves when the exporters that OTEL_* variables ask for have started; scrapes wait for as long. */
  loaded: Promise<unknown>;
  /** Closes the page, sends what the exporters have (at most 5 s), and unregisters. */
  stop(): Promise<void>;
}

/** What gathers the points, and sends them on where that was asked for. */
export interface Collector {
  collect(): Promise<ResourceMetrics>;
  /** The text of the page. */
  page(collected: ResourceMetrics, format: PageFormat): string;
  stop(): Promise<void>;
}

/**
 * Once per process: OpenTelemetry's registry is global. The page listens when this resolves, and OpenTelemetry's
 * packages, which take long to load, are still being loaded. Throws StartError when the port cannot be had. With OTEL_SDK_DISABLED=true nothing starts, not even the page.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { env, host, port, onError } = options;
  if (isDisabled(env)) return { metricsUrl: null, loaded: Promise.resolve(), stop: async () => {} };

  let collector: Promise<Collector> | null = null;
  const load = () => {
    collector ??= loadCollector(options);
    return collector;
  };
  const page = async (format: PageFormat) => {
    const { collect, page } = await load();
    return page(await collect(), format);
  };
  // What it has beyond the usual format are exemplars, and those come from traces.
  const openMetrics = askedExporters(env, 'TRACES').length > 0;
  // First, so that a port that cannot be had leaves nothing to be stopped.
  const listener = port === 'off' ? null : await listenForScrapes({ host, port, page, openMetrics, onError });
  const loaded = load();
  loaded.catch(() => {}); // whoever waits for it hears of the failure
  return {
    metricsUrl: listener?.url ?? null,
    loaded,
    async stop() {
      await listener?.stop();
      // A failure to load is for whoever waits for it to report.
      await loaded.then(
        (collector) => collector.stop(),
        () => {},
      );
    },
  };
}

/** The SDK takes longer to load than the rest of a node, and does nothing that anybody sees unless a variable asks for it. */
async function loadCollector(options: TelemetryOptions): Promise<Collector> {
  const producer = freshMetrics(options.metrics, options.beforeScrape, options.onError);
  const asked = Object.entries(options.env).some(
    ([name, value]) => name.startsWith('OTEL_') && value !== undefined && value !== '',
  );
  return asked
    ? (await import('./sdk.js')).startSdk(options, producer)
    : (await import('./plain.js')).startPlain(options, producer);
}
