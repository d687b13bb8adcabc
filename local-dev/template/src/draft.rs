//! APIs while their resources are being put together, and what must be true when they are.

use std::collections::BTreeMap;

use crate::{
    model::{Cors, HttpApi, HttpRoute, Template, Throttling, WebSocketApi, WebSocketRoute},
    names,
    problem::Problem,
    report::Report,
    resource::Resource,
    stage::{RouteSettings, Stage},
};

/// An API whose parts may still be missing.
pub(crate) struct Draft {
    pub(crate) api: Api,
    /// Of an HTTP API: who lets requests in where a route doesn't say.
    pub(crate) default_authorizer: Option<String>,
    /// Of a WebSocket API, one for each route.
    pub(crate) answers: Vec<Answers>,
    route_settings: Vec<RouteSettings>,
    has_stage: bool,
}

pub(crate) enum Api {
    Http(HttpApi),
    WebSocket(WebSocketApi),
}

/// What a route of a WebSocket API does with the function's answer.
pub(crate) struct Answers {
    /// What `!Ref` of the route gives.
    pub(crate) route_id: String,
    /// The path and the line of its `RouteResponseSelectionExpression`.
    pub(crate) selected: Option<(String, usize)>,
    /// The logical id and the line of its route response.
    pub(crate) response: Option<(String, usize)>,
}

impl Draft {
    /// An HTTP API without stage and routes.
    pub(crate) fn http(resource: &Resource<'_>, cors: Option<Cors>) -> Self {
        Self::new(Api::Http(HttpApi {
            logical_id: resource.id.to_owned(),
            api_id: names::api_id(resource.id),
            stage: String::new(),
            stage_variables: Vec::new(),
            routes: Vec::new(),
            cors,
            throttling: Throttling::default(),
            line: resource.line,
        }))
    }

    /// A WebSocket API without stage and routes.
    pub(crate) fn websocket(resource: &Resource<'_>, route_selection_expression: String) -> Self {
        Self::new(Api::WebSocket(WebSocketApi {
            logical_id: resource.id.to_owned(),
            api_id: names::api_id(resource.id),
            stage: String::new(),
            stage_variables: Vec::new(),
            route_selection_expression,
            routes: Vec::new(),
            authorizer: None,
            throttling: Throttling::default(),
            line: resource.line,
        }))
    }

    fn new(api: Api) -> Self {
        Self {
            api,
            default_authorizer: None,
            answers: Vec::new(),
            route_settings: Vec::new(),
            has_stage: false,
        }
    }

    pub(crate) fn logical_id(&self) -> &str {
        match &self.api {
            Api::Http(api) => &api.logical_id,
            Api::WebSocket(api) => &api.logical_id,
        }
    }

    pub(crate) fn api_id(&self) -> &str {
        match &self.api {
            Api::Http(api) => &api.api_id,
            Api::WebSocket(api) => &api.api_id,
        }
    }

    pub(crate) fn has_stage(&self) -> bool {
        self.has_stage
    }

    pub(crate) fn set_stage(&mut self, stage: Stage) {
        self.has_stage = true;
        self.route_settings = stage.route_settings;
        match &mut self.api {
            Api::Http(api) => {
                api.stage = stage.name;
                api.stage_variables = stage.variables;
                api.throttling = stage.throttling;
            }
            Api::WebSocket(api) => {
                api.stage = stage.name;
                api.stage_variables = stage.variables;
                api.throttling = stage.throttling;
            }
        }
    }

    /// The names and lines of the routes.
    fn routes(&self) -> Vec<(String, usize)> {
        match &self.api {
            Api::Http(api) => api.routes.iter().map(|route| (unnamed(route), route.line)).collect(),
            Api::WebSocket(api) => {
                api.routes.iter().map(|route| (route.key.clone(), route.line)).collect()
            }
        }
    }
}

/// The route's key without the names of its path parameters, by which routes don't differ.
fn unnamed(route: &HttpRoute) -> String {
    let key = route.to_string();
    let segments = key.split('/').map(|segment| match segment {
        segment if segment.starts_with('{') && segment.ends_with("+}") => "{+}",
        segment if segment.starts_with('{') => "{}",
        segment => segment,
    });
    segments.collect::<Vec<&str>>().join("/")
}

