//! Somebody who has the operations document beside a terminal, and types what it shows.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{
    document::Document,
    missing::fake,
    postgres::Postgres,
    site::{Site, program, root},
};

/// Every host is this machine. One of Aurora DSQL takes a token that was made for it, and its database has the cluster's name here.
const PSQL: &str = r#"
case $2 in
*.dsql.*.on.aws)
    case $PGPASSWORD in
    "$2/?Action=DbConnectAdmin&"*X-Amz-Signature=*) ;;
    *) echo "access denied" >&2; exit 2 ;;
    esac
    set -- "$@" -d "${2%%.*}" ;;
esac"#;

/// The terminal, a bash that ends as soon as a command fails.
pub struct Operator {
    bash: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
    /// What the document shows that has not been typed yet.
    left: Vec<String>,
}

impl Drop for Operator {
    fn drop(&mut self) {
        drop(self.input.take());
        self.bash.wait().ok();
    }
}

impl Operator {
    pub fn of(site: &Site, postgres: &Postgres) -> Self {
        let programs = site.folder().join("programs");
        let psql = program("psql", "no-venv").unwrap();
        let port = postgres.port();
        let exec = format!("PGHOSTADDR=127.0.0.1 PGPORT={port} exec {} \"$@\"", psql.display());
        fake(&programs, "psql", &format!("{PSQL}\n{exec}"));
        // Cargo would build xtask anew; a deployment takes what moto can hold of the template.
        let deployed = site.what_is_deployed().join(" ");
        let xtask = env!("CARGO_BIN_EXE_xtask");
        let of_deploy = format!("[ \"$2\" = deploy ] && set -- \"$@\" {deployed}");
        fake(&programs, "cargo", &format!("{of_deploy}\nshift\nexec {xtask} \"$@\" --poll-ms 50"));

        let mut command = Command::new("bash");
        command.current_dir(site.folder()).env_clear().envs(site.environment());
        let environment = site.environment();
        let (_, path) = environment.iter().find(|(name, _)| name == "PATH").unwrap();
        command.env("PATH", format!("{}:{path}", programs.display()));
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut bash = pipes.spawn().unwrap();
        let mut input = bash.stdin.take().unwrap();
        writeln!(input, "exec 2>&1; set -eu").unwrap();
        let output = BufReader::new(bash.stdout.take().unwrap()).lines();
        let document = Document::read(&root().join("docs/operations.md"));
        let blocks = document.blocks.into_iter().filter(|(language, _)| language == "sh");
        let left = blocks.map(|(_, block)| block).collect();
        let folder = site.folder().to_owned();
        Self { bash, input: Some(input), output, folder, left }
    }

    /// The one block of the document that has this text.
    pub fn block(&mut self, text: &str) -> String {
        let is_it = |block: &String| block.contains(text);
        assert_eq!(self.left.iter().filter(|block| is_it(block)).count(), 1, "blocks of {text}");
        self.left.remove(self.left.iter().position(is_it).unwrap())
    }

    /// Holds that the document shows nothing else.
    pub fn has_typed_everything(&self) {
        assert!(self.left.is_empty(), "nobody has run:\n{}", self.left.join("\n"));
    }

    /// Types commands that must succeed. What they print.
    #[track_caller]
    pub fn types(&mut self, commands: &str) -> String {
        self.run(commands, "source ./typed </dev/null\necho all well")
    }

    /// Types commands of which the last must fail. What they print.
    #[track_caller]
    pub fn types_in_vain(&mut self, commands: &str) -> String {
        self.run(commands, "if source ./typed </dev/null; then exit; else echo all well; fi")
    }

    #[track_caller]
    fn run(&mut self, commands: &str, how: &str) -> String {
        fs::write(self.folder.join("typed"), commands).unwrap();
        // One that has ended says nothing more.
        writeln!(self.input.as_mut().unwrap(), "{how}").ok();
        let mut said = String::new();
        for line in self.output.by_ref() {
            let line = line.unwrap();
            if line == "all well" {
                return said;
            }
            said.extend([line.as_str(), "\n"]);
        }
        panic!("this has not gone well:\n{commands}\n{said}");
    }
}
