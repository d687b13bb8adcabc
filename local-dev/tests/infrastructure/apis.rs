//! Routes, what they lead to, and who may call it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared::management::Management;

use super::{
    Test,
    stack::{EVERYTHING, Stack, Template, references, text},
};

pub(crate) const TESTS: &[Test] = &[
    ("every_route_has_its_integration_and_its_permission", every_route_is_complete),
    ("every_function_is_reached_in_one_way", every_function_is_reached),
    ("access_logs_hold_no_query_string", access_logs_hold_no_query_string),
    ("routes_are_throttled", routes_are_throttled),
    ("the_queue_is_read_in_parts_and_gives_up", the_queue_gives_up),
    ("what_is_said_of_a_shard_meanwhile_is_shown_together", the_queue_is_fifo),
    ("pushes_use_what_the_account_may_post", pushes_are_bound_by_the_account),
];

/// API Gateway waits no longer for a function. Source: API Gateway quotas (HTTP APIs 30 s, WebSocket APIs 29 s).
const INTEGRATION_SECS_MAX: u64 = 29;

/// Route keys of the HTTP API with their functions, out of the description that SAM writes.
fn http_routes(stack: &Stack) -> BTreeMap<String, String> {
    let mut routes = BTreeMap::new();
    for (path, methods) in stack.properties("ChatHttpApi")["Body"]["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let integration = &operation["x-amazon-apigateway-integration"];
            assert_eq!(integration["payloadFormatVersion"], "2.0", "{path}");
            assert_eq!(integration["type"], "aws_proxy", "{path}");
            let function = function_in(&integration["uri"]);
            routes.insert(format!("{} {path}", method.to_uppercase()), function);
        }
    }
    routes
}

fn websocket_routes(stack: &Stack) -> BTreeMap<String, String> {
    let mut routes = BTreeMap::new();
    for (id, route) in stack.of_kind("AWS::ApiGatewayV2::Route") {
        assert_eq!(route.properties["ApiId"], json!({ "Ref": "ChatWebSocketApi" }), "{id}");
        let target: Vec<String> = references(&route.properties["Target"]).into_iter().collect();
        let [integration] = target.as_slice() else { panic!("{id} has one target") };
        let integration = stack.properties(integration);
        assert_eq!(integration["IntegrationType"], "AWS_PROXY", "{id}");
        let function = function_in(&integration["IntegrationUri"]);
        routes.insert(text(&route.properties["RouteKey"]), function);
    }
    routes
}

/// The one function that an address names.
fn function_in(uri: &Value) -> String {
    let mut names = references(uri);
    names.retain(|name| !name.starts_with("AWS::"));
    assert_eq!(names.len(), 1, "{uri}");
    names.pop_first().unwrap()
}

fn every_route_is_complete(template: &Template) {
    for stack in [template.plain(), template.with(&EVERYTHING)] {
        let http = http_routes(&stack);
        let expected = [
            ("GET /auth/messages", "Messages"),
            ("GET /auth/presence", "Presence"),
            ("POST /auth/login", "Login"),
            ("POST /auth/logout", "Logout"),
            ("POST /auth/refresh", "Refresh"),
            ("POST /auth/register", "Register"),
        ];
        let expected = expected.map(|(key, function)| (key.to_owned(), function.to_owned()));
        assert_eq!(http, expected.into());
        let websocket = websocket_routes(&stack);
        let expected =
            [("$connect", "Connect"), ("$default", "Message"), ("$disconnect", "Disconnect")];
        let expected = expected.map(|(key, function)| (key.to_owned(), function.to_owned()));
        assert_eq!(websocket, expected.into());

        // Each permission is for one route of one API, and there is one for each.
        let mut allowed = BTreeSet::new();
        for (id, permission) in stack.of_kind("AWS::Lambda::Permission") {
            assert_eq!(permission.properties["Action"], "lambda:InvokeFunction", "{id}");
            assert_eq!(permission.properties["Principal"], "apigateway.amazonaws.com", "{id}");
            let function = function_in(&permission.properties["FunctionName"]);
            allowed.insert((function, source(&permission.properties["SourceArn"])));
        }
        let http = http.iter().map(|(key, function)| {
            let parts = key.replacen(' ', "", 1);
            // A permission has a star where a route has a parameter.
            let parts = parts.split('/').map(|part| if part.starts_with('{') { "*" } else { part });
            let route = parts.collect::<Vec<_>>().join("/");
            (function.clone(), format!("ChatHttpApi/*/{route}"))
        });
        let websocket = websocket
            .iter()
            .map(|(key, function)| (function.clone(), format!("ChatWebSocketApi/ws/{key}")));
        assert_eq!(allowed, http.chain(websocket).collect());
    }
}

