// Uses OpenTelemetry's own API: a span of its own, a fetch in it, a line of log in it.
import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api';

const tracer = trace.getTracer('shop', '1.2.3');

export default async (request: Request) => {
  const url = new URL(request.url).searchParams.get('fetch');
  return await tracer.startActiveSpan('price', { attributes: { items: 3 } }, async (span) => {
    span.setAttribute('currency', 'EUR').addEvent('looked up', { hits: 2 });
    // These say where a span comes from: a function has no say in that.
    span.setAttributes({ 'hearth.tenant': 'other', 'faas.name': 'other', 'service.name': 'other' });
    console.log('pricing');
    const answer = url === null ? null : await fetch(url, { headers: { 'x-own': 'kept' } });
    await Promise.resolve();
    const carrier: Record<string, string> = {};
    propagation.inject(context.active(), carrier);
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'too cheap' });
    span.end();
    return Response.json({
      traceparent: request.headers.get('traceparent'),
      tracestate: request.headers.get('tracestate'),
      fetched: answer?.status,
      carrier,
      active: trace.getActiveSpan()?.spanContext().spanId === span.spanContext().spanId,
    });
  });
};
