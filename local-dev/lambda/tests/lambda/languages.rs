//! Functions in other languages. A machine that lacks one skips its test and says so; with `CI` set it fails.

use std::{path::PathBuf, process::Command, time::Duration};

use lambda::Config;
use serde_json::json;
use tempfile::tempdir;

use crate::support::{PATIENCE, Tested, Warnings, eventually, frozen, gone, number_in, pid};

fn script(name: &str) -> Config {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/lambda/fixtures"].iter().collect();
    let mut config = Config::new("script", folder.join(name));
    config.timeout = PATIENCE;
    config.init_timeout = PATIENCE;
    config
}

#[expect(clippy::print_stderr, reason = "what is skipped is to be seen")]
fn has(program: &str) -> bool {
    let has = Command::new(program).arg("--version").output().is_ok();
    if !has {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing");
        eprintln!("skipped: {program} is missing");
    }
    has
}

#[tokio::test]
async fn a_function_may_be_a_python_program() {
    if !has("python3") {
        return;
    }
    let function = Tested::new(script("bootstrap.py"));
    let first = function.response(json!({ "text": "👋" })).await;
    assert_eq!(first["event"], json!({ "text": "👋" }));
    frozen(pid(&first)).await;
    assert_eq!(pid(&function.response(json!(null)).await), pid(&first));
}

#[tokio::test]
async fn a_function_may_be_a_shell_script() {
    if !has("curl") {
        return;
    }
    let folder = tempdir().unwrap();
    let mut config = script("bootstrap.sh");
    config.environment.push(("TMPDIR".to_owned(), folder.path().to_str().unwrap().to_owned()));
    let function = Tested::new(config);
    for number in 0..3 {
        let event = json!({ "number": number });
        assert_eq!(function.response(event.clone()).await, event);
    }
    assert_eq!(function.logged("handling request").await.request_id.as_deref(), Some("request"));
    function.function.shutdown().await;
}

/// The number of the signal.
const SIGTERM: u64 = 15;

#[tokio::test]
async fn a_function_with_an_extension_is_told_of_its_end() {
    if !has("python3") {
        return;
    }
    for is_stubborn in [false, true] {
        let folder = tempdir().unwrap();
        let farewell = folder.path().join("farewell");
        let mut config = script("bootstrap.py");
        let farewell_text = farewell.to_str().unwrap().to_owned();
        config.environment.push(("FAREWELL".to_owned(), farewell_text));
        if is_stubborn {
            config.environment.push(("STUBBORN".to_owned(), "1".to_owned()));
        }
        config.idle_time_max = Duration::from_millis(300);
        let function = Tested::new(config);
        let pid = pid(&function.response(json!(null)).await);
        gone(pid).await;
        eventually("it said farewell", || number_in(&farewell) == Some(SIGTERM)).await;
    }
}

#[tokio::test]
async fn an_instance_at_its_end_is_refused_nothing() {
    if !has("python3") {
        return;
    }
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    for is_shutdown in [false, true] {
        let folder = tempdir().unwrap();
        let farewell = folder.path().join("farewell");
        let mut config = script("bootstrap.py");
        let farewell_text = farewell.to_str().unwrap().to_owned();
        config.environment.push(("FAREWELL".to_owned(), farewell_text));
        // It would go on with what it is answered.
        config.environment.push(("STUBBORN".to_owned(), "1".to_owned()));
        if !is_shutdown {
            config.idle_time_max = Duration::from_millis(300);
        }
        let function = Tested::new(config);
        frozen(pid(&function.response(json!(null)).await)).await;
        if is_shutdown {
            function.function.shutdown().await;
        } else {
            function.logged("ENDED idle").await;
        }
        assert_eq!(number_in(&farewell), Some(SIGTERM));
        let lines = function.log().into_iter().filter(|logged| logged.stream.is_some());
        assert_eq!(lines.map(|logged| logged.text).collect::<Vec<_>>(), ["handling request"]);
    }
    assert_eq!(warnings.count(), 0);
}
