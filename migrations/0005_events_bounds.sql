-- What due work may take of the database, and how it is found.

-- What a row takes of the room that its tenant has for what waits.
alter table events add column bytes int not null
  generated always as (coalesce(octet_length(body), 0) + coalesce(octet_length(sealed), 0)) stored;

-- From when its time counts: since it was taken, or made to wait again by hand.
alter table events add column taken_at timestamptz not null default now();

drop index events_waiting;
create index events_waiting on events (tenant, due_at) include (bytes) where state = 'waiting';
-- The newest of each tenant are kept.
create index events_dead_of_tenant on events (tenant, died_at) where state = 'dead';

-- What has not ended is little, and is found among whatever has failed.
create index executions_open on executions (function_id, id desc) where status in ('pending', 'running');
