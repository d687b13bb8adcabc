//! What a machine can lack, one by one, and what can be said wrongly.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use crate::site::{FUNCTIONS, Said, Site, root, said, sam_validates};

pub const STORIES: &[(&str, fn())] = &[
    ("the_real_template_is_packaged", the_real_template_is_packaged),
    ("what_is_missing_is_named", what_is_missing_is_named),
    ("a_chat_that_does_not_answer_is_said_so", a_chat_that_does_not_answer_is_said_so),
    ("bad_options_are_explained", bad_options_are_explained),
    ("a_failing_build_is_not_a_missing_tool", a_failing_build_is_not_a_missing_tool),
    (
        "the_plan_of_the_real_template_needs_no_credentials",
        the_plan_of_the_real_template_needs_no_credentials,
    ),
];

/// A program that says something.
pub fn fake(folder: &Path, name: &str, script: &str) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn what_is_missing_is_named() {
    let site = Site::start("missing");
    let fakes = site.folder().join("fakes");
    let with = |path: &Path, arguments: &[&str]| -> Said {
        said(site.command(arguments).env("PATH", path).output().unwrap())
    };
    let nothing = with(&fakes, &["deploy"]);
    nothing.failed().has("pip install cargo-lambda").has("pip install --upgrade awscli");
    fake(&fakes, "cargo-lambda", "echo cargo-lambda 1.9.2");
    let no_aws = with(&fakes, &["deploy"]);
    no_aws.failed().has("aws is not on the PATH");
    assert!(!no_aws.text.contains("pip install cargo-lambda"), "{}", no_aws.text);
    for command in ["doctor", "destroy"] {
        with(&fakes, &[command]).failed().has("aws is not on the PATH");
    }
    fake(&fakes, "aws", "echo aws-cli/2.9.1 Python/3.9");
    with(&fakes, &["deploy"]).failed().has("aws 2.9 is too old");
    fake(&fakes, "aws", "echo 'no module named awscli' >&2; exit 1");
    with(&fakes, &["deploy"]).failed().has("aws doesn't run: no module named awscli");

    let without = |names: &[&str]| -> Said {
        let mut command = site.command(&["deploy", "--built", "/nowhere"]);
        for name in names {
            command.env_remove(name);
        }
        said(command.output().unwrap())
    };
    without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]).failed().has("aws configure sso");
    without(&["AWS_REGION", "AWS_DEFAULT_REGION"])
        .failed()
        .has("no region is set")
        .has("--region eu-central-1");
    site.xtask(&["deploy", "--built", "/nowhere", "--profile", "nobody"])
        .failed()
        .has("list-profiles");
    without(&[]).failed().has("/nowhere/").has("cargo xtask build");

    let mut nobody = site.command(&["destroy", "--yes"]);
    nobody.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    said(nobody.output().unwrap()).failed().has("AWS can't be reached");
}

fn a_failing_build_is_not_a_missing_tool() {
    let folder = tempfile::tempdir().unwrap();
    fake(folder.path(), "cargo-lambda", "echo cargo-lambda 1.9.2");
    let cargo = "[ $1 = tree ] && exit 0\necho 'error[E0308]: mismatched types' >&2\nexit 101";
    fake(folder.path(), "cargo", cargo);
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let built = said(command.arg("build").env("PATH", folder.path()).output().unwrap());
    built.failed().has("error[E0308]").has("the functions can't be built");
    assert!(!built.text.contains("pip install"), "{}", built.text);
}

fn bad_options_are_explained() {
    let site = Site::start("options");
    let file = site.folder().join("not-a-url");
    fs::write(&file, "hunter2").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (&["--stack", "1chat"][..], "begins with a letter"),
        (&["--domain", "chat.example.com"], "--certificate"),
        (&["--hosted-zone", "Z1"], "needs --domain"),
        (&["--certificate", "arn:aws:acm:eu-west-1:1:certificate/1"], "us-east-1 only"),
        (&["--certificate", "mine"], "list-certificates"),
        (&["--parameter", "DatabaseUrl=postgres://a:b@c/d"], "--database-url-from"),
        (
            &["--parameter", "Nonsense=1"],
            "the template has no parameter Nonsense, but: DatabaseUrl",
        ),
        (&["--parameter", "Nonsense"], "KEY=VALUE"),
        (&["--parameter", "AlarmMail=a@b.c", "--alarm-mail", "a@b.c"], "set twice"),
        (&["--database-url-from", "/nowhere"], "cannot read /nowhere"),
        (&["--database-url-from", "env"], "DATABASE_URL"),
        (&["--database-url-from", file], "is no URL of PostgreSQL"),
        (&["--template", "/nowhere.yaml"], "cannot read the template"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloud/template.yaml");
        let template =
            if arguments[0] == "--template" { &[][..] } else { &["--template", template] };
        command.arg("deploy").args(template).args(arguments).env_clear().envs(site.environment());
        let said = said(command.output().unwrap());
        said.failed().has(expected);
        assert!(!said.text.contains("hunter2"), "{}", said.text);
    }
}

fn a_chat_that_does_not_answer_is_said_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let smoke = said(command.args(["smoke", "--url", "http://127.0.0.1:1"]).output().unwrap());
    smoke.failed().has("http://127.0.0.1:1 can't be fetched");
}

/// moto makes nothing of a SAM template, so this goes as far as AWS would take over.
fn the_real_template_is_packaged() {
    let site = Site::start("real");
    let built = site.folder().join("built");
    site.xtask(&["deploy", "--no-smoke", "--built", built.to_str().unwrap()]).has("[5/8]");
    let packaged = root().join("target/deploy/real/packaged.yaml");
    let text = fs::read_to_string(&packaged).unwrap();
    assert!(!text.contains("CodeUri: functions/") && !text.contains("../functions"), "{text}");
    let uploaded = text.matches("CodeUri: s3://lambda-chat-deploy-").count();
    let there = fs::read_dir(root().join("functions")).unwrap().count();
    assert_eq!(uploaded, there);
    assert!(there <= FUNCTIONS.len());
    sam_validates(&packaged, site.folder()).succeeded().has("is a valid SAM Template");
}

fn the_plan_of_the_real_template_needs_no_credentials() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["deploy", "--dry-run", "--database-url-from", "/a/file/that/is/not/read"]);
    let plan = said(command.env_clear().output().unwrap());
    plan.succeeded().has("DatabaseUrl=(not shown)").has("cargo lambda build --profile lambda");
    let steps: Vec<&str> = plan.text.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(steps.len(), 8, "{}", plan.text);
    for command in [
        "sts get-caller-identity",
        "cloudformation package",
        "create-change-set",
        "execute-change-set",
        "s3 cp",
        "create-invalidation",
        "cargo xtask smoke",
    ] {
        plan.has(command);
    }
}
