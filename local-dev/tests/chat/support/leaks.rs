//! What the program writes and shows during the suite, and the secrets that must not be in it.
//!
//! The log of this process at its most talkative, what local-dev's processes and bootstraps write, panics, the
//! inspector, errors that clients are told: all of it goes to files, one per story and source. What clients use as
//! passwords and tokens is remembered. At the end everything is searched for everything.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, Write},
    panic,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use aho_corasick::AhoCorasick;
use base64::{Engine, prelude::BASE64_STANDARD};
use local_dev::invocation::InvocationLog;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use shared::{logging, settings::Lookup};
use tempfile::TempDir;

/// What must not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    Password,
    PasswordHash,
    Token,
    SigningKey,
    CdnProof,
    DatabasePassword,
    AwsCredential,
    /// Messages are no secret to who may read them: only the log has none.
    MessageText,
}

/// Where something was written to, by the end of its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// For whoever operates the chat: logs, panics.
    Log,
    /// For whoever asks: the inspector, errors.
    Answer,
}

/// What gives a secret away whichever it is: the beginnings of JWTs and of bcrypt's hashes.
const SHAPES: [(&str, Secret); 5] = [
    ("eyJhbGciOi", Secret::Token),
    ("eyJ0eXAiOi", Secret::Token),
    ("$2a$", Secret::PasswordHash),
    ("$2b$", Secret::PasswordHash),
    ("$2y$", Secret::PasswordHash),
];

/// What is shorter may stand somewhere by chance.
const SECRET_BYTES_MIN: usize = 7;
const TEXT_BYTES_MIN: usize = 10;

/// How many places are shown of one file and kind.
const PLACES_MAX: usize = 3;

/// How much of a line is shown before a secret.
const CONTEXT_BYTES: usize = 160;

/// How long the inspector may take for an answer.
const INSPECTOR_TIME_MAX: Duration = Duration::from_secs(20);

static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
static SECRETS: Mutex<BTreeMap<String, Secret>> = Mutex::new(BTreeMap::new());

thread_local! {
    static STORY: RefCell<Option<Story>> = const { RefCell::new(None) };
}

/// The story that a thread works for.
struct Story {
    name: String,
    log: File,
}

impl Story {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), log: open(name, "this process", Written::Log) }
    }
}

/// The hunt for leaks, until the suite ends.
pub struct Hunt {
    directory: TempDir,
}

impl Hunt {
    /// Everything is kept from now on.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("lambda-chat-leaks-").tempdir().unwrap();
        DIRECTORY.set(directory.path().to_owned()).expect("there is one hunt");
        let settings = [("LOG", "trace"), ("LOG_FORMAT", "text")];
        let talkative = Lookup::from_fn(move |name| {
            let (_, value) = settings.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        });
        let invocations = InvocationLog::layer(&talkative).unwrap();
        logging::start_to(&talkative, invocations, || Log, false).unwrap();
        let show = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // A story that fails may show what it likes.
            if panic.location().is_none_or(|place| !place.file().contains("tests/chat/")) {
                keep("panics", Written::Log, &panic.to_string());
            }
            show(panic);
        }));
        Self { directory }
    }

    /// Fails when there was a leak. After the whole suite every source must have been heard.
    pub fn end(self, whole: bool) {
        if whole {
            self.every_source_was_heard();
        }
        let secrets = std::mem::take(&mut *SECRETS.lock().unwrap());
        let searched = Needles::new(secrets).search_all(self.directory.path()).unwrap();
        self.directory.close().unwrap();
        assert!(searched.is_empty(), "secrets were written:\n{}", searched.join("\n"));
    }

    /// Fails when a source was silent, which means that nobody listened to it.
    fn every_source_was_heard(&self) {
        let sources: BTreeSet<String> = files(self.directory.path())
            .into_iter()
            .filter(|file| file.metadata().unwrap().len() > 0)
            .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter_map(|stem| stem.rsplit_once('.').map(|(_, source)| source.to_owned()))
            .collect();
        for source in ["this process", "local-dev", "bootstraps", "inspector", "errors"] {
            assert!(sources.contains(source), "nothing was heard of {source}: {sources:?}");
        }
    }
}

