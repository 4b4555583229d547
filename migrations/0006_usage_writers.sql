-- How far each router and each supervisor has come in writing usage. A batch whose answer was lost is sent again under its
-- number, and is added once.

create table usage_writers (
  writer uuid primary key,
  -- Of the last batch that was added.
  sequence bigint not null,
  written_at timestamptz not null
);
