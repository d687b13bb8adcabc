//! Where the facts are known from.

use crate::probe::Source;

macro_rules! sources {
    ($($name:ident = $title:literal, $url:literal;)+) => {
        $(pub(crate) static $name: Source = Source { title: $title, url: $url };)+
    };
}

sources! {
    CAPTURED = "captured traffic", "";
    UNKNOWN = "nothing published", "";
    WS_EVENTS = "Set up a WebSocket API integration request in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-integration-requests.html";
    WS_MAPPING = "WebSocket API mapping template reference for API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html";
    WS_AUTHORIZER = "Control access to WebSocket APIs with AWS Lambda REQUEST authorizers",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html";
    WS_BINARY = "Binary media types for WebSocket APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-binary-media-types.html";
    WS_CONNECT = "Manage connected users and client apps: $connect and $disconnect routes",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html";
    WS_SUBPROTOCOL = "Set up a $connect route that requires a WebSocket subprotocol in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-connect-route-subprotocol.html";
    WS_OVERVIEW = "Overview of WebSocket APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html";
    WS_ROUTES = "Create routes for WebSocket APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-routes.html";
    WS_INTEGRATIONS = "Integrations for WebSocket APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-routes-integrations.html";
    WS_CONNECTIONS = "Use @connections commands in your backend service",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html";
    WS_QUOTAS = "Quotas for configuring and running a WebSocket API in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html";
    WS_PROTECT = "Protect your WebSocket APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-protect.html";
    HTTP_LAMBDA = "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html";
    HTTP_ROUTES = "Create routes for HTTP APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html";
    HTTP_CORS = "Configure CORS for HTTP APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html";
    HTTP_QUOTAS = "Quotas for configuring and running an HTTP API in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html";
    HTTP_THROTTLE = "Throttle requests to your HTTP APIs for better throughput in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html";
    HTTP_TROUBLE = "Troubleshooting issues with HTTP API Lambda integrations",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html";
    MANAGEMENT_MODEL = "Smithy model of apigatewaymanagementapi 2018-11-29",
        "https://github.com/aws/api-models-aws";
    RUST_FIXTURES = "events recorded by the AWS Lambda Rust runtime's project",
        "https://github.com/aws/aws-lambda-rust-runtime/tree/main/lambda-events/src/fixtures";
    RUST_RUNTIME = "AWS Lambda Rust runtime",
        "https://github.com/aws/aws-lambda-rust-runtime";
    LAMBDA_LIFECYCLE = "Understanding the Lambda execution environment lifecycle",
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html";
    LAMBDA_RUNTIME_API = "Using the Lambda runtime API for custom runtimes",
        "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html";
    LAMBDA_VARIABLES = "Working with Lambda environment variables",
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html";
    LAMBDA_QUOTAS = "Lambda quotas",
        "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html";
    GONE = "How do I resolve HTTP 410 errors from API Gateway WebSocket APIs",
        "https://repost.aws/knowledge-center/410-gone-api-gateway";
    ORDER = "re:Post: order of messages of a WebSocket API",
        "https://repost.aws/ja/questions/QUa2N5ZwL4QjSFuJkuI4nGcg";
    POST_ORDER = "re:Post: order of posts to @connections",
        "https://repost.aws/questions/QUo2AXrcKYT0arTRwBNjzMdA";
    SET_COOKIE = "re:Post: Set-Cookie in the answer of $connect",
        "https://repost.aws/questions/QUbewEWvRiSr62tfjwg0ENGQ";
    WS_AUTHORIZER_ANSWERS = "re:Post: answers of WebSocket authorizers",
        "https://repost.aws/questions/QUaWyP198zQpSVDDd_YlNE8g";
    BREF_SAMPLES = "captured traffic: bref's recorded answers of @connections",
        "https://github.com/brefphp/bref/tree/master/tests/Websocket/Samples";
    BREF_773 = "bref: pull request 773", "https://github.com/brefphp/bref/pull/773";
    BOTO3_3789 = "captured traffic: boto3, issue 3789",
        "https://github.com/boto/boto3/issues/3789";
    PYWS_1065 = "captured traffic: python-websockets, issue 1065",
        "https://github.com/python-websockets/websockets/issues/1065";
    CHAT_24 = "captured traffic: simple-websockets-chat-app, issue 24",
        "https://github.com/aws-samples/simple-websockets-chat-app/issues/24";
    CHAT_49 = "captured traffic: simple-websockets-chat-app, issue 49",
        "https://github.com/aws-samples/simple-websockets-chat-app/issues/49";
    SLS_WS_12 = "captured traffic: serverless-websockets-plugin, issue 12",
        "https://github.com/serverless/serverless-websockets-plugin/issues/12";
    SLS_WS_13 = "captured traffic: serverless-websockets-plugin, issue 13",
        "https://github.com/serverless/serverless-websockets-plugin/issues/13";
    ALG_107 = "captured traffic: aws-lambda-graphql, issue 107",
        "https://github.com/michalkvasnicak/aws-lambda-graphql/issues/107";
    MANGUM_128 = "captured traffic: mangum, issue 128",
        "https://github.com/Kludex/mangum/issues/128";
    DART_13 = "captured traffic: dvmatyun/web_socket, issue 13",
        "https://github.com/dvmatyun/web_socket/issues/13";
    SNC_3 = "captured traffic: ServerlessNetworkingClients, issue 3",
        "https://github.com/serverlessunicorn/ServerlessNetworkingClients/issues/3";
    YAI333_2 = "React-Chat-App, issue 2",
        "https://github.com/yai333/React-Chat-App-using-AWS-API-Gateway-Websocket-and-Serverless-Framework/issues/2";
    AWSCURL_61 = "captured traffic: awscurl, issue 61", "https://github.com/okigan/awscurl/issues/61";
    CPP_1553 = "captured traffic: aws-sdk-cpp, issue 1553",
        "https://github.com/aws/aws-sdk-cpp/issues/1553";
    BRAIN_29 = "captured traffic: Amazon-Fidgetology, issue 29",
        "https://github.com/brain-power/Brain-Power-Amazon-Fidgetology/issues/29";
    MINISTACK_766 = "captured traffic: ministack's comparison with AWS, pull request 766",
        "https://github.com/ministackorg/ministack/pull/766";
    FLOCI_2172 = "captured traffic: floci, issue 2172", "https://github.com/floci-io/floci/issues/2172";
    CORTEX_1225 = "captured traffic: cortex, issue 1225",
        "https://github.com/cortexlabs/cortex/issues/1225";
    SST_2232 = "captured traffic: sst, issue 2232", "https://github.com/sst/sst/issues/2232";
    DOTNET_TEST_TOOL = "AWS's Lambda test tool for .NET, whose events are compared with those of live APIs",
        "https://github.com/aws/aws-lambda-dotnet/tree/master/Tools/LambdaTestTool-v2";
    HOTSOCK = "Hotsock: keeping connections alive", "https://hotsock.io/docs/connections/keep-alive";
    CORS_TUTORIAL = "Steve Kinney: API Gateway CORS configuration",
        "https://stevekinney.com/courses/aws-frontend/api-gateway-cors-configuration";
    SLS_OFFLINE = "serverless-offline's tests against AWS",
        "https://github.com/dherault/serverless-offline";
    RFC_6455 = "RFC 6455: The WebSocket Protocol", "https://www.rfc-editor.org/rfc/rfc6455";
}
