//! Each error that AWS answers, at each step of a deployment, and each state that a stack can be found in.

use crate::{proxy::Fault, site::Site};

pub const STORIES: &[(&str, fn())] = &[
    (
        "every_error_says_what_to_do_and_the_next_run_goes_on",
        every_error_says_what_to_do_and_the_next_run_goes_on,
    ),
    ("every_state_of_a_stack_is_known", every_state_of_a_stack_is_known),
    ("an_update_that_fails_is_explained", an_update_that_fails_is_explained),
    (
        "a_state_from_before_the_order_is_not_the_result",
        a_state_from_before_the_order_is_not_the_result,
    ),
    (
        "a_first_deployment_that_left_a_cluster_begins_anew",
        a_first_deployment_that_left_a_cluster_begins_anew,
    ),
    (
        "another_kind_of_database_is_not_taken_by_accident",
        another_kind_of_database_is_not_taken_by_accident,
    ),
];

/// What a request meets, and what is then said, in the order of a deployment.
fn faults() -> Vec<(&'static str, Fault, &'static str)> {
    let upload = "PUT /lambda-chat-deploy-";
    vec![
        (
            "Action=GetCallerIdentity",
            Fault::error(403, "InvalidClientTokenId"),
            "doesn't know these credentials",
        ),
        ("Action=GetCallerIdentity", Fault::error(403, "ExpiredToken"), "Log in again"),
        ("Action=GetCallerIdentity", Fault::error(403, "SignatureDoesNotMatch"), "clock"),
        ("Action=DescribeStacks", Fault::error(403, "AccessDenied"), "--profile NAME"),
        ("Action=DescribeStacks", Fault::error(400, "Throttling"), "Wait a minute"),
        (
            "HEAD /lambda-chat-deploy-",
            Fault::Answer(403, String::new()),
            "belongs to somebody else",
        ),
        (upload, Fault::s3_error(400, "TooManyBuckets"), "Put right what is named above"),
        ("PUT /lambda-chat-deploy-", Fault::Reset, "AWS can't be reached"),
        (
            "PUT /lambda-chat-deploy-123456789012-eu-central-1/unlucky/",
            Fault::s3_error(404, "NoSuchBucket"),
            "made again",
        ),
        (
            "PUT /lambda-chat-deploy-123456789012-eu-central-1/unlucky/template-",
            Fault::s3_error(403, "ExpiredToken"),
            "Log in again",
        ),
        (
            "Action=CreateChangeSet",
            Fault::error(400, "ValidationError"),
            "Put right what is named above",
        ),
        (
            "Action=CreateChangeSet",
            Fault::error(503, "ServiceUnavailable"),
            "health.aws.amazon.com",
        ),
        (
            "Action=DescribeChangeSet",
            Fault::replace("<Status>CREATE_COMPLETE</Status>", "<Status>FAILED</Status>"),
            "refuses the template",
        ),
        ("Action=ExecuteChangeSet", Fault::error(403, "AccessDenied"), "--profile NAME"),
        ("Action=ExecuteChangeSet", Fault::error(500, "InternalFailure"), "health.aws.amazon.com"),
        ("/assets/", Fault::s3_error(404, "NoSuchBucket"), "made again"),
        ("/index.html", Fault::s3_error(503, "SlowDown"), "Wait a minute"),
    ]
}

