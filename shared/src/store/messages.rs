//! `messages` and `message_sequence`: what was said, numbered 1, 2, 3 … in commit order without a gap.
//!
//! The number comes from the one row of `message_sequence`, incremented in the message's own transaction. Its row lock
//! makes transactions commit in the order of their numbers, and one that fails gives its number back.

use std::time::Duration;

use serde::Deserialize;

#[cfg(feature = "sqlite")]
use self::on_sqlite::Frame;
#[cfg(feature = "sqlite")]
use super::together::Interrupted;
use super::{
    Again, CONNECTION_LIFE_MAX, Store,
    rows::{NOT_A_CONSTANT, Rows},
    send_rates::Window,
    with_db,
};
use crate::{
    account::Username,
    chat::{ClientId, Draft, Message, MessageId, Text},
    clock::UnixMillis,
    error::Result,
    frame::Protocol,
    rate::MessageRate,
    token::SessionId,
};

/// What a frame says, for each protocol its sender may speak: which one that is stands in the connection's row, and
/// looking it up first would cost a round trip more.
#[derive(Clone, Copy, Debug)]
pub struct Drafts<'a> {
    /// If the sender speaks plain text.
    pub plain: Option<&'a Draft>,
    /// If the sender speaks `chat.v1`.
    pub chat_v1: Option<&'a Draft>,
}

impl<'a> Drafts<'a> {
    fn of(&self, protocol: Protocol) -> Option<&'a Draft> {
        match protocol {
            Protocol::Plain => self.plain,
            Protocol::ChatV1 => self.chat_v1,
        }
    }
}

/// What came of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// What its sender speaks.
    pub protocol: Protocol,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This is stored now; or was before, when a send is repeated.
    Stored(Message),
    /// This was stored before, and its author has said too much lately to have it shown to everyone again.
    Repeated(Message),
    /// Nothing: its author has said too much lately, and may go on after this time. The same send, made on another
    /// connection at the same instant, may have been the last that was let through: repeated, it is found.
    TooMany(Duration),
    /// Nothing: there was no draft in the sender's protocol.
    NoDraft,
}

/// Which part of the history is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest messages.
    Newest,
    /// Those just below this id.
    Before(MessageId),
    /// Those just above this id.
    After(MessageId),
}

/// A page of at most `limit` messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Which part.
    pub page: Page,
    /// How many at most.
    pub limit: i64,
}

/// The columns of a [`Message`].
const MESSAGE: &str = "id, username, text, sent_at, client_id";

/// What each database does in its own way.
trait Append {
    async fn append(
        &mut self,
        connection_id: &str,
        drafts: Drafts<'_>,
        window: Option<Window>,
        now: UnixMillis,
    ) -> sqlx::Result<Option<Appended>>;
}

/// Binds the parameters that both databases number in the same way: connection, oldest living connection, now; plain text, text
/// and key of `chat.v1`; now as a stamp, the length of a full row of stamps (0: no limit), the window's start as a stamp.
macro_rules! bind {
    ($query:expr, $connection_id:expr, $drafts:expr, $window:expr, $now:expr) => {
        $query
            .bind($connection_id)
            .bind($now.minus(CONNECTION_LIFE_MAX))
            .bind($now)
            .bind($drafts.plain.map(|draft| &draft.text))
            .bind($drafts.chat_v1.map(|draft| &draft.text))
            .bind($drafts.chat_v1.and_then(|draft| draft.client_id.as_ref()))
            .bind(Window::stamp($now))
            .bind($window.map_or(0, Window::stamps_len))
            .bind($window.map(Window::start))
    };
}

/// What a database tells of a frame: who sent it, and the message, if it is stored.
#[derive(sqlx::FromRow)]
struct AppendedRow {
    #[sqlx(try_from = "String")]
    protocol: Protocol,
    id: Option<MessageId>,
    username: Username,
    text: Option<Text>,
    client_id: Option<ClientId>,
    sent_at: Option<UnixMillis>,
    sent_lately: Option<String>,
}

impl AppendedRow {
    fn read(
        self,
        drafts: Drafts<'_>,
        is_admitted: bool,
        window: Option<Window>,
        now: UnixMillis,
    ) -> Appended {
        let Self { protocol, id, username, text, client_id, sent_at, sent_lately } = self;
        let outcome = match (id, text, sent_at) {
            (Some(id), Some(text), Some(sent_at)) => {
                let message = Message { id, username, text, sent_at, client_id };
                if is_admitted { Outcome::Stored(message) } else { Outcome::Repeated(message) }
            }
            _ => match window.filter(|_| drafts.of(protocol).is_some()) {
                Some(window) => {
                    Outcome::TooMany(window.wait(&sent_lately.unwrap_or_default(), now))
                }
                None => Outcome::NoDraft,
            },
        };
        Appended { protocol, outcome }
    }
}

