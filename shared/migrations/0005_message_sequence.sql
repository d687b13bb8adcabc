create table if not exists message_sequence (
    singleton bigint primary key check (singleton = 1),
    last_id bigint not null
)