fn every_error_says_what_to_do_and_the_next_run_goes_on() {
    let site = Site::start("unlucky");
    for (call, fault, expected) in faults() {
        site.proxy.inject_first(call, 1, fault);
        let said = site.deploy(&["--no-smoke"]);
        assert!(!said.ok, "{call} should have failed:\n{}", said.text);
        said.has(expected).has("xtask: ");
        if expected == "refuses the template" {
            assert_eq!(site.proxy.count("Action=DeleteChangeSet"), 1);
        }
        site.proxy.met(call);
    }
    // While a stack is at work, a moment's trouble is not the end.
    let watching = "Action=DescribeStacks&Version=2010-05-15&StackName=arn";
    site.proxy.inject_first(watching, 2, Fault::error(400, "Throttling"));
    std::fs::write(site.folder().join("built/login/bootstrap"), "other code").unwrap();
    site.deploy(&["--no-smoke"]).succeeded().has("The chat is at");
    site.proxy.met(watching);

    site.proxy.inject_first("/invalidation ", 1, Fault::error(404, "NoSuchDistribution"));
    site.deploy(&["--no-smoke"]).failed().has("NoSuchDistribution");
    site.proxy.inject_first(
        "secretsmanager.DescribeSecret",
        1,
        Fault::json_error(400, "ResourceNotFoundException"),
    );
    site.deploy(&["--no-smoke"]).failed().has("ResourceNotFoundException");

    // A chat that doesn't work is said so, though all is deployed.
    let elsewhere = Fault::replace(site.page(), "http://127.0.0.1:1");
    site.proxy.inject_first("Action=DescribeStacks", usize::MAX, elsewhere);
    let broken = site.xtask(&["doctor"]);
    broken.failed().has("BROKEN  page:");
    let untried = site.deploy(&["--patience", "0"]);
    untried
        .failed()
        .has("everything is deployed, but the chat at http://127.0.0.1:1")
        .has("doctor");
    site.proxy.forget("Action=DescribeStacks");
    site.deploy(&[]).succeeded().has("a message came to both");
}

fn every_state_of_a_stack_is_known() {
    let site = Site::start("state");
    site.deploy(&["--no-smoke"]).succeeded();
    let becomes = |status: &str| {
        let (now, then) = (">CREATE_COMPLETE</StackStatus>", format!(">{status}</StackStatus>"));
        Fault::replace(now, &then)
    };
    for (status, expected) in [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name state"),
        ("UPDATE_FAILED", "continue-update-rollback --stack-name state"),
        ("CREATE_FAILED", "cargo xtask destroy --stack state"),
        ("DELETE_FAILED", "cargo xtask destroy --stack state"),
        ("SOMETHING_ELSE", "not known here"),
    ] {
        site.proxy.inject_first("Action=DescribeStacks", 1, becomes(status));
        site.deploy(&["--no-smoke"]).failed().has(status).has(expected);
    }
    // A stack at work is waited for.
    for status in ["CREATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"] {
        site.proxy.inject_first("Action=DescribeStacks", 3, becomes(status));
        let waited = site.xtask(&["deploy", "--built", "/nowhere"]);
        waited.failed().has("waiting until that is done").has("[4/8]").has("/nowhere/");
        site.proxy.met("Action=DescribeStacks");
    }
}

fn an_update_that_fails_is_explained() {
    let site = Site::start("failing");
    // As if something of the stack could not be made.
    let rolled_back =
        Fault::replace(">CREATE_COMPLETE</StackStatus>", ">ROLLBACK_COMPLETE</StackStatus>");
    site.proxy.inject_first("Action=DescribeStacks", usize::MAX, rolled_back.clone());
    site.deploy(&["--no-smoke"]).failed().has("ROLLBACK_COMPLETE").has("begins anew");
    site.proxy.forget("Action=DescribeStacks");
    // Found so, it is deleted and made again.
    site.proxy.inject_first("Action=DescribeStacks", 1, rolled_back);
    let again = site.deploy(&["--no-smoke"]);
    again.succeeded().has("its first deployment has failed; deleting").has("The chat is at");

    std::fs::write(site.folder().join("built/login/bootstrap"), "worse code").unwrap();
    let taken_back =
        Fault::replace(">UPDATE_COMPLETE</StackStatus>", ">UPDATE_ROLLBACK_COMPLETE</StackStatus>");
    site.proxy.inject_first("Action=DescribeStacks", usize::MAX, taken_back);
    site.deploy(&["--no-smoke"])
        .failed()
        .has("UPDATE_ROLLBACK_COMPLETE")
        .has("the chat runs as before");
    let doctor = site.doctor();
    doctor.has("doubt   stack failing: UPDATE_ROLLBACK_COMPLETE");
}

