create table if not exists sessions (
    id text primary key,
    username text not null references users (username),
    token_id text not null,
    previous_token_id text,
    rotated_at bigint not null,
    created_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint
)
