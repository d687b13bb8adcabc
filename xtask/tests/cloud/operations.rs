//! docs/operations.md, all of its commands as they stand and in an operator's order: by the real AWS CLI against moto, and by the
//! real psql against PostgreSQL.
//!
//! What moto doesn't have is answered in its place, and what was asked is looked at: a job of AWS Backup, the way back of dead
//! letters, an update that goes on. Tokens for Aurora DSQL are the CLI's own; PostgreSQL doesn't look into them, so only their
//! form is held, by what stands before psql and leads every host here (`operator`). Version 1 of the CLI makes no such tokens,
//! so what serves it does, by the signer that both versions come with. `cargo xtask` is the one that is tested.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::{
    lives::{concurrency, status},
    operator::Operator,
    postgres::{PASSWORD, Postgres},
    proxy::Fault,
    site::{FUNCTIONS, REGION, Site},
};

pub const STORIES: &[(&str, fn())] = &[("operations_are_done_as_written", operations)];

/// The first id of a message, and the last: more than DSQL takes at once, and not as many as the last id says.
const IDS: (u32, u32) = (101, 3_101);

/// What is copied, and by what it is sorted.
const TABLES: [(&str, &str); 3] = [("users", "username"), ("sessions", "id"), ("messages", "id")];

fn operations() {
    let (site, postgres) = (Site::start("lambda-chat"), Postgres::start());
    site.moto_has_functions_without_docker();
    concurrency(&site, 1000);
    let create = ["dsql", "create-cluster", "--deletion-protection-enabled"];
    let cluster = || site.aws(&create)["identifier"].as_str().unwrap().to_owned();
    let (of_stack, restored) = (cluster(), cluster());
    fs::write(site.folder().join("database"), "").unwrap();
    let deployed = site.deploy(&["--no-smoke", "--parameter", &format!("Cluster={of_stack}")]);
    deployed.succeeded();

    let mut operator = Operator::of(&site, &postgres);
    let begin = operator.block("STACK=lambda-chat");
    let dashboard = operator.types(&begin);
    assert!(dashboard.contains(".console.aws.amazon.com/cloudwatch/"), "{dashboard}");
    more_is_logged(&site, &mut operator);
    an_update_that_was_not_put_back_goes_on(&site, &mut operator);
    the_secret_is_rotated(&site, &mut operator);
    dead_letters_go_back_and_away(&site, &mut operator);

    for id in [&of_stack, &restored] {
        postgres.migrated(id, "admin", "chat");
    }
    roles_are_looked_at(&postgres, &of_stack, &mut operator);
    a_backup_is_made(&site, &of_stack, &mut operator);
    data_is_restored(&site, &postgres, (&restored, &of_stack), &mut operator);
    data_is_moved(&site, &postgres, &of_stack, &mut operator);
    let delete = operator.block("delete-cluster");
    operator.types(&delete);
    let status = |id| site.asked("dsql", &format!("cluster/{id}"))["status"].clone();
    assert_eq!((status(&of_stack), status(&restored).is_string()), (Value::Null, true));
    operator.has_typed_everything();
}