/// The API, the stage and the route of a `SourceArn`.
fn source(arn: &Value) -> String {
    let (template, values) = match &arn["Fn::Sub"] {
        Value::Array(parts) => (text(&parts[0]), parts[1].clone()),
        template => (text(template), json!({})),
    };
    let mut route = template.rsplit_once(':').unwrap().1.to_owned();
    for (name, value) in values.as_object().unwrap() {
        let value = value["Ref"].as_str().map_or_else(|| text(value), str::to_owned);
        route = route.replace(&format!("${{{name}}}"), &value);
    }
    for api in ["ChatHttpApi", "ChatWebSocketApi"] {
        for reference in [format!("${{{api}}}"), format!("${{{api}.ApiId}}")] {
            route = route.replace(&reference, api);
        }
    }
    route
}

fn every_function_is_reached(template: &Template) {
    let stack = template.plain();
    let mut reached: Vec<String> =
        http_routes(&stack).into_values().chain(websocket_routes(&stack).into_values()).collect();
    for (_, mapping) in stack.of_kind("AWS::Lambda::EventSourceMapping") {
        reached.push(function_in(&mapping.properties["FunctionName"]));
    }
    reached.push(function_in(&stack.properties("Schema")["ServiceToken"]));
    assert_eq!(
        stack.properties("SchemaTidied")["ServiceToken"],
        stack.properties("Schema")["ServiceToken"]
    );
    reached.sort_unstable();
    let functions: Vec<&str> = stack.functions().map(|(id, ..)| id).collect();
    assert_eq!(reached, functions, "by a route, by the queue, or by the deployment");
    for (id, _, function) in stack.functions() {
        let timeout = function["Timeout"].as_u64().unwrap();
        let has_route = !["Broadcast", "Migrate"].contains(&id);
        assert!(!has_route || timeout < INTEGRATION_SECS_MAX, "{id} may take {timeout} s");
    }
}

fn access_logs_hold_no_query_string(template: &Template) {
    let stack = template.plain();
    let stages: Vec<_> = stack.of_kind("AWS::ApiGatewayV2::Stage").collect();
    assert_eq!(stages.len(), 2);
    for (id, stage) in stages {
        let format = text(&stage.properties["AccessLogSettings"]["Format"]);
        let line: Value = serde_json::from_str(&format).unwrap();
        for variable in line.as_object().unwrap().values() {
            // None of these holds a path with its query, a header, or what an authorizer knows.
            let known = [
                "$context.requestId",
                "$context.requestTime",
                "$context.routeKey",
                "$context.eventType",
                "$context.connectionId",
                "$context.status",
                "$context.error.message",
                "$context.integrationErrorMessage",
                "$context.responseLatency",
                "$context.integrationLatency",
                "$context.responseLength",
            ];
            assert!(known.contains(&variable.as_str().unwrap()), "{id}: {variable}");
        }
        let group = function_in(&stage.properties["AccessLogSettings"]["DestinationArn"]);
        assert_eq!(stack.properties(&group)["RetentionInDays"], "30", "{group}");
        // What API Gateway logs by itself would hold whole requests.
        assert_eq!(stage.properties["DefaultRouteSettings"]["DataTraceEnabled"], Value::Null);
        assert_eq!(stage.properties["DefaultRouteSettings"]["LoggingLevel"], Value::Null);
    }
}

