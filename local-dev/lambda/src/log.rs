//! The log of a function: what its instances write, and what Lambda says about them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::error::FunctionError;

/// Takes the log, one record at a time and from several tasks at once. It is called where the record arises, so it must
/// neither block nor panic.
pub type LogSink = Arc<dyn Fn(&Record<'_>) + Send + Sync>;

/// One entry in the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The name of the function.
    pub function: &'a str,
    /// The instance, 32 hexadecimal digits: the end of the name of its log stream.
    pub instance: &'a str,
    /// The event that the instance has or had last; while it starts, the one that it is started for.
    pub request_id: Option<&'a str>,
    /// What there is to say.
    pub entry: Entry<'a>,
}

/// What there is to say about an instance.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// It wrote a line.
    Line {
        /// Where to.
        stream: Stream,
        /// The line without its end. Bytes that are not UTF-8 are replaced, and lines of more than 256 KiB are cut into
        /// several.
        text: &'a str,
    },
    /// It did not start.
    InitFailed {
        /// How long it tried.
        duration: Duration,
        /// What went wrong; none if it took too long and is started again.
        error: Option<&'a FunctionError>,
    },
    /// It was given an event.
    Start,
    /// It is done with an event.
    Report(Report<'a>),
    /// It is no more, for this reason.
    Ended(&'a str),
}

/// Where a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How an event went, as in Lambda's REPORT line.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// From giving the event to having the answer, or the time of a start that failed.
    pub duration: Duration,
    /// What Lambda charges: the start, unless it took too long, and the event, rounded up to a millisecond.
    pub billed_duration: Duration,
    /// How long the instance took for its start, if it was started for this event, in time and with
    /// success.
    pub init_duration: Option<Duration>,
    /// The memory that the function is told it has, in MB.
    pub memory_mb: u32,
    /// The most memory that the process had so far, in KiB; only known on Linux, and not of a process that has ended.
    pub memory_used_max_kib: Option<u64>,
    /// What went wrong.
    pub error: Option<&'a FunctionError>,
}

/// The log of one instance.
#[derive(Clone)]
pub(crate) struct Log {
    sink: LogSink,
    function: Arc<str>,
    instance: Arc<str>,
    /// The latest event. It stays until the next one, since lines are read some time after they were written.
    request_id: Arc<Mutex<Option<Arc<str>>>>,
}

/// The longest line, in bytes. Source: quotas of Amazon's `CloudWatch` Logs, event size.
const LINE_BYTES_MAX: usize = 256 * 1024;

impl Log {
    pub(crate) fn new(sink: LogSink, function: Arc<str>, instance: Arc<str>) -> Self {
        Self { sink, function, instance, request_id: Arc::default() }
    }

    /// What is written from now on belongs to this event.
    pub(crate) fn begin(&self, request_id: Arc<str>) {
        *self.request_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(request_id);
    }

    pub(crate) fn write(&self, entry: Entry<'_>) {
        let request_id = self.request_id.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.sink)(&Record {
            function: &self.function,
            instance: &self.instance,
            request_id: request_id.as_deref(),
            entry,
        });
    }

    /// Writes what comes from `source`, line by line, until it ends.
    pub(crate) async fn copy(self, stream: Stream, source: impl AsyncRead + Unpin) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        let mut is_cut = false;
        // An error ends it like an end: it is a pipe, so there will be nothing more.
        while let Ok(chunk) = source.fill_buf().await {
            if chunk.is_empty() {
                break;
            }
            let chunk = &chunk[..chunk.len().min(LINE_BYTES_MAX - line.len())];
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            line.extend_from_slice(&chunk[..used]);
            source.consume(used);
            if end.is_some() || line.len() == LINE_BYTES_MAX {
                // The end of a line that was cut there is no line.
                if !(is_cut && line == b"\n") {
                    self.write_line(stream, &line);
                }
                is_cut = end.is_none();
                line.clear();
            }
        }
        if !line.is_empty() {
            self.write_line(stream, &line);
        }
    }

    fn write_line(&self, stream: Stream, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.write(Entry::Line { stream, text: &String::from_utf8_lossy(line) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(written: &[u8]) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink: LogSink = Arc::new({
            let lines = lines.clone();
            move |record: &Record<'_>| match record.entry {
                Entry::Line { text, .. } => lines.lock().unwrap().push(text.to_owned()),
                other => panic!("{other:?}"),
            }
        });
        Log::new(sink, "test".into(), "0".into()).copy(Stream::Stdout, written).await;
        std::mem::take(&mut *lines.lock().unwrap())
    }

    #[tokio::test]
    async fn text_becomes_lines() {
        assert_eq!(lines(b"").await, [""; 0]);
        assert_eq!(lines(b"one\ntwo\r\n\nthree").await, ["one", "two", "", "three"]);
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
    }

    #[tokio::test]
    async fn long_lines_are_cut() {
        let mut written = vec![b'a'; 2 * LINE_BYTES_MAX];
        written.extend(b"\n\na");
        let lengths: Vec<_> = lines(&written).await.iter().map(String::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 0, 1]);
    }
}
