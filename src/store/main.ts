/** The store: everything that Hearth keeps in PostgreSQL, behind functions that say what they do. */

import { createSealer } from '../sealing.js';
import { type ApiKeys, createApiKeys } from './api_keys.js';
import { type Audit, createAudit } from './audit.js';
import { type Connection, connect, type PoolOptions, type Sql } from './connection.js';
import { createEvents, type Events } from './events.js';
import { createExecutions, type Executions } from './executions.js';
import { createFunctions, type Functions } from './functions.js';
import { createJwtSecrets, type JwtSecrets } from './jwt_secrets.js';
import { createNotifications, type Notifications } from './notifications.js';
import { createQuotaUse, type QuotaUse } from './quotas.js';
import { createResealing, type Resealing } from './resealing.js';
import { createSchedules, type Schedules } from './schedules.js';
import { createSecrets, type Secrets } from './secrets.js';
import { ownSessions, type Sessions } from './sessions.js';
import { createTenants, type Tenants } from './tenants.js';
import { createUsage, type Usage } from './usage.js';

export interface Store {
  functions: Functions;
  executions: Executions;
  events: Events;
  schedules: Schedules;
  notifications: Notifications;
  tenants: Tenants;
  jwtSecrets: JwtSecrets;
  apiKeys: ApiKeys;
  audit: Audit;
  usage: Usage;
  quotaUse: QuotaUse;
  secrets: Secrets;
  resealing: Resealing;
  /** For createExecutionWriter(). */
  sql: Sql;
  /** @throws when the database does not answer. */
  ping(): Promise<void>;
  /** Connections of Hearth's. @throws when the database does not answer. */
  sessions(): Promise<Sessions[]>;
  /** Lets running queries end, 5 s at most, and closes the connections. */
  stop(): Promise<void>;
}

export interface StoreOptions extends PoolOptions {
  /** What secrets are sealed with, one at least: the first seals, all open. */
  secretKeys: readonly string[];
}

/**
 * Opens the store and makes sure that the database answers. It does not migrate: the supervisor does, before.
 *
 * @throws the connection's error when the database is away.
 */
export async function openStore(connection: Connection, options: StoreOptions): Promise<Store> {
  const sql = connect(connection, options);
  const sealer = createSealer(options.secretKeys);
  const store: Store = {
    functions: createFunctions(sql),
    executions: createExecutions(sql),
    events: createEvents(sql, sealer),
    schedules: createSchedules(sql),
    notifications: createNotifications(connection, options.name ?? 'hearth'),
    tenants: createTenants(sql, sealer),
    jwtSecrets: createJwtSecrets(sql, sealer),
    apiKeys: createApiKeys(sql),
    audit: createAudit(sql),
    usage: createUsage(sql),
    quotaUse: createQuotaUse(sql),
    secrets: createSecrets(sql, sealer),
    resealing: createResealing(sql, sealer),
    sql,
    async ping() {
      await sql`select 1`;
    },
    sessions: () => ownSessions(sql),
    stop: () => sql.end({ timeout: 5 }),
  };
  try {
    await store.ping();
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw error;
  }
  return store;
}