#[derive(sqlx::FromRow, Deserialize)]
struct PageRow {
    last_id: MessageId,
    #[sqlx(flatten)]
    message: Message,
}

impl Store {
    /// Stores what the owner of a connection says, unless that is more than `rate` allows. `None` when there is no such
    /// connection, or its session has ended before the statement began.
    ///
    /// # Errors
    /// When the database fails. Then nothing is stored and no number is used up, unless only its answer got lost: a
    /// send with a `client_id` can be repeated safely.
    pub async fn append_message(
        &self,
        connection_id: &str,
        drafts: Drafts<'_>,
        rate: Option<MessageRate>,
        now: UnixMillis,
    ) -> Result<Option<Appended>> {
        let window = rate.map(|rate| Window::ending(now, rate));
        #[cfg(feature = "sqlite")]
        match &self.writer {
            super::Pool::Sqlite(writer) => {
                let appending = self.append_together(writer, connection_id, drafts, window, now);
                return Ok(super::in_time(appending).await?);
            }
            #[cfg(feature = "postgres")]
            super::Pool::Postgres(_) => {}
        }
        let has_key = drafts.chat_v1.is_some_and(|draft| draft.client_id.is_some());
        // The same `client_id` may be stored by another connection at the same instant: next time it is found.
        let again = Again::or(super::is_unique_violation).if_repeatable(has_key);
        let appended = with_db!(self.writer, again, |db| {
            db.append(connection_id, drafts, window, now).await
        });
        Ok(appended?)
    }

    /// Stores what is said in the same transaction as all else that waits for that; alone, if together it failed.
    #[cfg(feature = "sqlite")]
    async fn append_together(
        &self,
        writer: &super::sqlite::Connections,
        connection_id: &str,
        drafts: Drafts<'_>,
        window: Option<Window>,
        now: UnixMillis,
    ) -> sqlx::Result<Option<Appended>> {
        let frame = Frame::new(connection_id, drafts, window, now);
        let append_all = |frames: Vec<Frame>| async move {
            let outcome = writer.run(async |db| on_sqlite::append_all(db, &frames).await).await;
            match outcome {
                Ok(appended) => appended.into_iter().map(Some).collect(),
                Err(error) if frames.len() == 1 => vec![Some(Err(error))],
                Err(error) => {
                    tracing::debug!(%error, messages = frames.len(), "not stored together");
                    frames.iter().map(|_frame| None).collect()
                }
            }
        };
        match self.appends.ask(frame, on_sqlite::FRAMES_MAX, append_all).await {
            Ok(Some(appended)) => appended,
            Ok(None) => {
                writer.run(async |db| db.append(connection_id, drafts, window, now).await).await
            }
            // It may be stored.
            Err(Interrupted) => Err(super::no_answer()),
        }
    }

    /// The messages with these numbers, as far as there are such, in any order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_of(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        Ok(with_db!(self.reader, |db| {
            let mut query = db.query(MESSAGE);
            query.push(format!("select {MESSAGE} from messages where id in ("));
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            query.push(")");
            db.fetch(query).await
        })?)
    }

    /// A page of the history, oldest first, and the highest id there is (0 if the page is empty), for whoever has the session.
    /// `None` when that is revoked or expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages(
        &self,
        request: PageRequest,
        session: &SessionId,
        now: UnixMillis,
    ) -> Result<Option<(Vec<Message>, MessageId)>> {
        let (which, cursor, order) = match request.page {
            Page::Newest => (">", 0, "desc"),
            Page::Before(id) => ("<", id, "desc"),
            Page::After(id) => (">", id, "asc"),
        };
        // Every row has the highest id, and there is one only if the session lives, so that a page takes one query.
        let mut rows: Vec<PageRow> = with_db!(self.reader, |db| {
            let mut query = db.query(&format!("last_id, json_array({MESSAGE})"));
            query.push(format!(
                "select {MESSAGE}, (select last_id from message_sequence) as last_id
                 from messages where id {which} "
            ));
            query.push_bind(cursor).push(" and exists (select 1 from sessions where id = ");
            query.push_bind(session).push(" and revoked_at is null and expires_at > ");
            query.push_bind(now).push(format!(") order by id {order} limit "));
            query.push_bind(request.limit).push(NOT_A_CONSTANT);
            db.fetch(query).await
        })?;
        if rows.is_empty() && !self.session_lives(session, now).await? {
            return Ok(None);
        }
        rows.sort_unstable_by_key(|row| row.message.id);
        let last_id = rows.first().map_or(0, |row| row.last_id);
        Ok(Some((rows.into_iter().map(|row| row.message).collect(), last_id)))
    }
}

