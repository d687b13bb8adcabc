//! What stages have: a name, variables and limits.

use crate::{
    model::Throttling,
    problem::Problem,
    property::{Fates, Property},
    report::Report,
};

const FATES: Fates = Fates {
    of: "RouteSettings",
    read: &["ThrottlingBurstLimit", "ThrottlingRateLimit"],
    passed_over: &["DataTraceEnabled", "DetailedMetricsEnabled", "LoggingLevel"],
    others: &[],
};

/// The stage of an API.
#[derive(Default)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) throttling: Throttling,
    pub(crate) route_settings: Vec<RouteSettings>,
}

/// What one route has in place of the API's.
pub(crate) struct RouteSettings {
    pub(crate) key: String,
    pub(crate) throttling: Throttling,
    /// Where the template says so, for the case that there is no such route.
    pub(crate) path: String,
    pub(crate) line: usize,
}

/// Reads the properties that stages of all kinds have.
pub(crate) fn read(
    properties: &Property<'_>,
    default_name: &str,
    report: &mut Report,
) -> Result<Stage, Problem> {
    let mut stage = Stage { name: default_name.to_owned(), ..Stage::default() };
    if let Some(name) = properties.get("StageName") {
        name.text()?.clone_into(&mut stage.name);
    }
    let word = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let is_word = (1..=128).contains(&stage.name.len()) && stage.name.chars().all(word);
    if !is_word && stage.name != "$default" {
        let message = format!(
            "{:?} is not a stage, it takes $default or 1 to 128 letters, digits, hyphens and underscores",
            stage.name
        );
        return Err(properties.problem(message));
    }
    if let Some(variables) = properties.get("StageVariables") {
        for (entry, variable) in variables.map()?.entries() {
            stage.variables.push((entry.key.clone(), variable.text()?.to_owned()));
        }
    }
    if let Some(settings) = properties.get("DefaultRouteSettings") {
        stage.throttling = throttling(settings, report)?;
    }
    if let Some(settings) = properties.get("RouteSettings") {
        for (entry, settings) in settings.map()?.entries() {
            stage.route_settings.push(RouteSettings {
                key: entry.key.clone(),
                path: settings.path.clone(),
                line: entry.line,
                throttling: throttling(settings, report)?,
            });
        }
    }
    Ok(stage)
}

/// Reads settings of a route, or of all routes.
pub(crate) fn throttling(
    settings: Property<'_>,
    report: &mut Report,
) -> Result<Throttling, Problem> {
    let settings = settings.map()?;
    FATES.announce(&settings, report);
    let rate = settings.get("ThrottlingRateLimit");
    let burst = settings.get("ThrottlingBurstLimit");
    Ok(Throttling {
        rate: rate.map(|rate| rate.number(&(0.0..=1e9), "requests per second")).transpose()?,
        burst: burst.map(|burst| burst.number(&(0..=u32::MAX), "requests")).transpose()?,
    })
}

impl Throttling {
    /// These limits, and where there are none, those.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { rate: self.rate.or(other.rate), burst: self.burst.or(other.burst) }
    }
}