/// Holds the APIs against each other and puts them into the template.
pub(crate) fn finish(drafts: Vec<Draft>, template: &mut Template, report: &mut Report) {
    // What hasn't been read is reported; that it is missing then says nothing.
    let is_complete = report.errors.is_empty();
    let mut stages: BTreeMap<String, String> = BTreeMap::new();
    for mut draft in drafts {
        check_routes(&draft, report);
        settle_answers(&mut draft, report);
        settle_limits(&mut draft, report);
        let logical_id = draft.logical_id().to_owned();
        let (stage, line) = match &draft.api {
            Api::Http(api) => (api.stage.clone(), api.line),
            Api::WebSocket(api) => (api.stage.clone(), api.line),
        };
        if !draft.has_stage {
            let message = "the API has no AWS::ApiGatewayV2::Stage, so nobody can reach it";
            report.errors.extend(is_complete.then(|| Problem::new(logical_id, line, message)));
            continue;
        }
        if let (Api::Http(_), Some(other)) = (&draft.api, &template.http_api) {
            let message = format!(
                "{} is an HTTP API as well; local-dev has one of them, give all routes the same ApiId",
                other.logical_id
            );
            report.errors.push(Problem::new(logical_id, line, message));
            continue;
        }
        if let Some(other) = stages.insert(stage.clone(), logical_id.clone()) {
            let message = format!(
                "{other} has the stage {stage:?} as well; local-dev has one address for all APIs, where the stage \
                 tells them apart: give one of them another StageName here, for example by a parameter \
                 (StageName: !Ref NAME, and --parameter NAME=VALUE)"
            );
            report.errors.push(Problem::new(logical_id, line, message));
            continue;
        }
        match draft.api {
            Api::Http(api) => template.http_api = Some(api),
            Api::WebSocket(api) => template.websocket_apis.push(api),
        }
    }
}

fn check_routes(draft: &Draft, report: &mut Report) {
    let mut seen = BTreeMap::new();
    for (key, line) in draft.routes() {
        if let Some(other) = seen.insert(key.clone(), line) {
            let message = format!("the route {key} is there twice, see line {other}");
            report.errors.push(Problem::new(draft.logical_id(), line, message));
        }
    }
}

/// A function's answer goes to the client if the route selects a response, and there is one.
fn settle_answers(draft: &mut Draft, report: &mut Report) {
    let Api::WebSocket(api) = &mut draft.api else { return };
    for (route, answers) in api.routes.iter_mut().zip(&draft.answers) {
        match (&answers.selected, &answers.response) {
            (Some(_), Some(_)) => route.two_way = true,
            (Some((path, line)), None) => report.warn(
                path,
                *line,
                "the route has no AWS::ApiGatewayV2::RouteResponse, so what its function answers is not sent",
            ),
            (None, Some((id, line))) => report.warn(
                id,
                *line,
                format!(
                    "the route {} has no RouteResponseSelectionExpression, so what its function answers is not sent",
                    route.key
                ),
            ),
            (None, None) => {}
        }
    }
}

/// Gives routes the limits that the stage has for them.
fn settle_limits(draft: &mut Draft, report: &mut Report) {
    for settings in std::mem::take(&mut draft.route_settings) {
        let throttling = match &mut draft.api {
            Api::Http(api) => api
                .routes
                .iter_mut()
                .find(|route| route.to_string() == settings.key)
                .map(|HttpRoute { throttling, .. }| throttling),
            Api::WebSocket(api) => api
                .routes
                .iter_mut()
                .find(|route| route.key == settings.key)
                .map(|WebSocketRoute { throttling, .. }| throttling),
        };
        let Some(throttling) = throttling else {
            let message = format!("{} has no route {}", draft.logical_id(), settings.key);
            report.errors.push(Problem::new(settings.path, settings.line, message));
            continue;
        };
        *throttling = throttling.or(settings.throttling);
    }
}