/// One statement, so one round trip: finds the author, finds the message if it is a repeated send, counts it, and if it
/// is none takes the next number and inserts.
#[cfg(feature = "postgres")]
mod on_postgres {
    use sqlx::PgConnection;

    use super::{Append, Appended, AppendedRow, CONNECTION_LIFE_MAX, Drafts, UnixMillis, Window};

    const STATEMENT: &str = "with author as (
        select c.username, c.protocol,
            case c.protocol when 'chat.v1' then $5 else $4 end as text,
            case c.protocol when 'chat.v1' then $6 end as client_id
        from connections c join sessions s on s.id = c.session_id
        where c.connection_id = $1 and c.connected_at > $2
            and s.revoked_at is null and s.expires_at > $3
    ), repeated as (
        select m.id, m.text, m.client_id, m.sent_at
        from messages m join author a on a.username = m.username and a.client_id = m.client_id
        where a.text is not null
    ), admitted as (
        insert into send_rates (username, sent_lately)
        select username, $7 from author where text is not null and $8 > 0
        on conflict (username) do update
        set sent_lately = right(send_rates.sent_lately || excluded.sent_lately, $8)
        where length(send_rates.sent_lately) < $8
            or left(right(send_rates.sent_lately, $8), length($7)) <= $9
        returning username
    ), numbered as (
        update message_sequence set last_id = last_id + 1
        where exists (select from author where text is not null)
            and not exists (select from repeated)
            and ($8 = 0 or exists (select from admitted))
        returning last_id
    ), inserted as (
        insert into messages (id, username, text, client_id, sent_at)
        select n.last_id, a.username, a.text, a.client_id, $3 from numbered n, author a
        returning id, text, client_id, sent_at
    )
    select a.protocol, a.username, m.id, m.text, m.client_id, m.sent_at,
        $8 = 0 or exists (select from admitted) as is_admitted, r.sent_lately
    from author a
        left join (select * from inserted union all select * from repeated) m on true
        left join send_rates r on r.username = a.username";

    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        appended: AppendedRow,
        is_admitted: bool,
    }

    impl Append for PgConnection {
        async fn append(
            &mut self,
            connection_id: &str,
            drafts: Drafts<'_>,
            window: Option<Window>,
            now: UnixMillis,
        ) -> sqlx::Result<Option<Appended>> {
            let query = sqlx::query_as(STATEMENT);
            let query = bind!(query, connection_id, drafts, window, now);
            let row: Option<Row> = query.fetch_optional(self).await?;
            Ok(row.map(|row| row.appended.read(drafts, row.is_admitted, window, now)))
        }
    }
}

/// The same in a few statements, since SQLite cannot modify data inside of a `with`. They are one text: each text is a way to
/// the connection's thread and back, which costs more than the statements.
#[cfg(feature = "sqlite")]
pub(super) mod on_sqlite {
    use std::{fmt::Write as _, sync::LazyLock};

    use sqlx::{FromRow, Row as _, SqliteConnection, sqlite::SqliteRow};

    use super::{
        Append, Appended, AppendedRow, CONNECTION_LIFE_MAX, Draft, Drafts, UnixMillis, Window,
    };

    /// How many are stored in one transaction: so many that its end is a small part of it, and so few that nobody else waits
    /// long.
    pub(in crate::store) const FRAMES_MAX: usize = 16;

    /// What somebody says.
    #[derive(Debug)]
    pub(in crate::store) struct Frame {
        connection_id: String,
        plain: Option<Draft>,
        chat_v1: Option<Draft>,
        window: Option<Window>,
        now: UnixMillis,
    }

    impl Frame {
        pub(super) fn new(
            connection_id: &str,
            Drafts { plain, chat_v1 }: Drafts<'_>,
            window: Option<Window>,
            now: UnixMillis,
        ) -> Self {
            let connection_id = connection_id.to_owned();
            Self { connection_id, plain: plain.cloned(), chat_v1: chat_v1.cloned(), window, now }
        }

