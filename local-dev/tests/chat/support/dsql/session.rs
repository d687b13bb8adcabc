//! One session: authenticates the client, then passes on what DSQL would take, one round at a time.

use std::{collections::HashMap, sync::atomic::Ordering};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use super::{
    Kind, REGION, SECRET_KEY, State, rules, token,
    wire::{Message, Wire},
};
use crate::support::leaks::{self, Secret};

/// The number that asks for TLS in the place of a version.
const SSL_REQUEST: u32 = 80_877_103;

/// What DSQL says of a conflict: of rows, of the schema.
const CONFLICTS: [&str; 2] = [
    "change conflicts with another transaction, please retry: (OC000)",
    "schema has been updated by another transaction, please retry: (OC001)",
];

pub async fn serve(client: TcpStream, state: std::sync::Arc<State>) {
    state.opened.fetch_add(1, Ordering::Relaxed);
    // However it ends, the client has lost its connection.
    let _ = begin(client, &state).await;
}

async fn begin(mut client: TcpStream, state: &State) -> Option<()> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await.ok()?;
    if u32::from_be_bytes(request[4..].try_into().ok()?) != SSL_REQUEST {
        return Wire::new(client).send(&[fatal("08P01", "SSL is required")]).await;
    }
    client.write_all(b"S").await.ok()?;
    let mut client = Wire::new(state.acceptor.accept(client).await.ok()?);
    let parameters = parameters_of(&client.startup().await?);
    let unknown = parameters.iter().find(|(name, _)| {
        !matches!(name.as_str(), "user" | "database") && !rules::is_parameter(name)
    });
    if let Some((name, _)) = unknown {
        let text = format!("setting configuration parameter \"{name}\" not supported");
        return client.send(&[fatal("0A000", &text)]).await;
    }
    let value = |name: &str| {
        parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let role = value("user")?;
    client.send(&[Message::new(b'R', &3_u32.to_be_bytes())]).await?;
    let [password] = client.message().await?.strings();
    if let Some((_, signature)) = password.split_once("X-Amz-Signature=") {
        leaks::remember(Secret::AwsCredential, signature);
    }
    let denied = if *state.is_closed.borrow() {
        Err("the cluster is not ready".to_owned())
    } else if value("database").as_deref() != Some("postgres") {
        Err("there is no such database".to_owned())
    } else {
        token::check(&password, "localhost", &role, REGION, SECRET_KEY)
    };
    let denied = match denied {
        Ok(()) if role != "admin" && !is_mapped(state, &role).await => {
            Err("no IAM role may take on this one".to_owned())
        }
        denied => denied,
    };
    if let Err(why) = denied {
        let text = format!("unable to accept connection, access denied: {why}");
        return client.send(&[fatal("28000", &text)]).await;
    }
    let server = connect(state, &role).await?;
    Session {
        state,
        client,
        server,
        prepared: HashMap::new(),
        portals: HashMap::new(),
        status: b'I',
        has_ddl: false,
        has_dml: false,
    }
    .run()
    .await
}

fn fatal(code: &str, text: &str) -> Message {
    Message::error("FATAL", code, text)
}

fn parameters_of(startup: &Bytes) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(&startup[4..]).into_owned();
    let parts: Vec<&str> = text.split('\0').collect();
    let pairs = parts.chunks_exact(2).filter(|pair| !pair[0].is_empty());
    pairs.map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

async fn is_mapped(state: &State, role: &str) -> bool {
    use sqlx::Connection;
    let mut owner = sqlx::PgConnection::connect(state.url.as_str()).await.unwrap();
    let sql = "select 1 from sys.iam_pg_role_mappings where pg_role_name = $1";
    let found: Option<i32> =
        sqlx::query_scalar(sql).bind(role).fetch_optional(&mut owner).await.unwrap();
    found.is_some()
}

