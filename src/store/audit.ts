/** The audit log: who changed what, when and from where. It is only added to. */
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
  /** Newest first. */
  list(tenant: string, query: AuditQuery): Promise<AuditEntry[]>;
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

export function createAudit(sql: Sql): Audit {
  return {
    list: (tenant, { limit, action, before }) =>
      sql.asTenant(tenant, async (sql) => [
        ...(await sql<AuditEntry[]>`
          select id::text, at, tenant, actor_kind, actor, action, subject, address, request_id, details from audit
          where tenant = ${tenant}
            ${action === undefined ? sql`` : sql`and action = ${action}`}
            ${before === undefined ? sql`` : sql`and id < ${before}`}
          order by id desc limit ${limit}`),
      ]),
    async dropExpired() {
      return (await sql`delete from audit where at < now() - interval '401 days'`).count;
    },
  };
}
