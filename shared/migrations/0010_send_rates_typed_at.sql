alter table send_rates add column typed_at bigint
