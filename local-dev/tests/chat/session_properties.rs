//! Sessions as a property: whatever a user does with their tokens, in whatever order and at whatever time, a small model
//! of their sessions says beforehand what comes of it.
//!
//! `SEED=… cargo test -p local-dev --test chat session_properties` tells a failed run again.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, prop_oneof},
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;

use crate::{
    Needs,
    support::{World, http::Answer, room::User, socket::Socket},
};

crate::stories! {
    Needs::Nothing;
    sessions_are_as_their_model,
}

const ACCESS_TTL: Duration = Duration::from_mins(15);
/// Shorter than an access token's, so that sockets and access tokens outlive sessions.
const REFRESH_TTL: Duration = Duration::from_mins(10);
const LEEWAY: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(30);

/// What API Gateway would have closed by then.
const SOCKET_LIFE_MAX: Duration = Duration::from_hours(2);

/// How long a step may take where the clock goes on by itself.
const STEP_TIME_MAX: Duration = Duration::from_secs(20);

/// How many sessions a user opens in one run: each takes a login.
const SESSIONS_MAX: usize = 3;

/// How long a failed run is made smaller.
const SHRINK_TIME_MAX: Duration = Duration::from_secs(50);

/// Around the boundaries, and sums of them.
const WAITS_SECS: [u64; 18] =
    [1, 5, 10, 20, 29, 30, 31, 60, 300, 569, 570, 599, 600, 629, 630, 899, 929, 930];

/// So many seconds after a refresh, what becomes of the token of this age changes.
const BOUNDARIES: [(u64, usize); 5] = [(30, 1), (30, 1), (600, 0), (630, 0), (930, 0)];

/// Something that a user does. Numbers choose from what there is; age 0 is the newest.
#[derive(Clone, Debug)]
enum Step {
    LogIn,
    Refresh {
        session: usize,
        age: usize,
    },
    RefreshTwiceAtOnce {
        session: usize,
        age: usize,
    },
    LogOut {
        session: usize,
        age: usize,
    },
    /// Revokes the session and closes no socket, as when API Gateway is away at that moment.
    RevokeSilently {
        session: usize,
    },
    Wait {
        seconds: u64,
    },
    ReadHistory {
        session: usize,
        age: usize,
    },
    Connect {
        session: usize,
        age: usize,
        is_plain: bool,
    },
    Say {
        socket: usize,
    },
}

fn steps(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    let session = || 0..SESSIONS_MAX;
    let age = || prop_oneof![5 => Just(0), 4 => Just(1), 2 => 2..5_usize];
    let of_session = || (session(), age());
    let step = prop_oneof![
        2 => Just(Step::LogIn),
        8 => of_session().prop_map(|(session, age)| Step::Refresh { session, age }),
        3 => of_session().prop_map(|(session, age)| Step::RefreshTwiceAtOnce { session, age }),
        2 => of_session().prop_map(|(session, age)| Step::LogOut { session, age }),
        1 => session().prop_map(|session| Step::RevokeSilently { session }),
        8 => select(&WAITS_SECS[..]).prop_map(|seconds| Step::Wait { seconds }),
        4 => of_session().prop_map(|(session, age)| Step::ReadHistory { session, age }),
        5 => (session(), age(), proptest::bool::ANY)
            .prop_map(|(session, age, is_plain)| Step::Connect { session, age, is_plain }),
        5 => (0..6_usize).prop_map(|socket| Step::Say { socket }),
    ];
    // What happens at a boundary would come about by chance too rarely.
    let at_a_boundary = (session(), select(&BOUNDARIES[..]), -1..=1_i64).prop_map(
        |(session, (seconds, age), off)| {
            vec![
                Step::Refresh { session, age: 0 },
                Step::Wait { seconds: seconds.saturating_add_signed(off) },
                Step::ReadHistory { session, age: 0 },
                Step::Refresh { session, age },
            ]
        },
    );
    let some = prop_oneof![6 => step.prop_map(|step| vec![step]), 1 => at_a_boundary];
    vec(some, 1..steps_max).prop_map(|some| some.concat())
}