/// From now on, this thread works for a story.
pub fn enter(story: &str) {
    STORY.set(Some(Story::new(story)));
}

/// A file for what a part of the program writes during this story.
pub fn file(source: &str, written: Written) -> File {
    let story = STORY.with_borrow(|story| story.as_ref().map(|story| story.name.clone()));
    open(story.as_deref().unwrap_or("the suite"), source, written)
}

/// Keeps what a part of the program has written.
pub fn keep(source: &str, written: Written, text: &str) {
    writeln!(file(source, written), "{text}").unwrap();
}

fn open(story: &str, source: &str, written: Written) -> File {
    let end = match written {
        Written::Log => "log",
        Written::Answer => "answer",
    };
    let directory = DIRECTORY.get().expect("the hunt has begun");
    let file = directory.join(format!("{story}.{source}.{end}"));
    OpenOptions::new().append(true).create(true).open(file).unwrap()
}

/// The log of the story that a thread works for.
struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        STORY.with_borrow_mut(|story| {
            story.get_or_insert_with(|| Story::new("the suite")).log.write(text)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Must not be written from now on, and must not have been before.
pub fn remember(kind: Secret, secret: &str) {
    let (secret, bytes_min) = match kind {
        // The rest can be read by everybody and says nothing without the signature.
        Secret::Token => (secret.rsplit('.').next().unwrap_or_default(), 20),
        Secret::MessageText => (secret, TEXT_BYTES_MIN),
        _ => (secret, SECRET_BYTES_MIN),
    };
    // `xxxxxxxx` is no secret.
    let letters: BTreeSet<char> = secret.chars().collect();
    if secret.len() >= bytes_min && letters.len() > 2 {
        SECRETS.lock().unwrap().entry(secret.to_owned()).or_insert(kind);
    }
}

/// Remembers what is a secret in a body or a frame.
pub fn remember_fields(document: &Value) {
    let kinds = [
        ("password", Secret::Password),
        ("access_token", Secret::Token),
        ("refresh_token", Secret::Token),
        ("text", Secret::MessageText),
    ];
    for (name, kind) in kinds {
        if let Some(secret) = document[name].as_str() {
            remember(kind, secret);
        }
    }
}

/// Remembers what a client sends as a frame of either protocol.
pub fn remember_frame(frame: &str) {
    match serde_json::from_str::<Value>(frame) {
        Ok(document) => remember_fields(&document),
        Err(_) => remember(Secret::MessageText, frame),
    }
}

/// Remembers the value of a setting, if it is one.
pub fn remember_setting(name: &str, value: &str) {
    match name {
        "JWT_SECRET" => {
            value.split(',').for_each(|secret| remember(Secret::SigningKey, secret.trim()));
        }
        "CDN_SECRET" => remember(Secret::CdnProof, value),
        "DATABASE_URL" => {
            let url = url::Url::parse(value).ok();
            if let Some(password) = url.as_ref().and_then(url::Url::password) {
                remember(Secret::DatabasePassword, password);
            }
        }
        "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => remember(Secret::AwsCredential, value),
        _ => {}
    }
}

/// Keeps all that the inspector of a gateway shows.
pub async fn keep_inspector(base_url: &str) {
    let http = reqwest::Client::builder().timeout(INSPECTOR_TIME_MAX).build().unwrap();
    let get = async |path: &str| {
        let answer = http.get(format!("{base_url}/_local{path}")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        keep("inspector", Written::Answer, &text);
        text
    };
    let invocations: Value = serde_json::from_str(&get("/invocations").await).unwrap();
    for invocation in invocations.as_array().unwrap() {
        get(&format!("/invocations/{}", invocation["id"].as_str().unwrap())).await;
    }
    for path in ["/connections", "/faults", "/limits", "/refusals"] {
        get(path).await;
    }
    let mut events = http.get(format!("{base_url}/_local/events")).send().await.unwrap();
    let snapshot = events.chunk().await.unwrap().unwrap();
    keep("inspector", Written::Answer, &String::from_utf8_lossy(&snapshot));
}

/// What is searched for.
pub struct Needles {
    /// In every form that it may be written in.
    forms: Vec<(String, Secret)>,
    search: AhoCorasick,
}

impl Needles {
    pub fn new(secrets: impl IntoIterator<Item = (String, Secret)>) -> Self {
        let shapes = SHAPES.map(|(shape, kind)| (shape.to_owned(), kind));
        let forms: Vec<(String, Secret)> = secrets
            .into_iter()
            .chain(shapes)
            .flat_map(|(secret, kind)| forms(&secret).into_iter().map(move |form| (form, kind)))
            .collect();
        let search = AhoCorasick::new(forms.iter().map(|(form, _)| form)).unwrap();
        Self { forms, search }
    }

    /// Searches all files; says of each file and kind of secret the first places that have one.
    fn search_all(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for path in files(directory) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let (story, source) = name.rsplit_once('.').unwrap();
            let is_log = path.extension().is_some_and(|end| end == "log");
            let mut kinds: Vec<Secret> = Vec::new();
            for hit in self.search.stream_find_iter(File::open(&path)?) {
                let hit = hit?;
                let (_, kind) = self.forms[hit.pattern()];
                let may_be_there = kind == Secret::MessageText && !is_log;
                let shown = kinds.iter().filter(|known| **known == kind).count();
                if may_be_there || shown == PLACES_MAX {
                    continue;
                }
                kinds.push(kind);
                let line = self.masked(&before(&path, hit.start())?);
                found.push(format!("{kind:?}, {story}, {source}: {line}<the secret>"));
            }
        }
        Ok(found)
    }

    /// The kinds of secrets that a text has.
    pub fn find(&self, text: &str) -> Vec<Secret> {
        self.search.find_iter(text).map(|hit| self.forms[hit.pattern()].1).collect()
    }

    /// A line without the secrets in it.
    pub fn masked(&self, line: &str) -> String {
        self.search.replace_all(line, &vec!["<the secret>"; self.forms.len()])
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What stands before a secret on its line.
fn before(path: &Path, secret: usize) -> io::Result<String> {
    use std::os::unix::fs::FileExt;
    let from = secret.saturating_sub(CONTEXT_BYTES);
    let mut bytes = vec![0; secret - from];
    File::open(path)?.read_exact_at(&mut bytes, from as u64)?;
    let line = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// A secret as it stands in a text, in JSON, in a log, in a URL, in a form and in base64.
fn forms(secret: &str) -> BTreeSet<String> {
    let json = Value::from(secret).to_string();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let form = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let debug = format!("{secret:?}");
    let unquoted = |text: &str| text[1..text.len() - 1].to_owned();
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        unquoted(&json),
        unquoted(&Value::from(unquoted(&json)).to_string()),
        unquoted(&debug),
        percent,
        form,
    ]);
    // In base64 it looks different by where it begins. What its neighbours have a part in is left out.
    for (before, text) in
        (0..3).flat_map(|before| [(before, secret), (before, json.trim_matches('"'))])
    {
        let bytes = [&vec![0; before], text.as_bytes()].concat();
        let whole = bytes.len() / 3 * 4;
        let encoded = BASE64_STANDARD.encode(&bytes);
        let encoded = &encoded[(before * 4).div_ceil(3)..whole];
        if encoded.len() >= SECRET_BYTES_MIN {
            forms.insert(encoded.to_owned());
            forms.insert(encoded.replace('+', "-").replace('/', "_"));
        }
    }
    forms
}

/// What a source, such as `this process`, has logged for the story that this thread works for.
pub fn log_of_this_story(source: &str) -> String {
    let story = STORY.with_borrow(|story| story.as_ref().map(|story| story.name.clone())).unwrap();
    let directory = DIRECTORY.get().expect("the hunt has begun");
    std::fs::read_to_string(directory.join(format!("{story}.{source}.log"))).unwrap()
}
