//! The CDN: one origin for the page and both APIs.

use std::process::{Command, Stdio};

use local_dev::static_files;
use serde_json::{Value, json};

use super::{
    Test,
    stack::{EVERYTHING, Stack, Template, references, text},
};

pub(crate) const TESTS: &[Test] = &[
    ("each_path_leads_to_its_origin", each_path_leads_to_its_origin),
    ("the_page_has_the_headers_that_local_dev_sends", the_page_has_its_headers),
    ("a_domain_gets_its_name_and_its_certificate", a_domain_is_served),
    ("sockets_are_for_the_pages_origin", sockets_are_for_the_pages_origin),
];

/// What needs Node, too.
pub(crate) const NODE_TESTS: &[Test] =
    &[("the_login_function_learns_the_viewers_address", the_viewers_address_is_passed)];

/// AWS's own policies. Source: CloudFront developer guide, "Use managed cache policies", "… origin request policies".
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
const ALL_VIEWER_EXCEPT_HOST_HEADER: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

fn config(stack: &Stack) -> &Value {
    &stack.properties("Distribution")["DistributionConfig"]
}

fn origin<'a>(stack: &'a Stack, id: &str) -> &'a Value {
    let origins = config(stack)["Origins"].as_array().unwrap();
    origins.iter().find(|origin| origin["Id"] == id).unwrap()
}

fn behavior<'a>(stack: &'a Stack, path: &str) -> &'a Value {
    let behaviors = config(stack)["CacheBehaviors"].as_array().unwrap();
    behaviors.iter().find(|behavior| behavior["PathPattern"] == path).unwrap()
}

fn each_path_leads_to_its_origin(template: &Template) {
    let stack = template.plain();
    let page = &config(&stack)["DefaultCacheBehavior"];
    assert_eq!(page["TargetOriginId"], "page");
    assert_eq!(page["CachePolicyId"], CACHING_OPTIMIZED);
    assert_eq!(page["AllowedMethods"], json!(["GET", "HEAD"]));
    assert_eq!(config(&stack)["DefaultRootObject"], "index.html");
    assert!(origin(&stack, "page")["OriginAccessControlId"].is_object());
    for (path, id, api) in
        [("/auth/*", "http", "ChatHttpApi"), ("/ws", "websocket", "ChatWebSocketApi")]
    {
        let behavior = behavior(&stack, path);
        assert_eq!(behavior["TargetOriginId"], id);
        assert_eq!(
            behavior["ViewerProtocolPolicy"], "https-only",
            "a token is not sent in the clear"
        );
        assert_eq!(behavior["CachePolicyId"], CACHING_DISABLED);
        // Tokens stand in Authorization, Sec-WebSocket-Protocol or the query; API Gateway finds the API by Host.
        assert_eq!(behavior["OriginRequestPolicyId"], ALL_VIEWER_EXCEPT_HOST_HEADER);
        let origin = origin(&stack, id);
        assert!(references(&origin["DomainName"]).contains(api), "{path}");
        assert_eq!(origin["CustomOriginConfig"]["OriginProtocolPolicy"], "https-only");
        assert_eq!(origin["OriginPath"], Value::Null, "{path} is the same on both sides");
    }
    let methods = behavior(&stack, "/auth/*")["AllowedMethods"].as_array().unwrap();
    assert!(methods.contains(&"POST".into()));
    // The stage is the path.
    assert_eq!(stack.properties("ChatWebSocketApiwsStage")["StageName"], "ws");
    // What it writes would hold query strings, and with them tokens.
    assert_eq!(config(&stack)["Logging"], Value::Null);
}

fn the_page_has_its_headers(template: &Template) {
    let stack = template.plain();
    let page = &config(&stack)["DefaultCacheBehavior"]["ResponseHeadersPolicyId"]["Ref"];
    let policy = &stack.properties(page.as_str().unwrap())["ResponseHeadersPolicyConfig"];
    let security = &policy["SecurityHeadersConfig"];
    let custom = policy["CustomHeadersConfig"]["Items"].as_array().unwrap();
    let value = |name: &str| match name {
        "content-security-policy" => &security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
        "referrer-policy" => &security["ReferrerPolicy"]["ReferrerPolicy"],
        "x-frame-options" => &security["FrameOptions"]["FrameOption"],
        name => &custom.iter().find(|header| header["Header"] == name).unwrap()["Value"],
    };
    for (name, expected) in static_files::HEADERS {
        match name.as_str() {
            // It has no other value.
            "x-content-type-options" => assert!(security["ContentTypeOptions"].is_object()),
            // Files bring their own when they are uploaded.
            "cache-control" => {}
            name => assert_eq!(value(name), expected, "{name}"),
        }
    }
    assert!(
        security["StrictTransportSecurity"]["AccessControlMaxAgeSec"].as_u64().unwrap()
            >= 31_536_000
    );
    for part in security.as_object().unwrap().values().chain(custom) {
        assert_eq!(part["Override"], true, "{part}");
    }
}

