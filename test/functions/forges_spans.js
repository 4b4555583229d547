// Tries to put spans into a trace that it was not called in, under another's name, and more of them than it may.
const { trace, context } = globalThis[Symbol.for('opentelemetry.js.api.1')];

export default (request) => {
  const { searchParams } = new URL(request.url);
  const tracer = trace.getTracer('forger');
  const spanKey = Symbol.for('OpenTelemetry Context Key SPAN');
  const foreign = {
    spanContext: () => ({
      traceId: searchParams.get('trace'),
      spanId: searchParams.get('span'),
      traceFlags: 1,
    }),
  };
  tracer
    .startSpan(
      'forged',
      { attributes: { 'hearth.tenant': 'victim' } },
      context.active().setValue(spanKey, foreign),
    )
    .end();
  tracer
    .startSpan('odd', {
      attributes: { big: 'x'.repeat(100_000), nan: Number.NaN, list: [1, null, {}] },
      startTime: Number.NaN,
    })
    .end(new Date(Number.NaN));
  for (let n = 0; n < 500; n++) tracer.startSpan(`many ${n}`).end();
  return 'done';
};