async fn sessions_are_as_their_model(mut world: World) {
    let compiled = world.compiled_functions().is_some();
    world.restart_with("REFRESH_TOKEN_TTL", &REFRESH_TTL.as_secs().to_string()).await;
    let (runs, steps_max) = if compiled { (4, 16) } else { (32, 32) };
    let seeds: Vec<u64> = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_unset) => (0..runs).map(|_| rand::random()).collect(),
    };
    for seed in seeds {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.to_le_bytes().repeat(4));
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut tree = steps(steps_max).new_tree(&mut runner).unwrap();
        let mut problem = problem_with(&world, &tree.current()).await;
        let mut smallest = None;
        let until = Instant::now() + SHRINK_TIME_MAX;
        loop {
            let has_failed = problem.is_some();
            smallest = problem.map(|problem| (tree.current(), problem)).or(smallest);
            let goes_on = if has_failed { tree.simplify() } else { tree.complicate() };
            // A run that was fine from the start has nothing to be made smaller.
            if smallest.is_none() || !goes_on || Instant::now() > until {
                break;
            }
            problem = problem_with(&world, &tree.current()).await;
        }
        if let Some((steps, problem)) = smallest {
            panic!("SEED={seed}: {problem}, after {steps:#?}");
        }
    }
}

/// What goes wrong in a run.
async fn problem_with(world: &World, steps: &[Step]) -> Option<String> {
    let panic = AssertUnwindSafe(run(world, steps)).catch_unwind().await.err()?;
    let message = panic.downcast::<String>().map_or_else(
        |panic| panic.downcast::<&str>().map_or("a panic".to_owned(), |text| (*text).to_owned()),
        |text| *text,
    );
    Some(message)
}

async fn run(world: &World, steps: &[Step]) {
    let username = format!("u{:08x}", rand::random::<u32>());
    world.register(&username).await;
    let mut model = Model {
        world,
        username,
        sessions: Vec::new(),
        sockets: Vec::new(),
        said: Vec::new(),
        waited: Duration::ZERO,
        began: Instant::now(),
    };
    model.log_in().await;
    for step in steps {
        model.settle().await;
        model.take(step).await;
    }
    model.finish().await;
}

/// One user, as it should be.
struct Model<'a> {
    world: &'a World,
    username: String,
    sessions: Vec<Session>,
    sockets: Vec<Open>,
    /// The texts that must be stored.
    said: Vec<String>,
    waited: Duration,
    began: Instant,
}

#[derive(Clone)]
struct Token {
    token: String,
    issued_at: Duration,
}

struct Session {
    user: User,
    /// The newest is the current one, the one before it the previous one.
    refresh: Vec<Token>,
    access: Vec<Token>,
    is_revoked: bool,
}

struct Open {
    session: usize,
    opened_at: Duration,
    socket: Socket,
}

impl Session {
    /// When the current refresh token was made.
    fn rotated_at(&self) -> Duration {
        self.refresh.last().unwrap().issued_at
    }

    fn lives(&self, now: Duration) -> bool {
        !self.is_revoked && now < self.rotated_at() + REFRESH_TTL
    }
}

fn by_age(tokens: &[Token], age: usize) -> &Token {
    &tokens[tokens.len() - 1 - age % tokens.len()]
}

fn has_expired(token: &Token, ttl: Duration, now: Duration) -> bool {
    now >= token.issued_at + ttl + LEEWAY
}

