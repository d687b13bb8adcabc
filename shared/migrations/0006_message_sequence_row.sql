insert into message_sequence (singleton, last_id) values (1, 0) on conflict (singleton) do nothing
