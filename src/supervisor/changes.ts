/** Applies changes of tenants and functions on this node: to every part that knows of them, and then to the routers. */
import type { TenantWithSecrets } from '../store/tenants.js';
import type { Events } from './events/main.js';
import type { FunctionChange } from './function_sync.js';
import type { NodeMetrics } from './node_metrics.js';
import type { SupervisorOptions } from './options.js';
import type { ProcessTokens } from './process_tokens.js';
import type { NodeProcesses } from './processes.js';
import type { NodeSecrets } from './secrets.js';
import type { Served } from './served.js';
import type { TenantChange } from './tenant_sync.js';

export interface ChangesParts {
  metrics: NodeMetrics;
  /** By their slugs; kept by `applyTenants`. */
  tenants: Map<string, TenantWithSecrets>;
  tokens: ProcessTokens;
  secrets: NodeSecrets;
  served: Served;
  processes: Pick<NodeProcesses, 'fleet' | 'quotas' | 'code' | 'renewTokens'>;
  schedules: Events['schedules'];
  /** Whether what there is at the start has been applied: of that, each router is told when it is up. */
  isSynced(): boolean;
}

export interface Changes {
  /** Each resolves when the change is known to every router that is up. */
  applyTenants(change: TenantChange): Promise<void>;
  applyFunctions(change: FunctionChange): Promise<void>;
}

/** ms that a router has to take a change. */
const ROUTER_MS = 1_000;

export function createChanges(
  { routers, onDefaultSecret, onError }: Pick<SupervisorOptions, 'routers' | 'onDefaultSecret' | 'onError'>,
  { metrics, tenants, tokens, secrets, served, processes, schedules, isSynced }: ChangesParts,
): Changes {
  const { fleet, quotas } = processes;

  /** Its tokens are signed with another secret from now on. */
  async function resign({ slug, jwt_secrets }: TenantWithSecrets) {
    const secret = jwt_secrets[0]?.secret;
    if (slug === 'default' && secret !== undefined) {
      await onDefaultSecret(secret).then((key) => tokens.keep(slug, { secret, key }), onError);
    }
    processes.renewTokens(slug);
  }

  return {
    async applyTenants(change) {
      const { changed, removed } = change;
      const resigned = changed.filter(({ slug, jwt_secrets }) => {
        const known = tenants.get(slug);
        return known !== undefined && known.jwt_secrets[0]?.secret !== jwt_secrets[0]?.secret;
      });
      const renewed = changed.filter(({ slug, secrets_revision }) => {
        const known = tenants.get(slug);
        return known !== undefined && known.secrets_revision !== secrets_revision;
      });
      for (const tenant of changed) {
        tenants.set(tenant.slug, tenant);
        metrics.tenantThere(tenant.slug);
      }
      for (const slug of removed) tenants.delete(slug);
      served.applyTenants(change);
      for (const { slug } of changed) quotas.tenantChanged(slug);
      for (const { slug } of renewed) fleet.renewSecrets(slug);
      for (const slug of removed) {
        tokens.forget(slug);
        metrics.tenantGone(slug);
        quotas.tenantRemoved(slug);
        secrets.forgetTenant(slug);
      }
      schedules.applyTenants(change);
      if (isSynced()) await routers.askAll('tenants', change, ROUTER_MS);
      for (const tenant of resigned) await resign(tenant);
    },
    async applyFunctions(change) {
      const { changed, removed, complete } = change;
      for (const fn of changed) {
        served.setFunction(fn);
        metrics.functionThere(fn);
      }
      for (const id of removed) {
        const fn = fleet.removeFunction(id);
        if (fn !== undefined) metrics.functionGone(fn);
        secrets.forgetFunction(id);
      }
      if (complete) {
        const ids = new Set(changed.map(({ id }) => id));
        for (const { fn } of [...fleet.functions()]) if (!ids.has(fn.id)) fleet.removeFunction(fn.id);
      }
      schedules.applyFunctions(change);
      if (isSynced()) await routers.askAll('functions', change, ROUTER_MS);
      // What was just deployed is called soon: its code is in the cache by then.
      if (!complete) for (const fn of changed) processes.code.of(fn).catch(onError);
    },
  };
}