        fn drafts(&self) -> Drafts<'_> {
            Drafts { plain: self.plain.as_ref(), chat_v1: self.chat_v1.as_ref() }
        }
    }

    /// The statements for one frame. `author` is whose connection it is, if it lives; `text` the draft in its protocol, and
    /// `key` the key of one in `chat.v1`. `changes()` is how many rows the last statement changed that could change some. The
    /// first row tells whether the message was admitted; the second, if there is an author, what has come of it.
    const OF_FRAME: &str = "
        insert into send_rates (username, sent_lately)
        select c.username, $7 from {author} and $8 > 0 and {text} is not null
        on conflict (username) do update
        set sent_lately = substr(sent_lately || excluded.sent_lately, -$8)
        where length(sent_lately) < $8
            or substr(substr(sent_lately, -$8), 1, length($7)) <= $9;
        select $8 = 0 or changes() > 0;
        update message_sequence set last_id = last_id + 1
        where ($8 = 0 or changes() > 0) and exists (
            select 1 from {author} and {text} is not null and not exists (
                select 1 from messages m where m.username = c.username and m.client_id = {key}
            )
        );
        insert into messages (id, username, text, client_id, sent_at)
        select (select last_id from message_sequence), c.username, {text}, {key}, $3
        from {author} and changes() > 0;
        select c.protocol, c.username, m.id, m.text, m.client_id, m.sent_at, r.sent_lately
        from connections c join sessions s on s.id = c.session_id
            left join messages m on m.id = coalesce(
                case when changes() > 0 then (select last_id from message_sequence) end,
                (select id from messages k where k.username = c.username and k.client_id = {key})
            )
            left join send_rates r on r.username = c.username
        where c.connection_id = $1 and c.connected_at > $2
            and s.revoked_at is null and s.expires_at > $3;";

    const AUTHOR: &str = "connections c join sessions s on s.id = c.session_id
        where c.connection_id = $1 and c.connected_at > $2
            and s.revoked_at is null and s.expires_at > $3";

    /// How many parameters a frame has, with numbers of one digit.
    const PARAMETERS: usize = 9;

    /// The transactions that store 1, 2, 3 … frames. The write lock is taken at once: upgrading a read lock later could fail.
    static TRANSACTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let of_first = OF_FRAME
            .replace("{author}", AUTHOR)
            .replace("{text}", "case c.protocol when 'chat.v1' then $5 else $4 end")
            .replace("{key}", "case c.protocol when 'chat.v1' then $6 end");
        // Each has parameters of its own: those of the second are $10 to $18.
        let of = |place: usize| {
            let mut pieces = of_first.split('$');
            let mut text = pieces.next().unwrap_or_default().to_owned();
            for piece in pieces {
                let (number, rest) = piece.split_at(1);
                let number: usize = number.parse().expect("a parameter's number has one digit");
                write!(text, "${}{rest}", place * PARAMETERS + number).expect("it is a string");
            }
            text
        };
        let transaction = |frames: usize| {
            format!("begin immediate;{}\ncommit", (0..frames).map(of).collect::<String>())
        };
        (1..=FRAMES_MAX).map(transaction).collect()
    });

    impl Append for SqliteConnection {
        async fn append(
            &mut self,
            connection_id: &str,
            drafts: Drafts<'_>,
            window: Option<Window>,
            now: UnixMillis,
        ) -> sqlx::Result<Option<Appended>> {
            let frame = Frame::new(connection_id, drafts, window, now);
            append_all(self, &[frame]).await?.pop().unwrap_or(Ok(None))
        }
    }

    /// Stores up to [`FRAMES_MAX`] frames, and says what has come of each; none of them, if it fails as a whole.
    pub(super) async fn append_all(
        connection: &mut SqliteConnection,
        frames: &[Frame],
    ) -> sqlx::Result<Vec<sqlx::Result<Option<Appended>>>> {
        let mut query = sqlx::query(&*TRANSACTIONS[frames.len() - 1]);
        for frame in frames {
            query = bind!(query, &frame.connection_id, frame.drafts(), frame.window, frame.now);
        }
        let rows: Vec<SqliteRow> = query.fetch_all(connection).await?;
        let mut rows = rows.into_iter().peekable();
        // What can't be read is stored all the same, so that is its frame's error alone.
        let appended = frames.iter().map(|frame| {
            let admitted = rows.next().ok_or(sqlx::Error::RowNotFound)?;
            let Some(row) = rows.next_if(|row| row.len() > 1) else { return Ok(None) };
            let row = AppendedRow::from_row(&row)?;
            let is_admitted = admitted.try_get(0)?;
            Ok(Some(row.read(frame.drafts(), is_admitted, frame.window, frame.now)))
        });
        Ok(appended.collect())
    }
}
