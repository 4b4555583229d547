-- What versions were built from, and what V8 made of them.

-- { asked, lock, resolved }: see ImportRecord in src/store/types.ts; null: nothing was fetched for it.
alter table function_versions add column imports json;

-- V8's code caches, zlib-deflated: what a function's process handed out once its module had run. It comes from code that
-- nobody trusts, so it is given to processes of the same function alone, whoever else has the same bundle.
create table code_caches (
  function_id uuid not null references functions (id) on delete cascade,
  tenant text not null,
  -- Of the bundle.
  hash text not null,
  -- Of what V8 accepts its own caches by: Deno's version, the architecture, the flags.
  engine text not null,
  deflated bytea not null,
  created_at timestamptz not null default now(),
  primary key (function_id, engine)
);

-- It is compressed already.
alter table code_caches alter column deflated set storage external;

alter table code_caches enable row level security;
create policy of_tenant on code_caches to hearth_tenant
  using (tenant = (select hearth_tenant())) with check (tenant = (select hearth_tenant()));
grant select (function_id, tenant), delete on code_caches to hearth_tenant;
