create table if not exists send_rates (
    username text primary key references users (username),
    sent_lately text not null
)
