create table if not exists messages (
    id bigint primary key,
    username text not null references users (username),
    text text not null,
    client_id text,
    sent_at bigint not null,
    unique (username, client_id)
)
