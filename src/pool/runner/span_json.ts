/** A span as JSON, put together by hand as the other messages are (control.ts). */
import type { FunctionSpan, SpanPairs, SpanValue, TraceOrigin } from '../messages.ts';
import { stringify } from './intrinsics.ts';

export function spanToJson(span: FunctionSpan): string {
  const { id, parent, name, kind, start, end, status, attributes, scope } = span;
  let events = '';
  for (let index = 0; index < span.events.length; index++) {
    const [event, time, pairs] = span.events[index] as FunctionSpan['events'][number];
    events += `${index === 0 ? '' : ','}[${stringify(event)},${+time},${pairsToJson(pairs)}]`;
  }
  return (
    `{"id":"${id}","parent":"${parent}","name":${stringify(name)},"kind":${+kind},"start":${+start},"end":${+end},` +
    `"status":[${+status[0]},${stringify(status[1])}],"attributes":${pairsToJson(attributes)},` +
    `"events":[${events}],"scope":[${stringify(scope[0])},${stringify(scope[1])}]}`
  );
}

export function originToJson([traceId, spanId]: TraceOrigin): string {
  return `["${traceId}","${spanId}"]`;
}

function pairsToJson(pairs: SpanPairs): string {
  let json = '';
  for (let index = 0; index < pairs.length; index++) {
    const [name, value] = pairs[index] as SpanPairs[number];
    json += `${index === 0 ? '' : ','}[${stringify(name)},${valueToJson(value)}]`;
  }
  return `[${json}]`;
}

function valueToJson(value: SpanValue): string {
  if (typeof value !== 'object') return stringify(value);
  let json = '';
  for (let index = 0; index < value.length; index++)
    json += `${index === 0 ? '' : ','}${stringify(value[index])}`;
  return `[${json}]`;
}