fn routes_are_throttled(template: &Template) {
    let stack = template.plain();
    for (id, stage) in stack.of_kind("AWS::ApiGatewayV2::Stage") {
        let default = &stage.properties["DefaultRouteSettings"]["ThrottlingRateLimit"];
        let default = default.as_u64().unwrap();
        assert!(default < 10_000, "{id} takes all of the account's requests per second");
        let routes = stage.properties["RouteSettings"].as_object().unwrap();
        for (key, limits) in routes {
            assert!(limits["ThrottlingRateLimit"].as_u64().unwrap() < default, "{id} {key}");
            let is_route =
                http_routes(&stack).contains_key(key) || websocket_routes(&stack).contains_key(key);
            assert!(is_route, "{id}: there is no route {key}");
        }
    }
    for key in ["POST /auth/login", "POST /auth/register"] {
        let stage = stack.properties("ChatHttpApiApiGatewayDefaultStage");
        assert_eq!(stage["RouteSettings"][key]["ThrottlingRateLimit"], 100, "{key}");
    }
}

fn the_queue_gives_up(template: &Template) {
    let stack = template.plain();
    let mapping = stack.properties("BroadcastShards");
    assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(function_in(&mapping["EventSourceArn"]), "BroadcastQueue");
    let queue = stack.properties("BroadcastQueue");
    let dead_letters = &queue["RedrivePolicy"]["deadLetterTargetArn"];
    assert_eq!(function_in(dead_letters), "BroadcastDeadLetters");
    // A message must not be handed out again while it is worked on. Source: "Using Lambda with Amazon SQS".
    let timeout = stack.properties("Broadcast")["Timeout"].as_u64().unwrap();
    assert!(queue["VisibilityTimeout"].as_u64().unwrap() >= 6 * timeout);
    let kept = |queue: &str| stack.properties(queue)["MessageRetentionPeriod"].as_u64().unwrap();
    assert!(kept("BroadcastDeadLetters") > kept("BroadcastQueue"));
}

fn the_queue_is_fifo(template: &Template) {
    let stack = template.plain();
    // Lambda hands over one batch of a group at a time, of ten at most. Source: "Using Lambda with Amazon SQS", FIFO queues.
    assert_eq!(stack.properties("BroadcastShards")["BatchSize"], 10);
    let queue = stack.properties("BroadcastQueue");
    assert_eq!(queue["FifoQueue"], true);
    // A dead-letter queue must be of the same kind. Source: SQS developer guide, "Dead-letter queues".
    assert_eq!(stack.properties("BroadcastDeadLetters")["FifoQueue"], true);
    // The code says what is the same, and the queue isn't to be the bound. Source: "High throughput for FIFO queues".
    assert_ne!(queue["ContentBasedDeduplication"], true);
    assert_eq!(queue["DeduplicationScope"], "messageGroup");
    assert_eq!(queue["FifoThroughputLimit"], "perMessageGroupId");
}

fn pushes_are_bound_by_the_account(template: &Template) {
    // Posts of one account, and how long one takes at most, in seconds.
    const POSTS_PER_SECOND: f64 = 10_000.0;
    const POST_TIME: f64 = 0.015;
    // What one takes of a processor, in seconds, and the MB for which there is a whole one.
    const PROCESSOR_TIME: f64 = 52e-6;
    const PROCESSOR_MB: f64 = 1769.0;
    let stack = template.plain();
    let at_once = &stack.properties("BroadcastShards")["ScalingConfig"]["MaximumConcurrency"];
    let memory = &stack.properties("Broadcast")["MemorySize"];
    let [at_once, memory] = [at_once, memory].map(|number| number.as_f64().unwrap());
    let in_flight = u32::try_from(Management::DEFAULT_CONCURRENCY).unwrap();
    let by_time = f64::from(in_flight) / POST_TIME;
    let by_processor = memory / PROCESSOR_MB / PROCESSOR_TIME;
    let posts = at_once * by_time.min(by_processor);
    assert!(posts >= POSTS_PER_SECOND, "{posts} posts per second are less than there may be");
    // Nor so many that most of them are throttled.
    assert!(posts <= 2.0 * POSTS_PER_SECOND, "{posts} posts per second are tried");
}
