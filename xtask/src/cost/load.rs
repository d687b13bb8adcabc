//! What users do, and what of it AWS counts in a month.

use clap::Args;

use super::prices::{self, Price};

/// Hours of a month, as AWS counts them.
const MONTH_HOURS: f64 = 730.0;
const MONTH_DAYS: f64 = MONTH_HOURS / 24.0;

/// Bytes of one metered piece of a socket's message, of an HTTP request, of a request to SQS.
/// Sources: the pricing pages of `prices`.
const SOCKET_PIECE_BYTES: f64 = 32.0 * 1024.0;
const HTTP_PIECE_BYTES: f64 = 512.0 * 1024.0;

/// What surrounds a text in a frame or in the history, in bytes.
const ENVELOPE_BYTES: f64 = 150.0;

/// Messages of one page of the history.
const PAGE_MESSAGES: f64 = 50.0;

/// Files of the page; a browser asks for each on every visit, mostly to hear that it is the same.
const PAGE_FILES: f64 = 16.0;

/// How long a socket may live, in hours. Source: API Gateway's WebSocket quotas.
pub(crate) const SOCKET_HOURS_MAX: f64 = 2.0;

/// How often an access token is renewed, in hours.
const TOKEN_HOURS: f64 = 0.25;

/// Requests to SQS per minute with nothing to do: Lambda keeps five long polls of 20 seconds open per queue.
const POLLS_PER_MINUTE: f64 = 15.0;

const GB: f64 = 1e9;

/// Numbers from `min` to `max`.
fn between(min: f64, max: f64) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    move |text| match text.parse::<f64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        Ok(_) => Err(format!("it must be from {min} to {max}")),
        Err(_) => Err(format!("it is not a number; one from {min} to {max} is")),
    }
}

/// What users do, and what is assumed of the machinery.
#[derive(Args, Clone, Debug, PartialEq)]
pub(crate) struct Load {
    /// Users, all in the one room
    #[arg(long, default_value = "100", value_parser = between(0.0, 1e8))]
    pub(crate) users: f64,

    /// Messages of one user on one day
    #[arg(long, default_value = "10", value_parser = between(0.0, 10_000.0))]
    pub(crate) messages: f64,

    /// Hours that one user is online on one day
    #[arg(long, default_value = "2", value_parser = between(0.0, 24.0))]
    pub(crate) hours: f64,

    /// Hours of the day over which all of this is spread
    #[arg(long, default_value = "12", value_parser = between(1.0, 24.0))]
    pub(crate) busy_hours: f64,

    /// How much more than on the average of these hours happens at the peak (for limits, not for the bill)
    #[arg(long, default_value = "3", value_parser = between(1.0, 100.0))]
    pub(crate) peak: f64,

    /// Page loads of one user on one day
    #[arg(long, default_value = "3", value_parser = between(0.0, 1000.0))]
    pub(crate) visits: f64,

    /// Logins (bcrypt) of one user on one day, and as many logouts
    #[arg(long, default_value = "0.1", value_parser = between(0.0, 100.0))]
    pub(crate) logins: f64,

    /// Registrations per user and month
    #[arg(long, default_value = "0.05", value_parser = between(0.0, 1.0))]
    pub(crate) joins: f64,

    /// Bytes of a message's text
    #[arg(long, default_value = "100", value_parser = between(1.0, 16_384.0))]
    pub(crate) text_bytes: f64,

    /// Months of messages that are kept
    #[arg(long, default_value = "12", value_parser = between(0.0, 1200.0))]
    pub(crate) months: f64,

    /// x86-64 and not arm64
    #[arg(long)]
    pub(crate) x86_64: bool,

    /// MB of register and login
    #[arg(long, default_value = "1769", value_parser = between(128.0, 10_240.0))]
    pub(crate) memory_bcrypt: f64,

    /// MB of message and broadcast
    #[arg(long, default_value = "512", value_parser = between(128.0, 10_240.0))]
    pub(crate) memory_push: f64,

    /// MB of the other functions
    #[arg(long, default_value = "256", value_parser = between(128.0, 10_240.0))]
    pub(crate) memory: f64,

    /// Milliseconds of one bcrypt hash of cost 12
    #[arg(long, default_value = "250", value_parser = between(1.0, 10_000.0))]
    pub(crate) hash_ms: f64,

    /// Milliseconds of one statement on the database, there and back
    #[arg(long, default_value = "10", value_parser = between(0.1, 2000.0))]
    pub(crate) statement_ms: f64,

    /// Milliseconds of one post to a connection
    #[arg(long, default_value = "10", value_parser = between(0.1, 10_000.0))]
    pub(crate) post_ms: f64,

