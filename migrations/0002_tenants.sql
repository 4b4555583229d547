-- Many tenants: their settings, domains, keys, secrets, quotas, usage and the audit log, each row with its tenant, and
-- row-level security as the second wall behind the queries' own conditions.

-- The role that every query on a tenant's behalf runs as, bound to the tenant by the setting `hearth.tenant`.
do $$
begin
  if not exists (select from pg_roles where rolname = 'hearth_tenant') then
    create role hearth_tenant nologin;
  end if;
exception
  when duplicate_object or unique_violation then null; -- another database of this server was first
  when insufficient_privilege then
    raise exception 'the role hearth_tenant is missing, and % may not create it: '
      'run "create role hearth_tenant nologin; grant hearth_tenant to %" as an administrator', current_user, current_user;
end
$$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user)
    and not exists (
      select from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles u on u.oid = m.member
      where r.rolname = 'hearth_tenant' and u.rolname = current_user and not m.admin_option)
  then
    execute format('grant hearth_tenant to %I', current_user);
  end if;
end
$$;

-- Tenants.

alter table tenants
  add column status text not null default 'active' check (status in ('active', 'suspended', 'deleting')),
  -- See Quotas in src/store/types.ts; what is not there is not limited.
  add column quotas json not null default '{}',
  -- Who signs its users' tokens besides the tenant itself: { jwks_url, issuer, audience }.
  add column jwt json not null default '{}',
  -- Goes up with each change of a secret of the whole tenant: processes that have an older one are replaced.
  add column secrets_revision int not null default 1,
  add column updated_at timestamptz not null default now();

create table tenant_domains (
  domain text primary key check (domain = lower(domain)),
  tenant text not null references tenants (slug) on delete cascade
);

create index tenant_domains_tenant on tenant_domains (tenant);

-- What a tenant's HS256 tokens are signed with, sealed (src/sealing.ts). The newest signs; a retired one still verifies
-- until its time.
create table tenant_jwt_secrets (
  id uuid primary key default gen_random_uuid(),
  tenant text not null references tenants (slug) on delete cascade,
  sealed text not null,
  created_at timestamptz not null default clock_timestamp(),
  verifies_until timestamptz
);

create index tenant_jwt_secrets_tenant on tenant_jwt_secrets (tenant);

create function tenants_changed() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    perform pg_notify('hearth_tenants', old.slug);
    return old;
  end if;
  new.updated_at := clock_timestamp();
  perform pg_notify('hearth_tenants', new.slug);
  return new;
end
$$;

create trigger tenants_changed before insert or update or delete on tenants
  for each row execute function tenants_changed();

-- A function's versions carry its tenant, so that the second wall stands before them too.
alter table function_versions add column tenant text;
update function_versions v set tenant = f.tenant from functions f where f.id = v.function_id;
alter table function_versions alter column tenant set not null;

-- Goes up with each change of a secret of the function.
alter table functions add column secrets_revision int not null default 1;

-- What a tenant has is counted and deleted by its slug.
create index functions_tenant on functions (tenant);

-- Functions that were deleted with their tenant, for 40 days: what a node still writes of their executions or their usage
-- is nobody's, not even a tenant's that takes the same slug.
create table departed_functions (
  id uuid primary key,
  at timestamptz not null default now()
);

-- Keys: random, so that a plain hash is enough (SHA-256, 32 bytes).
create table api_keys (
  id uuid primary key default gen_random_uuid(),
  tenant text not null references tenants (slug) on delete cascade,
  kind text not null check (kind in ('api', 'service')),
  name text not null,
  -- What a list shows of the key.
  prefix text not null,
  hash bytea not null unique check (length(hash) = 32),
  scopes text[] not null default '{}',
  -- Names of functions that it may call; null: all.
  functions text[],
  -- Addresses and ranges that it may come from; null: any.
  source_ranges text[],
  expires_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text
);

create index api_keys_tenant on api_keys (tenant, created_at desc, id);

create function api_keys_gone() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearth_keys', encode(old.hash, 'hex'));
  return null;
end
$$;

create trigger api_keys_gone after delete or update of scopes, functions, source_ranges, expires_at on api_keys
  for each row execute function api_keys_gone();

