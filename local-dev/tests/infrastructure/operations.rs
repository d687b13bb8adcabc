//! Alarms, the dashboard, the outputs that tools read.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use shared::metrics::{Count, Time};

use super::{
    Test,
    stack::{EVERYTHING, Stack, Template, references, text},
};

pub(crate) const TESTS: &[Test] = &[
    ("alarms_are_there_for_whoever_is_told_of_them", alarms_are_told),
    ("every_alarm_is_explained", every_alarm_is_explained),
    ("the_dashboard_shows_what_there_is", the_dashboard_shows_what_there_is),
    ("outputs_say_where_things_are", outputs_say_where_things_are),
];

/// Metrics that the functions write.
fn own_metrics() -> Vec<&'static str> {
    let counts = [
        Count::ColdStarts,
        Count::Deliveries,
        Count::Failed,
        Count::Gone,
        Count::LoginFailures,
        Count::LoginsThrottled,
        Count::Queued,
    ];
    let times = [Time::FanOut, Time::Hash, Time::Store];
    counts.map(Count::name).into_iter().chain(times.map(Time::name)).collect()
}

fn manual() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    fs::read_to_string(file).unwrap()
}

fn alarms_are_told(template: &Template) {
    let plain = template.plain();
    assert_eq!(
        plain.of_kind("AWS::CloudWatch::Alarm").count(),
        0,
        "an alarm costs, and nobody would hear it"
    );
    assert_eq!(plain.of_kind("AWS::SNS::Topic").count(), 0);
    let stack = template.with(&EVERYTHING);
    let subscription = &stack.properties("AlarmTopic")["Subscription"][0];
    assert_eq!(subscription["Endpoint"], "ops@example.com");
    let alarms: Vec<_> = stack.of_kind("AWS::CloudWatch::Alarm").collect();
    let names: Vec<&str> = alarms.iter().map(|(id, _)| *id).collect();
    let expected = [
        "BroadcastAgeAlarm",
        "DeadLettersAlarm",
        "FunctionErrorsAlarm",
        "FunctionThrottlesAlarm",
        "HttpApi5xxAlarm",
        "LoginFailuresAlarm",
        "WebSocketErrorsAlarm",
    ];
    assert_eq!(names, expected);
    for (id, alarm) in alarms {
        assert_eq!(
            alarm.properties["TreatMissingData"], "notBreaching",
            "{id}: nobody chats, all is well"
        );
        for actions in ["AlarmActions", "OKActions"] {
            assert!(references(&alarm.properties[actions]).contains("AlarmTopic"), "{id}");
        }
    }
    // Every function that a user waits for is in both.
    for alarm in ["FunctionErrorsAlarm", "FunctionThrottlesAlarm"] {
        let watched: BTreeSet<String> = references(&stack.properties(alarm)["Metrics"]);
        let functions =
            stack.functions().map(|(id, ..)| id.to_owned()).filter(|id| id != "Migrate");
        assert_eq!(watched, functions.collect(), "{alarm}");
    }
    let logins = stack.properties("LoginFailuresAlarm");
    assert_eq!(logins["Namespace"]["Ref"], "AWS::StackName");
    assert!(own_metrics().contains(&logins["MetricName"].as_str().unwrap()));
}

fn every_alarm_is_explained(template: &Template) {
    let manual = manual();
    for (id, _) in template.with(&EVERYTHING).of_kind("AWS::CloudWatch::Alarm") {
        assert!(manual.contains(&format!("### {id}\n")), "docs/operations.md doesn't explain {id}");
    }
    for metric in own_metrics() {
        assert!(
            manual.contains(&format!("`{metric}`")),
            "docs/operations.md doesn't explain {metric}"
        );
    }
}

fn the_dashboard_shows_what_there_is(template: &Template) {
    let stack = template.plain();
    let body = &stack.properties("Dashboard")["DashboardBody"]["Fn::Sub"];
    for name in references(&stack.properties("Dashboard")["DashboardBody"]) {
        assert!(
            name.starts_with("AWS::") || stack.resources.contains_key(&name),
            "there is no {name}"
        );
    }
    let board: Value = serde_json::from_str(body[0].as_str().unwrap()).unwrap();
    let widgets = board["widgets"].as_array().unwrap();
    assert_eq!(widgets.len(), 7);
    for widget in widgets {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            if metric[0] == "${AWS::StackName}" {
                let name = metric[1].as_str().unwrap();
                assert!(own_metrics().contains(&name), "no function writes {name}");
                let function = metric[3].as_str().unwrap();
                assert!(stack.functions().any(|(_, name, _)| name == function), "{function}");
            }
        }
    }
}

fn outputs_say_where_things_are(template: &Template) {
    let names = |stack: &Stack| {
        let mut names: Vec<String> = stack.outputs.keys().cloned().collect();
        names.sort_unstable();
        names
    };
    let expected = [
        "ClusterId",
        "ConnectionsEndpoint",
        "DashboardUrl",
        "DistributionDomain",
        "DistributionId",
        "HttpApiUrl",
        "JwtSecretArn",
        "MigrateFunction",
        "SiteBucket",
        "Url",
        "WebSocketUrl",
    ];
    assert_eq!(names(&template.plain()), expected);
    assert_eq!(names(&template.with(&super::stack::POSTGRES)), expected[1..]);
    for (name, output) in template.plain().outputs {
        assert!(output["Description"].as_str().is_some_and(|words| words.ends_with('.')), "{name}");
        assert!(!text(&output["Value"]).contains("resolve:"), "{name} would show a secret");
    }
}