    /// Posts at a time
    #[arg(long, default_value = "128", value_parser = between(1.0, 1000.0))]
    pub(crate) posts_at_a_time: f64,

    /// Connections above which a message is shown by way of the queue, and connections of a shard
    #[arg(long, default_value = "500", value_parser = between(1.0, 100_000.0))]
    pub(crate) inline_limit: f64,

    /// Connections up to which people are told who comes, leaves and is writing; 0 if nobody asks for any of it
    #[arg(long, default_value = "100", value_parser = between(0.0, 1000.0))]
    pub(crate) presence_limit: f64,

    /// Minutes after which a page in a larger room asks again who is there
    #[arg(long, default_value = "5", value_parser = between(0.1, 1440.0))]
    pub(crate) presence_minutes: f64,

    /// Frames that tell of one message that it is being written, one in three seconds
    #[arg(long, default_value = "2", value_parser = between(0.0, 100.0))]
    pub(crate) typing: f64,

    /// Invocations that start an instance, as a share
    #[arg(long, default_value = "0.01", value_parser = between(0.0, 1.0))]
    pub(crate) cold_share: f64,

    /// Milliseconds of such a start, which are billed
    #[arg(long, default_value = "100", value_parser = between(0.0, 10_000.0))]
    pub(crate) init_ms: f64,

    /// DPU of a statement that reads; assumed, from 0.005 to 0.1
    #[arg(long, default_value = "0.02", value_parser = between(0.0, 10.0))]
    pub(crate) dpu_read: f64,

    /// DPU of a row read; assumed, from 0.0001 to 0.001
    #[arg(long, default_value = "0.00036", value_parser = between(0.0, 1.0))]
    pub(crate) dpu_row: f64,

    /// DPU of a statement that writes; assumed, from 0.05 to 0.5
    #[arg(long, default_value = "0.14", value_parser = between(0.0, 10.0))]
    pub(crate) dpu_write: f64,

    /// Bytes of log per invocation
    #[arg(long, default_value = "1500", value_parser = between(0.0, 1e6))]
    pub(crate) log_bytes: f64,

    /// Metrics of its own
    #[arg(long, default_value = "25", value_parser = between(0.0, 10_000.0))]
    pub(crate) metrics: f64,

    /// Bytes that CloudFront sends for a page load; most files are unchanged
    #[arg(long, default_value = "20000", value_parser = between(0.0, 1e8))]
    pub(crate) page_bytes: f64,
}

/// One function's part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Invocations per month.
    pub(crate) events: f64,
    /// Milliseconds of one that are billed, without a start's.
    pub(crate) ms: f64,
    pub(crate) memory_mb: f64,
    /// Database statements of one, and rows that they read.
    reads: f64,
    writes: f64,
    rows: f64,
}

impl Function {
    fn dpu(&self, load: &Load) -> f64 {
        self.reads * load.dpu_read + self.writes * load.dpu_write + self.rows * load.dpu_row
    }
}

/// What a stack has even when nobody uses it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stack {
    /// Metrics that alarms watch: one that adds up ten is billed as ten.
    pub(crate) alarm_metrics: f64,
    pub(crate) secrets: f64,
    pub(crate) dashboards: f64,
    pub(crate) queues: f64,
}

impl Stack {
    /// What a template makes.
    pub(crate) fn of(template: &str) -> Self {
        let count = |kind: &str| {
            let line = format!("Type: {kind}");
            let count = template.lines().filter(|other| other.trim() == line).count();
            f64::from(u32::try_from(count).expect("a template is not that long"))
        };
        Self {
            alarm_metrics: alarm_metrics(template),
            secrets: count("AWS::SecretsManager::Secret"),
            dashboards: count("AWS::CloudWatch::Dashboard"),
            // Only one of them is polled; the other has what could not be delivered.
            queues: count("AWS::SQS::Queue").min(1.0),
        }
    }
}

/// How many metrics the alarms of a template watch.
fn alarm_metrics(template: &str) -> f64 {
    let mut all = 0;
    // Of the alarm that the lines belong to.
    let mut of_this: Option<u32> = None;
    for line in template.lines() {
        let is_a_resource = line.starts_with("  ") && !line[2..].starts_with([' ', '#']);
        if is_a_resource || !line.starts_with(' ') && !line.is_empty() {
            all += of_this.take().map_or(0, |metrics| metrics.max(1));
        } else if line.trim() == "Type: AWS::CloudWatch::Alarm" {
            of_this = Some(0);
        } else if line.trim_start().starts_with("MetricStat:")
            && let Some(metrics) = &mut of_this
        {
            *metrics += 1;
        }
    }
    f64::from(all + of_this.map_or(0, |metrics| metrics.max(1)))
}