/// The physical names of the stack's resources of a type, with the logical ones.
fn resources(site: &Site, kind: &str) -> Vec<(String, String)> {
    let list = ["cloudformation", "list-stack-resources", "--stack-name", &site.stack];
    let resources = site.aws(&list);
    let resources = resources["StackResourceSummaries"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names = |one: &Value| (text(&one["LogicalResourceId"]), text(&one["PhysicalResourceId"]));
    resources.filter(|one| one["ResourceType"] == kind).map(names).collect()
}

fn more_is_logged(site: &Site, operator: &mut Operator) {
    let functions = resources(site, "AWS::Lambda::Function");
    let (_, login) = functions.iter().find(|(name, _)| name == "Login").unwrap();
    let get = ["lambda", "get-function-configuration", "--function-name", login];
    let variables = || site.aws(&get)["Environment"]["Variables"].clone();
    let mut expected = variables();
    expected["LOG"] = json!("debug");

    let block = operator.block("get-function-configuration");
    let (before, after) = block.split_once("# add \"LOG\"").expect("one edits the file");
    operator.types(&format!("FUNCTION={login}\n{before}"));
    let file = site.folder().join("environment.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut edited: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    edited["Variables"]["LOG"] = json!("debug");
    fs::write(&file, edited.to_string()).unwrap();
    let said = operator.types(&format!("# {after}"));
    assert!(said.contains("Successful"), "{said}");
    assert_eq!(variables(), expected);
    assert!(!file.exists(), "it holds secrets");
}

fn an_update_that_was_not_put_back_goes_on(site: &Site, operator: &mut Operator) {
    let failed = Fault::replace(
        "<ResourceStatus>CREATE_COMPLETE</ResourceStatus>",
        "<ResourceStatus>UPDATE_FAILED</ResourceStatus>\
         <ResourceStatusReason>no room for it</ResourceStatusReason>",
    );
    site.proxy.inject("Action=DescribeStackEvents", 1, failed);
    let goes_on = "<ContinueUpdateRollbackResponse><ContinueUpdateRollbackResult/></ContinueUpdateRollbackResponse>";
    site.proxy.inject(
        "Action=ContinueUpdateRollback&Version=2010-05-15&StackName=lambda-chat",
        1,
        Fault::Answer(200, goes_on.to_owned()),
    );
    let block = operator.block("continue-update-rollback");
    let said = operator.types(&block);
    assert!(said.contains("no room for it"), "{said}");
    for call in [
        "Action=DescribeStackEvents",
        "Action=ContinueUpdateRollback&Version=2010-05-15&StackName=lambda-chat",
    ] {
        site.proxy.met(call);
    }
}

/// The parameters of the stack: the version of the secret, and all others.
fn parameters(site: &Site) -> (String, Vec<Value>) {
    let stacks = site.aws(&["cloudformation", "describe-stacks", "--stack-name", &site.stack]);
    let mut others = stacks["Stacks"][0]["Parameters"].as_array().unwrap().clone();
    let is_version = |one: &Value| one["ParameterKey"] == "JwtSecretVersion";
    let version = others.remove(others.iter().position(is_version).unwrap());
    others.sort_by_key(|one| one["ParameterKey"].to_string());
    (version["ParameterValue"].as_str().unwrap().to_owned(), others)
}

fn the_secret_is_rotated(site: &Site, operator: &mut Operator) {
    let block = operator.block("rotate_to()");
    let (functions, steps) = block.split_once("\nrotate_to \"").expect("it is called");
    operator.types(functions);
    let steps: Vec<String> =
        steps.split("\nrotate_to \"").map(|step| format!("rotate_to \"{step}")).collect();
    let secret = |stage: &str| {
        let get = ["secretsmanager", "get-secret-value", "--secret-id", "jwt", "--version-stage"];
        let secret = site.aws(&[&get[..], &[stage]].concat());
        let text = |name: &str| secret[name].as_str().unwrap().to_owned();
        (text("SecretString"), text("VersionId"))
    };
    let (old, _) = secret("AWSCURRENT");
    let new = operator.types("echo \"$NEW\"").trim().to_owned();
    assert_eq!(new.len(), 64, "{new}");
    let (_, others) = parameters(site);
    let mut before = old.clone();
    let expected = [format!("{old},{new}"), format!("{new},{old}"), new.clone()];
    assert_eq!(steps.len(), expected.len(), "{steps:?}");
    for (step, expected) in steps.iter().zip(expected) {
        let said = operator.types(step);
        assert!(!said.contains(&old) && !said.contains(&new), "a secret is shown:\n{said}");
        let (value, version) = secret("AWSCURRENT");
        assert_eq!(value, expected);
        assert_eq!(secret("AWSPREVIOUS").0, before);
        assert_eq!(parameters(site), (version, others.clone()));
        before = value;
    }
}

fn dead_letters_go_back_and_away(site: &Site, operator: &mut Operator) {
    let queues = resources(site, "AWS::SQS::Queue");
    let (_, dead) = queues.iter().find(|(name, _)| name == "BroadcastDeadLetters").unwrap();
    let send = ["sqs", "send-message", "--queue-url", dead, "--message-body", "a shard"];
    site.aws(&send);
    let attributes = |name: &str| {
        let get = ["sqs", "get-queue-attributes", "--queue-url", dead, "--attribute-names", name];
        site.aws(&get)["Attributes"][name].as_str().unwrap().to_owned()
    };
    assert_eq!(attributes("ApproximateNumberOfMessages"), "1");

    let answer = json!({"TaskHandle": "the handle of the task"}).to_string();
    site.proxy.inject("AmazonSQS.StartMessageMoveTask", 1, Fault::Answer(200, answer));
    let back = operator.block("start-message-move-task");
    let said = operator.types(&back);
    assert!(said.contains("the handle of the task"), "{said}");
    site.proxy.met("AmazonSQS.StartMessageMoveTask");
    let asked = json!({"SourceArn": attributes("QueueArn")}).to_string();
    assert_eq!(site.proxy.count(&asked.replace("\":\"", "\": \"")), 1, "{asked}");

    let purge = operator.block("purge-queue");
    operator.types(&purge);
    assert_eq!(attributes("ApproximateNumberOfMessages"), "0");
}

fn roles_are_looked_at(postgres: &Postgres, cluster: &str, operator: &mut Operator) {
    postgres.run(
        cluster,
        &[
            "create schema sys",
            "create table sys.iam_pg_role_mappings (arn text, pg_role_name text)",
            "insert into sys.iam_pg_role_mappings values ('arn:aws:iam::1:role/r', 'login')",
            "grant usage on schema sys to admin",
            "grant select on sys.iam_pg_role_mappings to admin",
        ],
    );
    let block = operator.block("iam_pg_role_mappings");
    assert_eq!(operator.types(&block), "arn:aws:iam::1:role/r|login\n");
    // A token for one cluster opens no other.
    let denied = operator.types_in_vain(&format!(
        "(aws() {{ command aws \"${{@:1:5}}\" other; }}; dsql {cluster} 'select 1')"
    ));
    assert!(denied.contains("access denied"), "{denied}");
}

fn a_backup_is_made(site: &Site, cluster: &str, operator: &mut Operator) {
    let answer = json!({"BackupJobId": "the id of the job"}).to_string();
    site.proxy.inject("PUT /backup-jobs", 1, Fault::Answer(200, answer));
    let block = operator.block("start-backup-job");
    let role = "arn:aws:iam::123456789012:role/backup";
    let said = operator.types(&format!("BACKUP_ROLE={role}\n{block}"));
    assert!(said.contains("the id of the job"), "{said}");
    site.proxy.met("PUT /backup-jobs");
    let resource = format!("arn:aws:dsql:{REGION}:123456789012:cluster/{cluster}");
    for asked in [role, &resource, r#""BackupVaultName": "Default""#] {
        assert!(site.proxy.count(asked) > 0, "{asked}");
    }
}

/// The functions that are switched off and on, which are all but `migrate`.
struct Switched(Vec<String>);

impl Switched {
    fn of(site: &Site) -> Self {
        let mut functions = resources(site, "AWS::Lambda::Function");
        functions.retain(|(name, _)| name != "Migrate");
        assert_eq!(functions.len(), FUNCTIONS.len() - 1);
        Self(functions.into_iter().map(|(_, name)| name).collect())
    }

    /// Holds that all of them are on, or that all are off.
    #[track_caller]
    fn are(&self, site: &Site, is_on: bool) {
        let expected = if is_on { Value::Null } else { json!(0) };
        for name in &self.0 {
            let path = format!("2019-09-30/functions/{name}/concurrency");
            let reserved = site.asked("lambda", &path);
            assert_eq!(reserved["ReservedConcurrentExecutions"], expected, "{name}");
        }
    }
}

/// Everything that counts, with what breaks formats.
fn fill(postgres: &Postgres, database: &str) {
    let (first, last) = IDS;
    let messages = format!(
        r#"insert into chat.messages
        select id, (array['alice', 'bob', 'mira'])[1 + id % 3],
            (array[E'two\nlines', E'a line\n\\.\nthat ends what is copied', 'a, b; "c"', E'\\N\t\r\\', '🦀'])[1 + id % 5],
            case id % 4 when 0 then null when 1 then '' || id else 'client ' || id end, id * 1000
        from generate_series({first}, {last}) id"#
    );
    postgres.run(
        database,
        &[
            "insert into chat.users values ('bob', '$2b$12$a,b', 1), ('alice', '', 2), ('mira', 'x', 3)",
            "insert into chat.sessions select 'session ' || id, 'bob', 't', nullif('p' || id % 2, 'p0'),
                 id, id, id, nullif(id % 3, 0) from generate_series(1, 99) id",
            &messages,
        ],
    );
}

/// How many rows there are of all that is copied, a digest of them, and the number that the next message gets.
fn content(postgres: &Postgres, database: &str, schema: &str) -> Vec<String> {
    let rows = TABLES.map(|(table, key)| {
        format!(
            "select count(*), md5(string_agg(t::text, E'\\n' order by t.{key})) from {schema}.{table} t"
        )
    });
    let next = format!("select last_id + 1 from {schema}.message_sequence");
    let statements: Vec<&str> = rows.iter().chain([&next]).map(String::as_str).collect();
    postgres.run(database, &statements).lines().map(str::to_owned).collect()
}

/// What a database has to hold after a copy.
fn copied(postgres: &Postgres, database: &str) -> Vec<String> {
    let mut content = content(postgres, database, "chat");
    assert!(content[2].starts_with(&format!("{}|", IDS.1 - IDS.0 + 1)), "{content:?}");
    content[3] = (IDS.1 + 1).to_string();
    content
}

fn data_is_restored(
    site: &Site,
    postgres: &Postgres,
    (restored, of_stack): (&str, &str),
    operator: &mut Operator,
) {
    fill(postgres, restored);
    for define in ["functions()", "copy_data()"] {
        let block = operator.block(define);
        operator.types(&block);
    }
    let functions = Switched::of(site);
    functions.are(site, true);
    let block = operator.block("$RESTORED");
    let (off, rest) = block.split_once('\n').unwrap();
    operator.types(off);
    functions.are(site, false);

    // Where something is, nothing is copied, and the chat stays off.
    postgres.run(of_stack, &["insert into chat.users values ('mira', 'survived', 3)"]);
    let said = operator.types_in_vain(&format!("RESTORED={restored}\n{rest}"));
    assert!(said.contains("duplicate key"), "{said}");
    functions.are(site, false);
    assert!(content(postgres, of_stack, "chat")[0].starts_with("1|"));
    postgres.run(of_stack, &["delete from chat.users"]);

    operator.types(rest);
    functions.are(site, true);
    assert_eq!(content(postgres, of_stack, "chat"), copied(postgres, restored));
}

fn data_is_moved(site: &Site, postgres: &Postgres, old: &str, operator: &mut Operator) {
    postgres.migrated("chat", "chat", "public");
    let file = site.folder().join(".pgpass");
    fs::write(&file, format!("db.example.com:*:chat:chat:{PASSWORD}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("postgres://chat:{PASSWORD}@db.example.com/chat");
    fs::write(site.folder().join("url"), url).unwrap();
    site.migrate_answers(&[status(0)]);
    let block = operator.block("--move-database");
    let said = operator.types(&block);
    assert!(said.contains("all 8 steps of its migrations done"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    Switched::of(site).are(site, true);
    assert_eq!(content(postgres, "chat", "public"), copied(postgres, old));
    // It isn't the stack's any more.
    assert_eq!(operator.types("output ClusterId").trim(), "");
}