impl Model<'_> {
    /// How late it is. The clock of compiled functions goes on by itself.
    fn now(&self) -> Duration {
        let own = if self.runs_by_itself() { self.began.elapsed() } else { Duration::ZERO };
        self.waited + own
    }

    fn runs_by_itself(&self) -> bool {
        self.world.compiled_functions().is_some()
    }

    async fn wait(&mut self, time: Duration) {
        let then = self.now() + time;
        // API Gateway lets no socket live for so long.
        while let Some(old) =
            self.sockets.iter().position(|open| open.opened_at + SOCKET_LIFE_MAX < then)
        {
            self.sockets.remove(old).socket.close().await;
        }
        self.world.clock.advance(time);
        self.waited += time;
    }

    /// Waits until nothing happens by itself in the time of a step, where the clock goes on by itself.
    async fn settle(&mut self) {
        while self.runs_by_itself() && self.is_near_a_boundary() {
            self.wait(STEP_TIME_MAX).await;
        }
    }

    fn is_near_a_boundary(&self) -> bool {
        let now = self.now();
        let near = |at: Duration| now <= at + Duration::from_secs(1) && at < now + STEP_TIME_MAX;
        self.sessions.iter().any(|session| {
            let rotated_at = session.rotated_at();
            near(rotated_at + GRACE)
                || near(rotated_at + REFRESH_TTL)
                || session.refresh.iter().any(|token| near(token.issued_at + REFRESH_TTL + LEEWAY))
                || session.access.iter().any(|token| near(token.issued_at + ACCESS_TTL + LEEWAY))
        })
    }

    async fn take(&mut self, step: &Step) {
        let number = self.sessions.len();
        match *step {
            Step::LogIn if number < SESSIONS_MAX => self.log_in().await,
            Step::LogIn => {}
            Step::Refresh { session, age } => self.refresh(session % number, age, 1).await,
            Step::RefreshTwiceAtOnce { session, age } => {
                self.refresh(session % number, age, 2).await;
            }
            Step::LogOut { session, age } => self.log_out(session % number, age).await,
            Step::RevokeSilently { session } => {
                let session = &mut self.sessions[session % number];
                self.world.revoke_silently(&session.user).await;
                session.is_revoked = true;
            }
            Step::Wait { seconds } => self.wait(Duration::from_secs(seconds)).await,
            Step::ReadHistory { session, age } => self.read_history(session % number, age).await,
            Step::Connect { session, age, is_plain } => {
                self.connect(session % number, age, is_plain).await;
            }
            Step::Say { .. } if self.sockets.is_empty() => {}
            Step::Say { socket } => self.say(socket % self.sockets.len()).await,
        }
    }

    async fn log_in(&mut self) {
        let user = self.world.log_in(&self.username).await;
        let issued_at = self.now();
        let token = |token: &String| vec![Token { token: token.clone(), issued_at }];
        let (refresh, access) = (token(&user.refresh), token(&user.access));
        self.sessions.push(Session { user, refresh, access, is_revoked: false });
    }

    /// Presents one refresh token, `times` at once.
    async fn refresh(&mut self, index: usize, age: usize, times: usize) {
        let now = self.now();
        let session = &mut self.sessions[index];
        let presented = by_age(&session.refresh, age).clone();
        let place = age % session.refresh.len();
        let body = json!({"refresh_token": presented.token});
        let answers =
            join_all((0..times).map(|_| self.world.http.post("/auth/refresh", &body))).await;

        if has_expired(&presented, REFRESH_TTL, now) || !session.lives(now) {
            assert_statuses(&answers, 401);
        } else if place == 0 || (place == 1 && now <= session.rotated_at() + GRACE) {
            assert_statuses(&answers, 200);
            let token =
                |answer: &Answer, name: &str| answer.body[name].as_str().unwrap().to_owned();
            let successor = token(&answers[0], "refresh_token");
            assert!(answers.iter().all(|answer| token(answer, "refresh_token") == successor));
            if place == 0 {
                assert!(session.refresh.iter().all(|known| known.token != successor));
                session.refresh.push(Token { token: successor, issued_at: now });
            } else {
                assert_eq!(session.refresh.last().unwrap().token, successor);
            }
            let access = answers.iter().map(|answer| token(answer, "access_token"));
            session.access.extend(access.map(|token| Token { token, issued_at: now }));
        } else {
            assert_statuses(&answers, 401);
            session.is_revoked = true;
            self.sockets_close(index).await;
        }
    }

    async fn log_out(&mut self, index: usize, age: usize) {
        let now = self.now();
        let token = by_age(&self.sessions[index].refresh, age).clone();
        let answer =
            self.world.http.post("/auth/logout", &json!({"refresh_token": token.token})).await;
        if has_expired(&token, REFRESH_TTL, now) {
            assert_eq!(answer.status, 401);
        } else {
            assert_eq!(answer.status, 204);
            self.sessions[index].is_revoked = true;
            self.sockets_close(index).await;
        }
    }

    /// The sockets of a session are closed, and no other.
    async fn sockets_close(&mut self, index: usize) {
        let (closed, open) =
            std::mem::take(&mut self.sockets).into_iter().partition(|open| open.session == index);
        self.sockets = open;
        for mut open in Vec::from_iter::<Vec<Open>>(closed) {
            assert_eq!(open.socket.next_close().await.0, 1000);
        }
    }

    async fn read_history(&mut self, index: usize, age: usize) {
        let now = self.now();
        let session = &self.sessions[index];
        let token = by_age(&session.access, age);
        let is_good = session.lives(now) && !has_expired(token, ACCESS_TTL, now);
        let answer = self.world.http.get("/auth/messages", &token.token).await;
        assert_eq!(answer.status, if is_good { 200 } else { 401 });
    }

    async fn connect(&mut self, index: usize, age: usize, is_plain: bool) {
        let now = self.now();
        let session = &self.sessions[index];
        let token = by_age(&session.access, age);
        let is_good = session.lives(now) && !has_expired(token, ACCESS_TTL, now);
        let handshake = if is_plain {
            self.world.plain_handshake(&token.token)
        } else {
            self.world.handshake(&token.token)
        };
        match handshake.open().await {
            Ok(socket) => {
                assert!(is_good, "session {index} may not connect");
                self.sockets.push(Open { session: index, opened_at: now, socket });
            }
            Err(status) => {
                assert!(!is_good, "session {index} may connect: {status}");
                assert_eq!(status, 401);
            }
        }
    }

    /// Everybody whose session lives is shown what was said, all others are closed. Of a session that is over nothing is
    /// stored.
    async fn say(&mut self, index: usize) {
        let now = self.now();
        let text = format!("{} says {:08x}", self.username, rand::random::<u32>());
        let sender = &mut self.sockets[index];
        if sender.socket.protocol.is_some() {
            sender.socket.say(&text, &text).await;
        } else {
            sender.socket.send(text.as_str()).await;
        }
        if !self.sessions[sender.session].lives(now) {
            let mut sender = self.sockets.remove(index);
            assert_eq!(sender.socket.next_close().await.0, 1000);
            return;
        }
        let mut open = Vec::new();
        for mut recipient in std::mem::take(&mut self.sockets) {
            if !self.sessions[recipient.session].lives(now) {
                assert_eq!(recipient.socket.next_close().await.0, 1000);
                continue;
            }
            if recipient.socket.protocol.is_some() {
                assert_eq!(recipient.socket.next_frame().await["text"], text.as_str());
            } else {
                let shown = format!("{}: {text}", self.username);
                assert_eq!(recipient.socket.next_text().await, shown);
            }
            open.push(recipient);
        }
        self.sockets = open;
        self.said.push(text);
    }

    /// Whoever should still be there can speak, and just what was said is stored.
    async fn finish(mut self) {
        self.settle().await;
        let mut number = 0;
        while number < self.sockets.len() {
            let sockets = self.sockets.len();
            self.say(number).await;
            // One that was closed makes room for the next.
            number += usize::from(self.sockets.len() == sockets);
        }
        let reader = self.world.log_in(&self.username).await;
        let stored = self.world.history(&reader).await;
        let own = stored.iter().filter(|message| message["username"] == self.username.as_str());
        let own: Vec<&str> = own.map(|message| message["text"].as_str().unwrap()).collect();
        assert_eq!(own, self.said);
    }
}

fn assert_statuses(answers: &[Answer], expected: u16) {
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, vec![expected; answers.len()]);
}
