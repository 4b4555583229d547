/** What OpenTelemetry is told of the node that the metrics come from. */
import { hostname } from 'node:os';
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources';

/** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are read by the SDK's detector, and win over these. */
export function nodeResource(node: { version: string; instanceId: string }): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      'service.name': 'hearth',
      'service.version': node.version,
      'service.instance.id': node.instanceId,
      'host.name': hostname(),
    }),
  );
}
