/** What the OTEL_* variables ask to be sent over the network. Without any of them: nothing. */

/** The environment, as the program was given it. */
export type Env = Readonly<Record<string, string | undefined>>;
export type Signal = 'METRICS' | 'TRACES' | 'LOGS';

/**
 * The exporters of a signal: OTEL_<signal>_EXPORTER, and `otlp` when only an OTLP endpoint is set. The SDK's own
 * default is `otlp` to localhost in any case, which a node that nobody asked to export must not do.
 */
export function askedExporters(env: Env, signal: Signal): string[] {
  if (isDisabled(env)) return [];
  const named = (value(env, `OTEL_${signal}_EXPORTER`) ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (named.length > 0) return named.includes('none') ? [] : [...new Set(named)];
  const endpoint =
    value(env, 'OTEL_EXPORTER_OTLP_ENDPOINT') ?? value(env, `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`);
  return endpoint === undefined ? [] : ['otlp'];
}

export type OtlpProtocol = 'http/protobuf' | 'http/json' | 'grpc';

/** `http/protobuf` where nothing is said, or nothing known, which `onError` is then told. */
export function otlpProtocol(env: Env, signal: Signal, onError: (error: unknown) => void): OtlpProtocol {
  const asked =
    value(env, `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`) ??
    value(env, 'OTEL_EXPORTER_OTLP_PROTOCOL') ??
    'http/protobuf';
  if (asked === 'http/protobuf' || asked === 'http/json' || asked === 'grpc') return asked;
  onError(new Error(`OTEL_EXPORTER_OTLP_PROTOCOL is ${asked}, which is unknown; http/protobuf is used.`));
  return 'http/protobuf';
}

const SIGNALS: readonly Signal[] = ['METRICS', 'TRACES', 'LOGS'];

/** Where OTLP is sent to, as far as it is said to be, or the default: no function may send there in the node's place. */
export function otlpEndpoints(env: Env): { host: string; port: number }[] {
  const endpoints: { host: string; port: number }[] = [];
  for (const signal of SIGNALS) {
    if (!askedExporters(env, signal).includes('otlp')) continue;
    const given =
      value(env, `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) ?? value(env, 'OTEL_EXPORTER_OTLP_ENDPOINT');
    const grpc = otlpProtocol(env, signal, () => {}) === 'grpc';
    const url = readUrl(given ?? (grpc ? 'http://localhost:4317' : 'http://localhost:4318'));
    if (url === null) continue;
    const port = Number(url.port) || (url.protocol === 'https:' ? 443 : grpc ? 4317 : 80);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (!endpoints.some((each) => each.host === host && each.port === port)) endpoints.push({ host, port });
  }
  return endpoints;
}

/** gRPC's may come without a scheme. */
function readUrl(text: string): URL | null {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  return URL.canParse(full) ? new URL(full) : null;
}

export function unknownExporter(signal: Signal, name: string, known: readonly string[]): Error {
  return new Error(`OTEL_${signal}_EXPORTER names ${name}, which is none of ${known.join(', ')}.`);
}

/** OTEL_SDK_DISABLED: nothing at all starts, not even the metrics page. */
export function isDisabled(env: Env): boolean {
  return value(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true';
}

/** A whole number that is at least 1; anything else counts as unset, as OpenTelemetry says of its variables. */
export function positive(env: Env, name: string): number | undefined {
  const given = Number(value(env, name) ?? Number.NaN);
  return Number.isFinite(given) && given >= 1 ? Math.floor(given) : undefined;
}

/** An empty variable counts as unset. */
export function value(env: Env, name: string): string | undefined {
  const given = env[name]?.trim();
  return given === undefined || given === '' ? undefined : given;
}
