//! Chromium, driven as a person would: by what is on the page.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    wd::{Capabilities, WebDriverCompatibleCommand, WindowHandle},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// How to get what is missing.
pub const HINT: &str = "needs Chromium and its driver: apt-get install chromium chromium-driver";

/// How long anything that must show may take: the page itself waits up to 30 seconds between two tries to connect.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a script may take that says when it is done.
const SCRIPT_PATIENCE: Duration = Duration::from_mins(3);

/// How often the driver is started before it counts as broken.
const DRIVER_TRIES_MAX: usize = 5;

/// A browser driver. Windows that it opens share nothing with each other.
pub struct Chromium {
    driver: Child,
    port: u16,
    /// Its own, since Chromium leaves things behind in it.
    temporary: TempDir,
}

impl Chromium {
    /// The browser and its driver, if they are installed.
    pub fn installed() -> Option<(PathBuf, PathBuf)> {
        let path = std::env::var_os("PATH")?;
        let find = |names: &[&str]| {
            std::env::split_paths(&path)
                .flat_map(|folder| {
                    names.iter().map(move |name| folder.join(name)).collect::<Vec<_>>()
                })
                .find(|file| file.is_file())
        };
        Some((find(&["chromium", "chromium-browser", "google-chrome"])?, find(&["chromedriver"])?))
    }

    pub async fn start() -> Self {
        let (_browser, driver) = Self::installed().expect("the story is skipped without it");
        for _ in 0..DRIVER_TRIES_MAX {
            if let Some(browser) = Self::try_start(&driver).await {
                return browser;
            }
        }
        panic!("chromedriver doesn't start")
    }

    /// None if the port that the driver was given for IPv4 is taken on IPv6: then it ends.
    async fn try_start(driver: &Path) -> Option<Self> {
        let temporary = tempfile::Builder::new().prefix("lambda-chat-").tempdir().unwrap();
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts in time");
            let line = line.unwrap()?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        // The pipe must stay open: the driver ends when nobody listens.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { driver, port, temporary })
    }

    /// Opens a page in a window of its own.
    pub async fn open(&self, url: &str) -> Window {
        self.open_with(url, json!({})).await
    }

    /// The same as on a phone, 320 pixels wide.
    pub async fn open_narrow(&self, url: &str) -> Window {
        let metrics = json!({"width": 320, "height": 568, "pixelRatio": 1.0, "touch": true});
        self.open_with(url, json!({"mobileEmulation": {"deviceMetrics": metrics}})).await
    }

    async fn open_with(&self, url: &str, options: Value) -> Window {
        let (browser, _driver) = Self::installed().expect("it runs");
        let mut chrome = json!({
            "binary": browser,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--window-size=1000,720",
            ],
        });
        chrome.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), chrome);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        let patience = u64::try_from(SCRIPT_PATIENCE.as_millis()).unwrap();
        capabilities.insert("timeouts".to_owned(), json!({"script": patience}));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .unwrap();
        client.goto(url).await.unwrap();
        Window { client }
    }
}

/// Takes all windows along, also those of a story that failed. Killing the driver alone would leave them.
impl Drop for Chromium {
    fn drop(&mut self) {
        let shutdown = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut driver| {
            driver.write_all(
                b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            )?;
            driver.read_to_end(&mut Vec::new())
        });
        shutdown.ok();
        self.driver.start_kill().ok();
        // Chromium's processes write what they remember when the driver has long said that they are closed.
        let began = Instant::now();
        while is_used(self.temporary.path()) && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether a program runs that has this folder for what is temporary, where that can be found out.
fn is_used(folder: &Path) -> bool {
    let variable = format!("TMPDIR={}", folder.display());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("environ")).ok())
        .any(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()))
}

/// A browser window.
pub struct Window {
    pub client: Client,
}

