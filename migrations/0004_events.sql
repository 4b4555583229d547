-- Due work: calls that are taken now and made later. Each is a row before it is a call, beside its execution, and is
-- gone once it has been made: what it came to is the execution's to tell.

create table events (
  -- Its execution's as well.
  id uuid primary key,
  tenant text not null,
  function_id uuid not null,
  trigger_type text not null check (trigger_type in ('async', 'cron', 'database')),
  -- Of the execution, in whole ms: finds its partition.
  executed_at timestamptz not null,
  -- waiting: to be made from due_at on. running: some node makes it, until leased_until at least. dead: given up.
  state text not null default 'waiting' check (state in ('waiting', 'running', 'dead')),
  due_at timestamptz not null,
  -- How often it was begun.
  attempts int not null default 0,
  leased_by uuid,
  leased_until timestamptz,
  request_id text not null,
  -- The call: of a tick there is nothing but its schedule and its time.
  method text,
  path text,
  -- Headers, caller and address, sealed (src/sealing.ts): there may be credentials in them.
  sealed text,
  body bytea,
  schedule text,
  tick timestamptz,
  -- Why the last attempt failed.
  last_error text,
  died_at timestamptz
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- Whose turn it is: the oldest of each tenant.
create index events_waiting on events (tenant, due_at) where state = 'waiting';
-- How many are due, and since when.
create index events_due on events (due_at) where state = 'waiting';
create index events_running on events (leased_until) where state = 'running';
create index events_dead on events (died_at) where state = 'dead';
create index events_function on events (function_id);
-- One tick of a function at a time.
create unique index events_ticks on events (function_id) where trigger_type = 'cron';

-- How far each schedule has come: a tick that is not after the last one was made already, by whichever node.
create table schedules (
  function_id uuid primary key references functions (id) on delete cascade,
  tenant text not null,
  schedule text not null,
  last_tick timestamptz not null
);

create index schedules_tenant on schedules (tenant);

do $$
declare
  name text;
begin
  foreach name in array array['events', 'schedules']
  loop
    execute format('alter table %I enable row level security', name);
    execute format(
      'create policy of_tenant on %I to hearth_tenant using (tenant = (select hearth_tenant())) with check (tenant = (select hearth_tenant()))',
      name);
  end loop;
end
$$;

grant select, insert, delete on events to hearth_tenant;
grant select, delete on schedules to hearth_tenant;
-- The execution of what is taken, and of what is cancelled with its function.
grant insert, update (status, completed_at, error_message) on executions to hearth_tenant;