/// Opens a session in PostgreSQL, in which transactions see one snapshot and conflict, as in DSQL.
async fn connect(state: &State, role: &str) -> Option<Wire<TcpStream>> {
    let address = (state.url.host_str()?, state.url.port()?);
    let mut server = Wire::new(TcpStream::connect(address).await.ok()?);
    let role = if role == "admin" { state.url.username() } else { role };
    let mut startup = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in [
        ("user", role),
        ("database", state.url.path().trim_start_matches('/')),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("extra_float_digits", "2"),
        ("options", "-c default_transaction_isolation=repeatable\\ read"),
    ] {
        startup.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    startup.push(0);
    server.send_startup(&startup).await?;
    Some(server)
}

struct Session<'a, S> {
    state: &'a State,
    client: Wire<S>,
    server: Wire<TcpStream>,
    /// What prepared statements do, by name, and which of them portals run.
    prepared: HashMap<String, Kind>,
    portals: HashMap<String, Kind>,
    /// Of the transaction: `I` is none, `T` one, `E` one that has failed.
    status: u8,
    has_ddl: bool,
    has_dml: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<'_, S> {
    async fn run(&mut self) -> Option<()> {
        // PostgreSQL trusts everybody here.
        self.pass_on_answer().await?;
        let began = Instant::now();
        let mut age_max = self.state.age_max.subscribe();
        let mut round = Vec::new();
        loop {
            let end = began + *age_max.borrow_and_update();
            tokio::select! {
                message = self.client.message() => {
                    let message = message?;
                    let tag = message.tag;
                    round.push(message);
                    match tag {
                        b'X' => return self.server.send(&round).await,
                        b'Q' | b'S' => self.serve(std::mem::take(&mut round)).await?,
                        _ => {}
                    }
                }
                message = self.server.message() => self.client.send(&[message?]).await?,
                () = tokio::time::sleep_until(end) => {
                    let text = "connection has exceeded its maximum duration";
                    return self.client.send(&[fatal("57P01", text)]).await;
                }
                changed = age_max.changed() => changed.ok()?,
            }
        }
    }

    /// Passes on what belongs together, and the answer; or refuses it.
    async fn serve(&mut self, round: Vec<Message>) -> Option<()> {
        let kinds = match self.kinds_of(&round) {
            Ok(kinds) => kinds,
            Err(what) => {
                self.state.refused.lock().unwrap().push(what.clone());
                return self.refuse("0A000", &what).await;
            }
        };
        if let Err(what) = self.keep_apart(&kinds) {
            self.state.refused.lock().unwrap().push(what.clone());
            return self.refuse("0A000", &what).await;
        }
        if kinds == [Kind::Iam] {
            return self.map_role(&round[0]).await;
        }
        let ends_transaction = match self.status {
            b'I' => kinds.iter().any(|kind| matches!(kind, Kind::Read | Kind::Write | Kind::Ddl)),
            _ => kinds.contains(&Kind::Commit),
        };
        if ends_transaction && (self.state.conflicts.lock().unwrap())() {
            let number = self.state.conflicted.fetch_add(1, Ordering::Relaxed) as usize;
            if self.status != b'I' {
                self.server.send(&[Message::new(b'Q', b"rollback\0")]).await?;
                while self.server.message().await?.tag != b'Z' {}
                self.status = b'I';
            }
            return self.refuse("40001", CONFLICTS[number % CONFLICTS.len()]).await;
        }
        self.server.send(&round).await?;
        self.pass_on_answer().await
    }

    /// What is carried out by these messages. What is only prepared is remembered.
    fn kinds_of(&mut self, round: &[Message]) -> Result<Vec<Kind>, String> {
        let mut kinds = Vec::new();
        for message in round {
            match message.tag {
                b'Q' => {
                    let [sql] = message.strings();
                    for statement in rules::statements(&sql) {
                        kinds.push(rules::kind_of(&statement)?);
                    }
                }
                b'P' => {
                    let [name, sql] = message.strings();
                    self.prepared.insert(name, rules::kind_of(&sql)?);
                }
                b'B' => {
                    let [portal, name] = message.strings();
                    let kind = self.prepared.get(&name).copied().unwrap_or(Kind::Read);
                    self.portals.insert(portal, kind);
                }
                b'E' => {
                    let [portal] = message.strings();
                    kinds.extend(self.portals.get(&portal));
                }
                _ => {}
            }
        }
        Ok(kinds)
    }

    /// One DDL statement in a transaction, and nothing beside it.
    fn keep_apart(&mut self, kinds: &[Kind]) -> Result<(), String> {
        if self.status == b'I' {
            (self.has_ddl, self.has_dml) = (false, false);
        }
        for kind in kinds {
            match kind {
                Kind::Begin | Kind::Commit | Kind::Rollback => {
                    (self.has_ddl, self.has_dml) = (false, false);
                }
                Kind::Ddl | Kind::Iam if self.has_ddl => {
                    return Err("multiple ddl statements not supported in a transaction".to_owned());
                }
                Kind::Ddl | Kind::Iam => self.has_ddl = true,
                Kind::Read | Kind::Write => self.has_dml = true,
                Kind::Set => {}
            }
        }
        if self.has_ddl && self.has_dml {
            return Err("ddl and dml are not supported in the same transaction".to_owned());
        }
        Ok(())
    }

    /// `AWS IAM GRANT role TO 'arn'`, `AWS IAM REVOKE role FROM 'arn'`.
    async fn map_role(&mut self, query: &Message) -> Option<()> {
        use sqlx::Connection;
        let [sql] = query.strings();
        let (role, arn) = (sql.split_whitespace().nth(3)?, sql.split('\'').nth(1)?);
        let is_grant = sql.to_ascii_lowercase().starts_with("aws iam grant ");
        let mut owner = sqlx::PgConnection::connect(self.state.url.as_str()).await.unwrap();
        let sql = if is_grant {
            "insert into sys.iam_pg_role_mappings (pg_role_name, arn)
             select rolname, $2 from pg_roles where rolname = $1 and not exists (
                 select from sys.iam_pg_role_mappings where pg_role_name = $1 and arn = $2)"
        } else {
            "delete from sys.iam_pg_role_mappings where pg_role_name = $1 and arn = $2"
        };
        let done = sqlx::query(sql).bind(role).bind(arn).execute(&mut owner).await.unwrap();
        if done.rows_affected() != 1 {
            return self
                .refuse("42704", "there is no such role or mapping, or there is one already")
                .await;
        }
        self.client.send(&[Message::new(b'C', b"GRANT\0"), Message::ready(b'I')]).await
    }

    async fn refuse(&mut self, code: &str, text: &str) -> Option<()> {
        self.client.send(&[Message::error("ERROR", code, text), Message::ready(self.status)]).await
    }

    async fn pass_on_answer(&mut self) -> Option<()> {
        let mut answer = Vec::new();
        loop {
            let mut message = self.server.message().await?;
            if message.tag == b'E' && message.field(b'C').as_deref() == Some("XX000") {
                // "tuple concurrently updated": the catalogue's way to say that.
                message = Message::error("ERROR", "40001", CONFLICTS[1]);
            }
            if message.tag == b'E' && message.field(b'C').as_deref() == Some("42501") {
                self.state.denied.fetch_add(1, Ordering::Relaxed);
            }
            let is_last = message.tag == b'Z';
            if is_last {
                self.status = message.body[0];
            }
            // The client has been told that it is welcome when the server has told so.
            answer.push(message);
            if is_last {
                return self.client.send(&answer).await;
            }
        }
    }
}
