/** The audit log: who changed what, when and from where. It is only added to. */
import { inBatches } from './batches.js';
import type { Queries, Sql } from './connection.js';
import type { Actor } from './types.js';

/** What was done. */
export interface AuditedAction {
  tenant: string;
  /** `<thing>.<verb>`, such as `function.create`. */
  action: string;
  /** What it was done to: a function's name, a key's id. */
  subject: string | null;
  /** Names of fields and the like; never a secret's value. */
  details?: Record<string, unknown>;
}

export interface AuditEntry {
  /** Decimal digits; higher is later. */
  id: string;
  at: Date;
  tenant: string;
  actor_kind: Actor['kind'];
  actor: string | null;
  action: string;
  subject: string | null;
  address: string | null;
  request_id: string | null;
  details: Record<string, unknown> | null;
}

export interface AuditQuery {
  limit: number;
  action?: string | undefined;
  /** An entry's id: only older ones. */
  before?: string | undefined;
}

export interface Audit {
  /** Newest first, from the tenant's own beginning: what was said of another one that had its slug is not its to read. */
  list(tenant: string, query: AuditQuery): Promise<AuditEntry[]>;
  /** The platform's view: every entry under a slug, of tenants that are gone too. */
  listAll(slug: string, query: AuditQuery): Promise<AuditEntry[]>;
  /** Deletes what is older than 400 days. @returns how many. */
  dropExpired(): Promise<number>;
}

/** Part of the transaction that makes the change: neither is there without the other. */
export async function noteAction(sql: Queries, actor: Actor, done: AuditedAction): Promise<void> {
  const row = {
    tenant: done.tenant,
    actor_kind: actor.kind,
    actor: actor.id,
    action: done.action,
    subject: done.subject,
    address: actor.address,
    request_id: actor.request_id,
    details: done.details === undefined ? null : sql.json(done.details as never),
  };
  await sql`insert into audit ${sql(row)}`;
}

const BATCH = 1_000;

export function createAudit(sql: Sql): Audit {
  return {
    list: (tenant, query) =>
      sql.asTenant(tenant, (sql) =>
        select(sql, tenant, query, sql`and at >= (select created_at from tenants where slug = ${tenant})`),
      ),
    listAll: (slug, query) => select(sql, slug, query, sql``),
    // The ids go up with the time: only the oldest entries are looked at.
    dropExpired: () =>
      inBatches(
        BATCH,
        () => sql`
          delete from audit
          where id in (select id from audit order by id limit ${BATCH}) and at < now() - interval '401 days'`,
      ),
  };
}

async function select(
  sql: Queries,
  tenant: string,
  { limit, action, before }: AuditQuery,
  bounds: ReturnType<Queries>,
): Promise<AuditEntry[]> {
  return [
    ...(await sql<AuditEntry[]>`
      select id::text, at, tenant, actor_kind, actor, action, subject, address, request_id, details from audit
      where tenant = ${tenant} ${bounds}
        ${action === undefined ? sql`` : sql`and action = ${action}`}
        ${before === undefined ? sql`` : sql`and id < ${before}`}
      order by audit.id desc limit ${limit}`),
  ];
}
