create table if not exists login_failures (
    username text not null,
    source text not null,
    failures bigint not null,
    window_started_at bigint not null,
    primary key (username, source)
)
