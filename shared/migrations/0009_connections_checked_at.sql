alter table connections add column checked_at bigint
