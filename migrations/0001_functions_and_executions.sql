-- Tenants, their functions with every version of their code, and what ran.

create table tenants (
  slug text primary key check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  display_name text not null,
  retention_days int not null default 30 check (retention_days between 1 and 3650),
  created_at timestamptz not null default now()
);

insert into tenants (slug, display_name) values ('default', 'Default');

create sequence functions_seq;

create table functions (
  id uuid primary key default gen_random_uuid(),
  tenant text not null references tenants (slug),
  name text not null,
  description text,
  version int not null default 1 check (version > 0),
  hash text not null,
  enabled boolean not null,
  cron_schedule text,
  timeout_seconds int not null,
  memory_limit_mb int not null,
  allow_net boolean not null,
  allow_env boolean not null,
  allow_read boolean not null,
  allow_write boolean not null,
  allow_unauthenticated boolean not null,
  max_concurrency int not null,
  max_instances int not null,
  routes json not null default '[]',
  cors json,
  rate_limit text,
  disable_execution_logs boolean not null,
  source text not null check (source in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  created_by text,
  seq bigint not null default 0,
  deleted_at timestamptz
);

-- A deleted function's name is free again.
create unique index functions_name on functions (tenant, name) where deleted_at is null;
create index functions_seq_order on functions (seq);

-- A route is one function's, whichever node is asked at the same moment.
create table function_routes (
  tenant text not null,
  pattern text not null,
  function_id uuid not null references functions (id) on delete cascade,
  primary key (tenant, pattern)
);

create index function_routes_function on function_routes (function_id);

-- What processes load: zlib-deflated UTF-8, by the SHA-256 (hex) of the text.
create table bundles (
  hash text primary key,
  deflated bytea not null,
  created_at timestamptz not null default now()
);

-- It is compressed already.
alter table bundles alter column deflated set storage external;

create table function_versions (
  function_id uuid not null references functions (id) on delete cascade,
  version int not null,
  hash text not null references bundles (hash),
  code text not null,
  created_at timestamptz not null default now(),
  created_by text,
  primary key (function_id, version)
);

create index function_versions_hash on function_versions (hash);

-- Every change gets the next number and is announced. The lock makes the numbers become visible in their own order,
-- so that whoever has seen number n need only ask for what is above n.
create function functions_changed() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(4839002);
  new.seq := nextval('functions_seq');
  new.updated_at := clock_timestamp();
  perform pg_notify('hearth_functions', new.id::text);
  return new;
end
$$;

create trigger functions_changed before insert or update on functions
  for each row execute function functions_changed();

-- Written by COPY in batches: fixed-width columns first, no foreign keys, json unparsed. The ids are UUIDv7, so that both
-- indexes grow at their ends.
create table executions (
  id uuid not null,
  function_id uuid not null,
  executed_at timestamptz not null,
  completed_at timestamptz,
  duration_ms double precision not null,
  cpu_ms double precision,
  version int not null,
  status_code smallint,
  cold_start boolean not null,
  tenant text not null,
  function_name text not null,
  trigger_type text not null,
  status text not null,
  request_id text not null,
  trigger_payload json,
  result text,
  logs text,
  error_message text,
  error_stack text,
  primary key (id, executed_at)
) partition by range (executed_at);

create index executions_by_function on executions (function_id, id desc);
-- Failures are few and asked for most: finding them must not mean reading all successes.
create index executions_failed on executions (function_id, id desc) where status <> 'success';

-- For days that no partition was made for: a clock that jumps must not make an insert fail.
create table executions_default partition of executions default;
