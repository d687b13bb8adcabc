//! Brings the database up to date. No route leads here. A person invokes it:
//!
//! ```text
//! → {}                     ← {"steps_applied":8}
//! → {"action":"status"}    ← {"steps":10,"steps_pending":0,"database":"dsql","now":1795428900000}
//! ```
//!
//! A deployment does by a custom resource of CloudFormation, whose request holds the roles of the functions (`resource`).

mod callback;
mod resource;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    Error, Result,
    clock::Clock,
    settings::Settings,
    store::{Status, Store},
};

use resource::{Request, Wish};

/// How long before the next try when the database is away: a cluster or an IAM role may be new.
const PATIENCE: Duration = Duration::from_secs(1);

/// What of the time is kept for telling CloudFormation.
const TIME_TO_TELL: Duration = Duration::from_secs(15);

/// What an event may ask for.
const ALLOWED: &str = "an empty object migrates, {\"action\":\"status\"} tells how far the schema has come, and \
                       CloudFormation sends the request of a custom resource";

/// The function and what it needs.
pub struct Migrate {
    store: Store,
    clock: Clock,
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// Steps that were not applied before.
    pub steps_applied: usize,
}

/// What a person asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    action: Option<String>,
}

#[derive(Serialize)]
struct Now {
    #[serde(flatten)]
    status: Status,
    /// In milliseconds since the Unix epoch.
    now: i64,
}

impl Migrate {
    /// Takes what the function needs.
    pub fn new(settings: &Settings) -> Self {
        Self { store: settings.store(), clock: settings.clock() }
    }

    /// Does what the event asks for. `deadline` is when Lambda ends this, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When the event asks for something else, the database is away or refuses a step, or CloudFormation cannot be told
    /// what came of its request.
    pub async fn handle(&self, event: Value, deadline: u64) -> Result<Value> {
        if event.get("RequestType").is_some() || event.get("ResponseURL").is_some() {
            return self.serve_cloudformation(event, deadline).await;
        }
        let ask: Ask = serde_json::from_value(event).map_err(|error| {
            Error::Malformed(format!("The event is none that is known ({error}): {ALLOWED}."))
        })?;
        let answer = match ask.action.as_deref() {
            None => serde_json::to_value(self.migrate().await?),
            Some("status") => {
                let status = self.store.migration_status().await?;
                serde_json::to_value(Now { status, now: self.clock.now().0 })
            }
            Some(other) => {
                return Err(Error::Malformed(format!("There is no action {other:?}: {ALLOWED}.")));
            }
        };
        answer.map_err(Error::internal)
    }

    /// Applies the steps that are missing. Again, or twice at once, is fine.
    ///
    /// # Errors
    /// When the database is away or refuses a step.
    pub async fn migrate(&self) -> Result<Migrated> {
        Ok(Migrated { steps_applied: self.store.migrate(&self.clock).await? })
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Does what a request asks for and tells CloudFormation what came of it: it waits for an hour otherwise. Only when it
    /// can't be told this fails, so that Lambda asks again.
    async fn serve_cloudformation(&self, event: Value, deadline: u64) -> Result<Value> {
        let request = Request::read(&event)?;
        let outcome = match &request.wish {
            Ok(None) => Ok(None),
            Ok(Some(wish)) => self.grant(wish, self.time_until(deadline)).await.map(Some),
            Err(problem) => Err(problem.clone()),
        };
        if let Err(reason) = &outcome {
            tracing::error!(%reason, "the deployment fails");
        }
        let answer = request.answer(&outcome);
        callback::put(&request.response_url, &answer).await.map_err(Error::internal)?;
        Ok(json!(outcome.ok().flatten()))
    }

    fn time_until(&self, deadline: u64) -> Duration {
        let now = u64::try_from(self.clock.now().0).unwrap_or(0);
        Duration::from_millis(deadline.saturating_sub(now)).saturating_sub(TIME_TO_TELL)
    }

    /// Does what is wished for; again as long as the database is away and there is time. Says why it could not.
    async fn grant(&self, wish: &Wish, time: Duration) -> Result<Migrated, String> {
        if let Some(problem) = wish.problem_on(self.store.database()) {
            return Err(problem);
        }
        let mut last = None;
        let patiently = async {
            loop {
                match self.grant_now(wish).await {
                    Err(Error::Unavailable(cause)) => {
                        last = Some(shared::error::causes(&*cause));
                        tokio::time::sleep(PATIENCE).await;
                    }
                    outcome => break outcome,
                }
            }
        };
        match tokio::time::timeout(time, patiently).await {
            Ok(outcome) => outcome.map_err(|error| {
                let cause = std::error::Error::source(&error);
                cause.map_or_else(|| error.to_string(), shared::error::causes)
            }),
            Err(_elapsed) => Err(format!(
                "The database was not ready within {} seconds{}.",
                time.as_secs(),
                last.map_or_else(String::new, |cause| format!(": {cause}"))
            )),
        }
    }

    async fn grant_now(&self, wish: &Wish) -> Result<Migrated> {
        match wish {
            Wish::Schema { roles, roles_before } => {
                let migrated = self.migrate().await?;
                if let Some(roles) = roles {
                    self.store.keep_roles(roles, roles_before.as_ref()).await?;
                }
                Ok(migrated)
            }
            Wish::Tidiness => {
                self.store.take_stray_privileges().await?;
                Ok(Migrated { steps_applied: 0 })
            }
        }
    }
}