/// The first look after an order is answered as before it, though events tell of it already.
fn a_state_from_before_the_order_is_not_the_result() {
    const WATCHING: &str = "Action=DescribeStacks&Version=2010-05-15&StackName=arn";
    let site = Site::start("stale");
    let status = |now: &str, told: &str| {
        let tag = |status: &str| format!(">{status}</StackStatus>");
        Fault::replace(&tag(now), &tag(told))
    };
    site.proxy.inject(WATCHING, 1, status("CREATE_COMPLETE", "REVIEW_IN_PROGRESS"));
    site.deploy(&["--no-smoke"]).succeeded().has("The chat is at");
    site.proxy.met(WATCHING);

    // An update that is taken back looks done before it has begun.
    std::fs::write(site.folder().join("built/login/bootstrap"), "other code").unwrap();
    site.proxy.inject(WATCHING, 1, status("UPDATE_COMPLETE", "CREATE_COMPLETE"));
    let taken_back = status("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE");
    site.proxy.inject(WATCHING, usize::MAX, taken_back);
    site.deploy(&["--no-smoke"]).failed().has("UPDATE_ROLLBACK_COMPLETE");
    site.proxy.forget(WATCHING);

    site.proxy.inject(WATCHING, 1, status("DELETE_COMPLETE", "UPDATE_COMPLETE"));
    site.destroy(&["--yes"]).succeeded().has("stale is gone");
    site.proxy.met(WATCHING);
}

fn a_first_deployment_that_left_a_cluster_begins_anew() {
    let site = Site::start("leftover");
    site.deploy(&["--no-smoke"]).succeeded();
    let broken = Fault::replace(">CREATE_COMPLETE</StackStatus>", ">ROLLBACK_FAILED</StackStatus>");
    site.has_cluster("abc123");
    // Lifting fails: nothing is deleted, and the next run goes on.
    site.proxy.inject_first("Action=DescribeStacks", 1, broken.clone());
    let denied = Fault::json_error(403, "AccessDeniedException");
    site.proxy.inject_first("POST /cluster/abc123", 1, denied);
    site.deploy(&["--no-smoke"]).failed().has("--profile");
    assert_eq!(site.proxy.count("Action=DeleteStack"), 0);

    site.proxy.inject_first("Action=DescribeStacks", 1, broken);
    let again = site.deploy(&["--no-smoke"]);
    again
        .succeeded()
        .has("its first deployment has failed; deleting")
        .has("Lifting the protection of the database, cluster abc123")
        .has("The chat is at");
    assert_eq!(site.proxy.count("Action=DeleteStack"), 1);
    assert_eq!(site.proxy.count("DELETE /cluster/abc123"), 1);
}

fn another_kind_of_database_is_not_taken_by_accident() {
    let site = Site::start("mover");
    site.deploy(&["--no-smoke"]).succeeded();
    let sets = || site.proxy.count("Action=CreateChangeSet");
    let before = sets();
    std::fs::write(site.folder().join("database"), "").unwrap();
    site.deploy(&["--no-smoke"]).failed().has("--move-database").has("PostgreSQL would stay");
    assert_eq!(sets(), before);
    site.deploy(&["--no-smoke", "--move-database"]).succeeded();

    let output = "<Outputs><member><OutputKey>ClusterId</OutputKey><OutputValue>abc123</OutputValue></member>";
    site.proxy.inject("Action=DescribeStacks", usize::MAX, Fault::replace("<Outputs>", output));
    site.deploy(&["--no-smoke"]).succeeded();
    let before = sets();
    std::fs::write(site.folder().join("database"), "postgres://chat:pw@db.example.com/chat")
        .unwrap();
    let refused = site.deploy(&["--no-smoke"]);
    refused.failed().has("--move-database").has("aws dsql delete-cluster --identifier abc123");
    assert_eq!(sets(), before);
    site.deploy(&["--no-smoke", "--move-database"]).succeeded();
}
