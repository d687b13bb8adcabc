//! What it says to mistakes: what is wrong, and what to do about it.

use std::{
    net::TcpListener,
    process::{Child, Stdio},
};

use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use crate::program::{
    address, assert_refused, assert_refused_in, files, local_dev, run_to_end, signal,
};

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    // Programs that listen on this address, on all, and on all of IPv6, which has this one, too.
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let taken = match TcpListener::bind(address) {
            // A machine without IPv6.
            Err(_) if address.starts_with('[') => continue,
            taken => taken.unwrap(),
        };
        let port = taken.local_addr().unwrap().port().to_string();
        let holder = if cfg!(target_os = "linux") {
            // As it is called by the system, which cuts names.
            let name = std::fs::read_to_string("/proc/self/comm").unwrap();
            format!("taken by `{}` (pid {}); stop it", name.trim_end(), std::process::id())
        } else {
            "in use; stop the program that has it".to_owned()
        };
        let says = format!(
            "local-dev: port {port} on 127.0.0.1 is {holder}, or choose another port with --port (0 picks a free one)"
        );
        assert_refused(&["--port", &port], &says);
    }
}

#[test]
fn a_host_that_is_not_this_machine_is_named_with_the_remedy() {
    assert_refused(&["--host", ""], "local-dev: the host \"\" has no address (");
    let says = "local-dev: cannot listen on port 3000 of 192.0.2.1 (";
    assert_refused(&["--host", "192.0.2.1"], says);
}