/// The CDN's own function runs here as it runs there: it is a script.
fn the_viewers_address_is_passed(template: &Template) {
    let stack = template.plain();
    let association = &behavior(&stack, "/auth/*")["FunctionAssociations"][0];
    assert_eq!(association["EventType"], "viewer-request");
    assert!(references(&association["FunctionARN"]).contains("ViewerAddress"));
    let shown = &origin(&stack, "http")["OriginCustomHeaders"][0];
    assert_eq!(shown["HeaderName"], "x-cdn-secret");
    assert_eq!(
        shown["HeaderValue"],
        stack.properties("Login")["Environment"]["Variables"]["CDN_SECRET"]
    );

    let code = text(&stack.properties("ViewerAddress")["FunctionCode"]);
    let event = json!({
        "viewer": { "ip": "198.51.100.7" },
        "request": {
            "method": "POST",
            "headers": { "x-viewer-address": { "value": "192.0.2.66" }, "accept": { "value": "*/*" } },
        },
    });
    let script = format!("{code}\nprocess.stdout.write(JSON.stringify(handler({event})));");
    let mut node = Command::new("node");
    let output = node.args(["--eval", &script]).stdin(Stdio::null()).output().unwrap();
    let request: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "method": "POST",
        "headers": { "x-viewer-address": { "value": "198.51.100.7" }, "accept": { "value": "*/*" } },
    });
    assert_eq!(request, expected);
}

fn a_domain_is_served(template: &Template) {
    let plain = template.plain();
    assert_eq!(config(&plain)["Aliases"], Value::Null);
    assert_eq!(
        config(&plain)["ViewerCertificate"],
        json!({ "CloudFrontDefaultCertificate": true })
    );
    assert!(!plain.resources.contains_key("Record"));
    let stack = template.with(&EVERYTHING);
    assert_eq!(config(&stack)["Aliases"], json!(["chat.example.com"]));
    let certificate = &config(&stack)["ViewerCertificate"];
    assert_eq!(certificate["SslSupportMethod"], "sni-only");
    assert_eq!(certificate["MinimumProtocolVersion"], "TLSv1.2_2021");
    let records = stack.properties("Record")["RecordSets"].as_array().unwrap();
    let kinds: Vec<&Value> = records.iter().map(|record| &record["Type"]).collect();
    assert_eq!(kinds, ["A", "AAAA"]);
    assert_eq!(text(&stack.outputs["Url"]["Value"]["Fn::Sub"]), "https://${Domain}");
}

fn sockets_are_for_the_pages_origin(template: &Template) {
    let origins = |stack: &Stack| {
        let join =
            &stack.properties("Connect")["Environment"]["Variables"]["ALLOWED_ORIGINS"]["Fn::Join"];
        assert_eq!(join[0], ",");
        let parts = join[1].as_array().unwrap().iter();
        parts
            .map(|part| part["Fn::Sub"].as_str().map_or_else(|| text(part), str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(origins(&template.plain()), ["https://${Distribution.DomainName}"]);
    let stack = template.with(&EVERYTHING);
    let expected = [
        "https://${Distribution.DomainName}",
        "https://${Domain}",
        "https://a.example,https://b.example",
    ];
    assert_eq!(origins(&stack), expected);
    let cors = &stack.properties("ChatHttpApi")["Body"]["x-amazon-apigateway-cors"];
    assert!(cors["allowOrigins"].is_object() || cors["allowOrigins"].is_array(), "{cors}");
    let plain = template.plain();
    assert_eq!(plain.properties("ChatHttpApi")["Body"]["x-amazon-apigateway-cors"], Value::Null);
}