/// A quantity of something that has a price.
pub(crate) type Quantity = (&'static Price, f64);

impl Load {
    /// Connections that a message is shown to: all that are open then.
    pub(crate) fn online(&self) -> f64 {
        self.users * self.hours / self.busy_hours.max(self.hours)
    }

    /// Messages per month.
    pub(crate) fn said(&self) -> f64 {
        self.users * self.messages * MONTH_DAYS
    }

    /// Sockets opened per month: one per visit, and a new one whenever one is too old.
    pub(crate) fn connections(&self) -> f64 {
        let lifetimes = self.hours / SOCKET_HOURS_MAX;
        self.users * self.visits.max(lifetimes) * MONTH_DAYS
    }

    /// How many posts one message causes: its sender's own is one of them.
    fn posts_per_message(&self) -> f64 {
        self.online().max(1.0)
    }

    fn has_presence(&self) -> bool {
        self.presence_limit > 0.0
    }

    /// Whether the room is so small that people are told of each other.
    fn is_told(&self) -> bool {
        self.online() <= self.presence_limit
    }

    /// To how many connections is posted what becomes of one person, as if everybody had one.
    pub(crate) fn posts_of_news(&self) -> f64 {
        if self.is_told() { self.posts_per_message() - 1.0 } else { 0.0 }
    }

    /// Frames per month by which clients tell that their users are writing.
    pub(crate) fn typed(&self) -> f64 {
        if self.has_presence() { self.said() * self.typing } else { 0.0 }
    }

    /// Posts per month about who comes, who leaves and who is writing.
    fn news(&self) -> f64 {
        (self.connections() * 2.0 + self.typed()) * self.posts_of_news()
    }

    /// How often in a month somebody asks who is there: with each socket, and in a large room now and then.
    fn asks(&self) -> f64 {
        let now_and_then = self.hours * 60.0 / self.presence_minutes;
        match (self.has_presence(), self.is_told()) {
            (false, _) => 0.0,
            (true, true) => self.connections(),
            (true, false) => self.connections() + self.users * now_and_then * MONTH_DAYS,
        }
    }

    pub(crate) fn shards_per_message(&self) -> f64 {
        let posts = self.posts_per_message();
        if posts > self.inline_limit { (posts / self.inline_limit).ceil() } else { 0.0 }
    }

    /// What each function does in a month.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let per_month = |per_day: f64| self.users * per_day * MONTH_DAYS;
        let function = |name, events, memory_mb, [reads, writes, rows]: [f64; 3], more_ms: f64| {
            let ms = (reads + writes) * self.statement_ms + more_ms;
            Function { name, events, ms: ms.ceil(), memory_mb, reads, writes, rows }
        };
        let posting_ms = |posts: f64| (posts / self.posts_at_a_time).ceil() * self.post_ms;
        let (said, posts, shards) =
            (self.said(), self.posts_per_message(), self.shards_per_message());
        let (showing, showing_ms) = if shards > 0.0 {
            // As many connections as say that there are too many, then all of them to be cut; ten shards are queued by one call.
            let rows = self.inline_limit + 1.0 + posts;
            ([2.0, 1.0, rows], (shards / 10.0).ceil() * self.post_ms)
        } else {
            ([1.0, 1.0, posts], posting_ms(posts))
        };
        // A shard of each message by itself: what waits and is shown together costs less.
        let shard = posts.min(self.inline_limit);
        let (small, push, bcrypt) = (self.memory, self.memory_push, self.memory_bcrypt);
        let (connections, logins) = (self.connections(), per_month(self.logins));
        // Who is there is read and told; in a large room, enough is read to know that it is one.
        let ([reads, writes, rows], news_ms) = match (self.has_presence(), self.is_told()) {
            (false, _) => ([0.0; 3], 2.0),
            (true, true) => ([1.0, 1.0, posts], posting_ms(self.posts_of_news()) + 2.0),
            (true, false) => ([1.0, 0.0, self.presence_limit + 1.0], 2.0),
        };
        vec![
            function("register", self.users * self.joins, bcrypt, [0.0, 1.0, 0.0], self.hash_ms),
            function("login", logins, bcrypt, [1.0, 3.0, 1.0], self.hash_ms),
            function("refresh", per_month(self.hours / TOKEN_HOURS), small, [0.0, 1.0, 0.0], 2.0),
            function("logout", logins, small, [1.0, 1.0, 1.0], 2.0),
            function("messages", connections, small, [2.0, 0.0, PAGE_MESSAGES], 2.0),
            function("presence", self.asks(), small, [1.0, 0.0, posts], 2.0),
            function(
                "connect",
                connections,
                small,
                [1.0 + reads, 1.0 + writes, 1.0 + rows],
                news_ms,
            ),
            function("message", said, push, showing, showing_ms + 2.0),
            // One to pass it on by, or, in a large room, to find that there is nothing to store.
            function("message, typing", self.typed(), push, [1.0, 1.0, 1.0 + rows], news_ms),
            function(
                "broadcast",
                said * shards,
                push,
                [2.0, 0.0, 1.0 + shard],
                posting_ms(shard) + 2.0,
            ),
            function("disconnect", connections, small, [reads, 1.0 + writes, rows], news_ms),
        ]
    }

    /// HTTP requests to functions in a month.
    pub(crate) fn http_requests(&self) -> f64 {
        let http = ["register", "login", "refresh", "logout", "messages", "presence"];
        let functions = self.functions().into_iter();
        functions
            .filter(|function| http.contains(&function.name))
            .map(|function| function.events)
            .sum()
    }

    /// Everything that AWS counts in a month.
    pub(crate) fn quantities(&self, stack: &Stack) -> Vec<Quantity> {
        let functions = self.functions();
        let sum = |part: &dyn Fn(&Function) -> f64| functions.iter().map(part).sum::<f64>();
        let invocations = sum(&|function| function.events);
        let memory_time = sum(&|function| {
            let ms = function.ms + self.cold_share * self.init_ms;
            function.events * ms / 1000.0 * function.memory_mb / 1024.0
        });
        let (said, connections) = (self.said(), self.connections());
        let posts = said * self.posts_per_message();
        let frame = self.text_bytes + ENVELOPE_BYTES;
        let pieces = (frame / SOCKET_PIECE_BYTES).ceil();
        let page = PAGE_MESSAGES * frame;
        let page_pieces = (page / HTTP_PIECE_BYTES).ceil();
        let http = self.http_requests();
        let visits = self.users * self.visits * MONTH_DAYS;
        let logs = invocations * self.log_bytes / GB;
        let polls = stack.queues * POLLS_PER_MINUTE * 60.0 * MONTH_HOURS;
        vec![
            (&prices::HTTP_REQUESTS, http + connections * (page_pieces - 1.0)),
            (
                &prices::SOCKET_MESSAGES,
                (said + posts) * pieces + self.typed() + self.news() + connections,
            ),
            (&prices::SOCKET_MINUTES, self.users * self.hours * 60.0 * MONTH_DAYS),
            (&prices::LAMBDA_REQUESTS, invocations),
            (if self.x86_64 { &prices::LAMBDA_X86 } else { &prices::LAMBDA_ARM }, memory_time),
            (&prices::DSQL_WORK, sum(&|function| function.events * function.dpu(self))),
            (&prices::DSQL_STORAGE, said * self.months * 2.0 * frame / GB),
            (&prices::CDN_REQUESTS, visits * PAGE_FILES + http + connections),
            (
                &prices::CDN_OUT,
                (visits * self.page_bytes + connections * page + posts * frame) / GB,
            ),
            (&prices::CDN_TO_ORIGIN, (said * frame + http * 1000.0) / GB),
            (&prices::S3_READS, visits * PAGE_FILES),
            (&prices::LOGS, logs),
            (&prices::LOGS_KEPT, logs),
            (&prices::METRICS, if invocations > 0.0 { self.metrics } else { 0.0 }),
            (&prices::ALARMS, stack.alarm_metrics),
            (&prices::DASHBOARDS, stack.dashboards),
            // Each shard is sent, received and deleted.
            (&prices::QUEUE, polls + said * self.shards_per_message() * 3.0),
            (&prices::SECRETS, stack.secrets),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_there_is_counted() {
        let template = "\
Resources:
  Secret:
    Type: AWS::SecretsManager::Secret

  # Watches one metric.
  Plain:
    Type: AWS::CloudWatch::Alarm
    Properties:
      MetricName: 5xx

  Sum:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Metrics:
        - { Id: total, Expression: SUM(METRICS()) }
        - Id: one
          MetricStat:
            Stat: Sum
        - Id: other
          MetricStat:
            Stat: Sum
  Dead:
    Type: AWS::SQS::Queue
  Queue:
    Type: AWS::SQS::Queue
  Last:
    Type: AWS::CloudWatch::Alarm
Outputs:
  Url:
    Value: MetricStat
";
        let expected = Stack { alarm_metrics: 4.0, secrets: 1.0, dashboards: 0.0, queues: 1.0 };
        assert_eq!(Stack::of(template), expected);
        let nothing = Stack { alarm_metrics: 0.0, secrets: 0.0, dashboards: 0.0, queues: 0.0 };
        assert_eq!(Stack::of("Resources:\n"), nothing);
    }
}
