//! What runs the functions that a template names: this program, or their own.

use std::{collections::HashMap, sync::Arc};

use gateway::Function;
use lambda::ConfigError;
use template::Template;
use tokio_rustls::rustls::ServerConfig;

use crate::{bootstraps::Bootstraps, chat::Chat, environment::Environment};

/// What runs functions.
pub enum Runner {
    /// They are part of this program.
    InProcess(Chat),
    /// They are programs of their own.
    Bootstraps(Bootstraps, Box<Environment>),
}

/// Why a function cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The template names a function that is not part of this program.
    #[error(
        "{logical_id} (line {line}): no function {binary:?} is built in; \
         add it to local-dev/src/in_process.rs, or build all and name the folder with --functions"
    )]
    NotBuiltIn {
        /// Its name in the template.
        logical_id: String,
        /// Its binary.
        binary: String,
        /// Where the template describes it.
        line: usize,
    },
    /// A bootstrap is missing, or cannot be run as the template says.
    #[error("{logical_id} (line {line}): {source}")]
    Bootstrap {
        /// Its name in the template.
        logical_id: String,
        /// Where the template describes it.
        line: usize,
        /// What is wrong.
        source: ConfigError,
    },
}

impl Runner {
    /// The functions of `template` to which a route or a queue leads, by their logical ids.
    ///
    /// # Errors
    /// When one of them cannot be run.
    pub fn functions(
        &mut self,
        template: &Template,
    ) -> Result<HashMap<String, Function>, RunError> {
        let mut functions = HashMap::new();
        for function in template.functions.iter().filter(|function| is_used(template, function)) {
            functions.insert(function.logical_id.clone(), self.function(function)?);
        }
        Ok(functions)
    }

    fn function(&mut self, function: &template::Function) -> Result<Function, RunError> {
        let template::Function { logical_id, name, binary, line, .. } = function;
        match self {
            Self::InProcess(chat) => match chat.function(binary) {
                Some(function) => Ok(function.named(name)),
                None => Err(RunError::NotBuiltIn {
                    logical_id: logical_id.clone(),
                    binary: binary.clone(),
                    line: *line,
                }),
            },
            Self::Bootstraps(bootstraps, environment) => {
                let started = bootstraps.function(function, environment.of(function));
                let started = started.map_err(|source| RunError::Bootstrap {
                    logical_id: logical_id.clone(),
                    line: *line,
                    source,
                })?;
                Ok(started.of_program(binary))
            }
        }
    }

    /// What the gateway needs so that functions can call it by `https://…`.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        match self {
            Self::InProcess(_) => None,
            Self::Bootstraps(_, environment) => Some(Arc::clone(&environment.certificate.server)),
        }
    }

    /// Ends what runs them: instances, and connections to the database.
    pub async fn shutdown(&self) {
        match self {
            Self::InProcess(chat) => chat.close().await,
            Self::Bootstraps(bootstraps, _) => bootstraps.shutdown().await,
        }
    }
}

/// Whether a route or a queue leads to a function.
fn is_used(template: &Template, function: &template::Function) -> bool {
    let http =
        template.http_api.iter().flat_map(|api| api.routes.iter().map(|route| &route.function));
    let websocket = template.websocket_apis.iter().flat_map(|api| {
        let routes = api.routes.iter().map(|route| &route.function);
        routes.chain(api.authorizer.iter().map(|authorizer| &authorizer.function))
    });
    let queues = template.event_sources.iter().map(|source| &source.function);
    http.chain(websocket).chain(queues).any(|id| *id == function.logical_id)
}