#[test]
fn a_folder_without_a_page_is_named_with_the_remedy() {
    let says = "local-dev: the folder \"nowhere\" holds no index.html; start local-dev where it does, or name the folder \
                with --static-dir";
    assert_refused(&["--static-dir", "nowhere"], says);
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [["--port", "65536"], ["--idle-timeout", "0"], ["--unknown", "1"]] {
        let output = run_to_end(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn a_project_that_cannot_be_served_is_refused_with_what_is_missing() {
    assert_refused(
        &["--template", "nowhere.yaml", "--functions", "."],
        "local-dev: --template nowhere.yaml: No such file or directory",
    );
    assert_refused(
        &["--functions", "nowhere"],
        "local-dev: --functions nowhere: no such folder; it takes one that has NAME/bootstrap",
    );
    assert_refused(
        &["--fault", "crash-after@Nobody=1"],
        "local-dev: --fault: there is no function \"Nobody\"; there are Register, Login, ",
    );
    assert_refused(&["--fault", "flood=1"], "local-dev: there is no fault \"flood\"; there are ");
    assert_refused(&["--assume", "x=1"], "local-dev: there is no assumption \"x\"; there are ");
}

#[test]
fn a_template_that_is_wrong_is_named_with_the_line() {
    for (template, says) in [
        ("Resources:\n  A: [\n", "line 2: this is neither YAML nor JSON: "),
        (
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  Get:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: nodejs20.x\n      \
             Handler: index.handler\n      Events: { Get: { Type: HttpApi, Properties: { Method: GET, Path: / } } }\n",
            "Get.Runtime (line 6): \"nodejs20.x\" doesn't run here: local-dev runs bootstraps (provided.al2023)",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("t.yaml"), template).unwrap();
        let arguments = ["--template", "t.yaml", "--functions", "."];
        assert_refused_in(&directory, &arguments, &format!("local-dev: t.yaml: {says}"));
    }
}

#[test]
fn compiled_functions_that_are_missing_are_named_with_the_command_that_makes_them() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--port", "0", "--functions", "."];
    let output = local_dev(&directory, &arguments).env("LOG", "error").output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.starts_with("local-dev: Register (line "), "{line}");
    assert!(
        line.contains("the folder ./register is not there; build what belongs in it"),
        "{line}"
    );
    let remedy = if cfg!(target_arch = "x86_64") {
        "; those of this chat with `cargo xtask build --x86-64 --sqlite`\n"
    } else {
        "; those of this chat with `cargo xtask build --sqlite`\n"
    };
    assert!(line.ends_with(remedy), "{line}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), "No database at all.\n".repeat(100))
        .unwrap();
    std::fs::write(directory.path().join("empty.db"), "").unwrap();
    for (url, says) in [
        (
            "chat.db",
            "local-dev: DATABASE_URL: must start with sqlite://, postgres:// or dsql://; for",
        ),
        (
            "sqlite://",
            "local-dev: DATABASE_URL: must name a file; for example DATABASE_URL=sqlite://",
        ),
        (
            "sqlite://no/where/chat.db",
            "local-dev: the database cannot be used: there is no folder no/where; make it, or name another file",
        ),
        (
            "sqlite://static",
            "local-dev: the database cannot be used: static is a folder; name a file, for example --database-url \
             sqlite://static/chat.db",
        ),
        (
            "sqlite://notes.txt",
            "local-dev: the database cannot be used: SQLite, notes.txt: the file is damaged, or no SQLite database; move it",
        ),
        (
            "sqlite://empty.db?mode=ro",
            "local-dev: the database cannot be used: SQLite, empty.db: it can be read only; make the file",
        ),
        (
            // Nobody listens on port 1.
            "postgres://chat:hunter2@127.0.0.1:1/chat",
            "local-dev: the database cannot be used: PostgreSQL, chat on 127.0.0.1:1: error communicating with database: \
             Connection refused",
        ),
        (
            "postgres://chat:hunter2@no-such-host.invalid/chat",
            "local-dev: the database cannot be used: PostgreSQL, chat on no-such-host.invalid: error communicating",
        ),
    ] {
        assert_refused_in(&directory, &["--port", "0", "--database-url", url], says);
    }
}

/// What the kernel shows can be written by nobody, not even by who may do everything.
#[cfg(target_os = "linux")]
#[test]
fn a_database_that_may_not_be_written_is_named_with_the_remedy() {
    let url = "sqlite:///sys/kernel/uevent_seqnum";
    let says =
        "local-dev: the database cannot be used: /sys/kernel/uevent_seqnum cannot be written (";
    assert_refused(&["--port", "0", "--database-url", url], says);
}

/// Another program that has a database of SQLite open, until it is dropped.
struct Other {
    runtime: tokio::runtime::Runtime,
    database: Option<SqliteConnection>,
}

impl Other {
    fn execute(directory: &TempDir, sql: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("chat.db").display());
        let database = runtime.block_on(async {
            let mut database = SqliteConnection::connect(&url).await.unwrap();
            database.execute(sql).await.unwrap();
            database
        });
        Self { runtime, database: Some(database) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let database = self.database.take().unwrap();
        self.runtime.block_on(database.close()).unwrap();
    }
}

#[test]
fn a_database_that_another_program_has_locked_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let sql = "pragma journal_mode = wal; create table other (id bigint); begin immediate";
    let other = Other::execute(&directory, sql);
    let says = "local-dev: the database cannot be used: SQLite, chat.db: another program has locked it; end that";
    assert_refused_in(&directory, &["--port", "0"], says);
    drop(other);
}

fn start(directory: &TempDir) -> (Child, String) {
    let mut command = local_dev(directory, &["--port", "0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let address = address(&mut child);
    (child, address)
}

#[test]
fn a_database_from_a_newer_version_is_used_with_a_warning() {
    const WARNING: &str = "a newer version of this program has changed the database";

    let directory = tempfile::tempdir().unwrap();
    let log = |directory| {
        let (child, _address) = start(directory);
        signal(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    let before = log(&directory);
    assert!(!before.contains(WARNING), "{before}");
    let newer = "insert into schema_migrations (step, applied_at) values (1000, 0)";
    drop(Other::execute(&directory, newer));
    let after = log(&directory);
    assert!(after.contains(WARNING) && after.contains("\"steps\":1"), "{after}");
}

#[test]
fn a_demo_is_refused_where_it_has_no_business() {
    let url = "dsql://admin@abcdefghij0123456789klmnop.dsql.eu-west-1.on.aws";
    let says = "local-dev: --demo takes a database on SQLite or PostgreSQL, and DATABASE_URL names one on Aurora DSQL; leave";
    assert_refused(&["--demo", "--database-url", url], says);
    let directory = tempfile::tempdir().unwrap();
    let other = ["--demo", "--template", "t.yaml", "--functions", "."];
    let output = local_dev(&directory, &other).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(files(directory.path()), ["static"]);
}