-- Secrets: sealed values (AES-256-GCM, src/sealing.ts), of a function or, without one, of the whole tenant.
create table secrets (
  id uuid primary key default gen_random_uuid(),
  tenant text not null references tenants (slug) on delete cascade,
  function_id uuid references functions (id) on delete cascade,
  name text not null,
  sealed text not null,
  -- The key that it was sealed with, as the first part of `sealed` names it.
  key_id text not null,
  -- Keyed (src/sealing.ts), hex: tells whether two values of the tenant are the same, and lets nobody guess at them.
  digest text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  updated_by text
);

create unique index secrets_of_functions on secrets (function_id, name) where function_id is not null;
create unique index secrets_of_tenants on secrets (tenant, name) where function_id is null;

-- What was used, by hour (UTC).
create table usage_hours (
  tenant text not null,
  function_id uuid not null,
  hour timestamptz not null,
  function_name text not null,
  calls bigint not null default 0,
  cpu_ms double precision not null default 0,
  mib_seconds double precision not null default 0,
  egress_bytes bigint not null default 0,
  cold_starts bigint not null default 0,
  primary key (tenant, hour, function_id)
);

create index usage_hours_age on usage_hours (hour);

-- Calls admitted under a quota, over all nodes: one row per tenant and window.
create table quota_windows (
  tenant text not null references tenants (slug) on delete cascade,
  -- minute, day or month
  quota text not null,
  starts_at timestamptz not null,
  used double precision not null default 0,
  primary key (tenant, quota, starts_at)
);

create index quota_windows_age on quota_windows (starts_at);

-- What each node has running for a tenant right now; a row older than some seconds is a dead node's.
create table quota_gauges (
  node uuid not null,
  tenant text not null references tenants (slug) on delete cascade,
  concurrent_calls int not null,
  processes int not null,
  memory_mib int not null,
  at timestamptz not null,
  primary key (node, tenant)
);

-- Who changed what, kept for 400 days. It outlives the tenant, and nobody changes it.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  tenant text not null,
  -- The kind of credential: admin, service_role, service_key, api_key, system.
  actor_kind text not null,
  -- A user's id, a key's id, or null where the kind says all.
  actor text,
  -- Such as function.create, secret.set, tenant.suspend.
  action text not null,
  -- What it was done to: a function's name, a key's id.
  subject text,
  address text,
  request_id text,
  -- Names of fields, never values of secrets.
  details json
);

create index audit_of_tenant on audit (tenant, id desc);

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    if old.at < now() - interval '400 days' then return old; end if;
  end if;
  raise exception 'the audit log is only added to';
end
$$;

-- Entries older than 400 days may go.
create trigger audit_is_kept before delete on audit for each row execute function audit_is_append_only();
create trigger audit_is_not_changed before update or truncate on audit for each statement execute function audit_is_append_only();

-- The second wall.

create function hearth_tenant() returns text language sql stable as $$
  select nullif(current_setting('hearth.tenant', true), '')
$$;

do $$
declare
  name text;
begin
  foreach name in array array[
    'functions', 'function_routes', 'function_versions', 'executions', 'tenant_domains', 'tenant_jwt_secrets', 'api_keys',
    'secrets', 'usage_hours', 'quota_windows', 'quota_gauges', 'audit']
  loop
    execute format('alter table %I enable row level security', name);
    execute format(
      'create policy of_tenant on %I to hearth_tenant using (tenant = (select hearth_tenant())) with check (tenant = (select hearth_tenant()))',
      name);
  end loop;
end
$$;

alter table tenants enable row level security;
create policy of_tenant on tenants to hearth_tenant using (slug = (select hearth_tenant()));

do $$
begin
  execute format('grant usage on schema %I to hearth_tenant', current_schema());
end
$$;

grant select, insert, update, delete on functions, function_routes, function_versions, api_keys, secrets to hearth_tenant;
grant usage on sequence functions_seq to hearth_tenant;
-- Other tenants' code is among them: it can be added to, and not be read.
grant select (hash), insert, update (created_at) on bundles to hearth_tenant;
grant select on executions, usage_hours, tenant_domains, quota_windows, quota_gauges, departed_functions to hearth_tenant;
grant select, insert on audit to hearth_tenant;
grant select, update (secrets_revision) on tenants to hearth_tenant;
