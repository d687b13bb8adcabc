create table if not exists connections (
    connection_id text primary key,
    username text not null references users (username),
    session_id text not null references sessions (id),
    protocol text not null,
    connected_at bigint not null
)