impl Window {
    /// Runs a script and says what it returns.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until a JavaScript expression is true.
    pub async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.script(&format!("return Boolean({expression})")).await != true {
            if Instant::now() >= deadline {
                let text = self.script("return document.body.innerText").await;
                panic!("waited in vain until {expression}; the page says: {text}");
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    pub async fn click(&self, action: &str) {
        let selector = format!("[data-action='{action}']");
        self.client.find(Locator::Css(&selector)).await.unwrap().click().await.unwrap();
    }

    pub async fn fill(&self, name: &str, text: &str) {
        let selector = format!("[name='{name}']");
        let field = self.client.find(Locator::Css(&selector)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Runs a command of Chromium's protocol for developers' tools, for what the driver has no words for.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = json!({"cmd": command, "params": parameters});
        self.client.issue_cmd(Extension { path: "goog/cdp/execute", body: command }).await.unwrap()
    }

    /// Makes what is seen of the page so large.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Opens a page in another tab of the same window, which puts this one out of sight.
    pub async fn open_tab(&self, url: &str) -> WindowHandle {
        let tab = self.client.new_window(true).await.unwrap().handle;
        self.switch_to(&tab).await;
        self.client.goto(url).await.unwrap();
        tab
    }

    pub async fn switch_to(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.unwrap();
    }

    /// The titles of all tabs, also of those out of sight.
    pub async fn titles(&self) -> Vec<String> {
        let targets = self.devtools("Target.getTargets", json!({})).await;
        let pages = targets["targetInfos"].as_array().unwrap().iter();
        let pages = pages.filter(|target| target["type"] == "page");
        pages.map(|target| target["title"].as_str().unwrap().to_owned()).collect()
    }

    /// Cuts this window off the network, or back on, for all that the browser says; open sockets stay.
    pub async fn go_offline(&self, offline: bool) {
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// The texts of the elements that are shown, of those that a selector finds.
    pub async fn texts(&self, selector: &str) -> Vec<String> {
        let texts = "return [...document.querySelectorAll(arguments[0])]
            .filter((element) => element.checkVisibility()).map((element) => element.textContent)";
        let texts = self.client.execute(texts, vec![json!(selector)]).await.unwrap();
        serde_json::from_value(texts).unwrap()
    }

    /// Makes an account and waits for the chat.
    pub async fn register(&self, username: &str, password: &str) {
        self.until("document.querySelector('[data-view=sign-in]')").await;
        self.click("show-register").await;
        self.fill("username", username).await;
        self.fill("password", password).await;
        self.click("register").await;
        self.is_online().await;
    }

    /// Signs in and waits for the chat.
    pub async fn sign_in(&self, username: &str, password: &str) {
        self.until("document.querySelector('[data-view=sign-in]')").await;
        self.fill("username", username).await;
        self.fill("password", password).await;
        self.click("sign-in").await;
        self.is_online().await;
    }

    /// Waits until the chat is connected.
    pub async fn is_online(&self) {
        self.until(
            "document.querySelector('[data-status=connection]')?.dataset.state === 'online'",
        )
        .await;
    }

    /// Types a message and presses Enter.
    pub async fn say(&self, text: &str) {
        let field = self.client.find(Locator::Css("textarea[name=text]")).await.unwrap();
        field.send_keys(text).await.unwrap();
        field.send_keys("\u{E007}").await.unwrap();
    }

    /// The messages on the page, each as its number and its text.
    pub async fn messages(&self) -> Vec<(u64, String)> {
        let rows = self
            .script(
                "return [...document.querySelectorAll('[data-message-id]')].map((row) => \
                 [Number(row.dataset.messageId), row.querySelector('[data-part=text]').textContent])",
            )
            .await;
        serde_json::from_value(rows).unwrap()
    }

    /// Waits until the page shows the message with this number, and says what it shows then.
    pub async fn shows(&self, id: usize) -> Vec<(u64, String)> {
        self.until(&format!("document.querySelector('[data-message-id=\"{id}\"]')")).await;
        self.messages().await
    }

    /// Fails when the console has an error. `refused` lets pass what the browser itself writes when a server refuses
    /// a request or is away; scripts that fail and whatever the CSP blocks never pass.
    pub async fn has_clean_console(&self, refused: bool) {
        let mut bad = self.complaints().await;
        bad.retain(|message| {
            let network = message.contains("Failed to load resource")
                || message.contains("WebSocket connection to");
            !(refused && network)
        });
        assert!(bad.is_empty(), "the console is not clean: {bad:?}");
    }

    /// The errors and warnings in the console since this was last asked.
    pub async fn complaints(&self) -> Vec<String> {
        let console = Extension { path: "se/log", body: json!({"type": "browser"}) };
        let log = self.client.issue_cmd(console).await.unwrap();
        log.as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    pub async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// One of Chromium's own commands.
#[derive(Debug)]
struct Extension {
    /// Below the session's.
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
