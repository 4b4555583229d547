/** What OpenTelemetry is told of the node that metrics, spans and logs come from. */
import { hostname } from 'node:os';
import {
  defaultResource,
  detectResources,
  envDetector,
  hostDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { type Env, value } from './asked.js';
import type { ProcessFacts } from './spans.js';

/** The names that manifests usually give what the downward API says of a pod. */
const KUBERNETES = {
  'k8s.pod.name': 'POD_NAME',
  'k8s.pod.uid': 'POD_UID',
  'k8s.namespace.name': 'POD_NAMESPACE',
  'k8s.node.name': 'NODE_NAME',
};

/** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are read by the SDK's detector, and win over these. */
export function nodeResource(env: Env, node: { version: string; instanceId: string }): Resource {
  const pod: Record<string, string> = {};
  if (value(env, 'KUBERNETES_SERVICE_HOST') !== undefined) {
    for (const [attribute, variable] of Object.entries(KUBERNETES)) {
      const found = value(env, variable);
      if (found !== undefined) pod[attribute] = found;
    }
  }
  return defaultResource().merge(
    resourceFromAttributes({
      'service.name': 'hearth',
      'service.version': node.version,
      'service.instance.id': node.instanceId,
      'host.name': hostname(),
      ...pod,
    }),
  );
}

/** The same of one of the node's processes, with what the environment says of it. */
export function processResource(env: Env, facts: ProcessFacts): Resource {
  return nodeResource(env, facts)
    .merge(resourceFromAttributes({ 'hearth.process': facts.process, 'process.pid': process.pid }))
    .merge(detectResources({ detectors: [envDetector, hostDetector] }));
}
