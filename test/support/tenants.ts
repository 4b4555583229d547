/** A node with a PostgreSQL that the test sees into, and tenants on it. */
import type { SocketConnection } from '../../src/store/connection.js';
import { databaseUrl } from './database_url.js';
import { startNode, type TestNode } from './node.js';
import { run, startTestPostgres } from './postgres.js';

export interface TenantNode {
  node: TestNode;
  database: SocketConnection;
  /** One statement as the service's own user. */
  sql(statement: string): Promise<Record<string, unknown>[]>;
  /** Creates it, or fails with what the API said. */
  tenant(slug: string, settings?: Record<string, unknown>): Promise<TestTenant>;
  /** A new node in the old one's place, on the same database and data; resolves with the old one's exit status. */
  restart(): Promise<number | null>;
  /** The database goes away, and comes back. */
  pauseDatabase(): Promise<void>;
  resumeDatabase(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestTenant {
  slug: string;
  anon: string;
  service: string;
  /** `fetch` below /t/<slug>, with its service key unless a header says otherwise; null: without one. */
  api(path: string, init?: RequestInit & { key?: string | null; json?: unknown }): Promise<Response>;
  call(name: string, init?: RequestInit): Promise<Response>;
  deploy(name: string, code: string, settings?: Record<string, unknown>): Promise<Record<string, unknown>>;
}

export async function startTenantNode(env: Record<string, string> = {}): Promise<TenantNode> {
  const postgres = await startTestPostgres();
  const database = await postgres.database({ empty: true });
  const address = await databaseUrl(database);
  const settings = { DATABASE_URL: address.url, ...env };
  const started: TenantNode = {
    node: await startNode(settings),
    database,
    sql: (statement) => run(database, statement),
    async tenant(slug, given = {}) {
      const answer = await started.node.api('/api/v1/admin/tenants', {
        method: 'POST',
        key: 'admin',
        json: { slug, ...given },
      });
      const body = (await answer.json()) as Record<string, unknown>;
      if (answer.status !== 201)
        throw new Error(`${slug} was not created: ${answer.status} ${JSON.stringify(body)}`);
      return tenantOf(() => started.node, slug, String(body.anon_key), String(body.service_key));
    },
    async restart() {
      const { node } = started;
      const status = await node.stop();
      started.node = await startNode(settings, { dataDir: node.dataDir });
      return status;
    },
    pauseDatabase: () => postgres.pause(),
    resumeDatabase: () => postgres.resume(),
    async stop() {
      await started.node.remove();
      await address.stop();
      await postgres.stop();
    },
  };
  return started;
}

function tenantOf(node: () => TestNode, slug: string, anon: string, service: string): TestTenant {
  const tenant: TestTenant = {
    slug,
    anon,
    service,
    api(path, { key = service, json, ...init } = {}) {
      const headers = new Headers(init.headers);
      if (key !== null) headers.set('authorization', `Bearer ${key}`);
      if (json !== undefined) headers.set('content-type', 'application/json');
      const body = json === undefined ? {} : { body: JSON.stringify(json) };
      return fetch(`${node().url}/t/${slug}${path}`, { ...init, headers, ...body });
    },
    call: (name, init = {}) => tenant.api(`/functions/v1/${name}`, { key: anon, ...init }),
    async deploy(name, code, settings = {}) {
      const answer = await tenant.api('/api/v1/functions', {
        method: 'POST',
        json: { name, code, ...settings },
      });
      const body = (await answer.json()) as Record<string, unknown>;
      if (answer.status !== 201)
        throw new Error(`${name} was not deployed: ${answer.status} ${JSON.stringify(body)}`);
      return body;
    },
  };
  return tenant;
}
