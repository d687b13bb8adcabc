//! The environment variables of compiled functions.

use std::{collections::BTreeMap, path::Path};

use gateway::Credentials;
use secrecy::ExposeSecret;
use shared::settings::Lookup;
use template::Variable;

use crate::{certificate::Certificate, queues::ENDPOINT_VARIABLE, statement};

/// The name under which the variables for all functions stand. The format of the file is SAM's.
const ALL: &str = "Parameters";

/// Environment variables that are set for one run, by the functions that get them. They go before all others, and need not
/// be in the template.
#[derive(Default)]
pub struct EnvVars(BTreeMap<String, BTreeMap<String, String>>);

/// Why such a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "--env-vars {file}: {problem}; it takes JSON of the form {{\"Function\": {{\"NAME\": \"value\"}}}}"
)]
pub struct EnvVarsError {
    file: String,
    problem: String,
}

impl EnvVars {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else.
    pub fn read(file: &Path) -> Result<Self, EnvVarsError> {
        let error = |problem| EnvVarsError { file: file.display().to_string(), problem };
        let text = std::fs::read_to_string(file).map_err(|problem| error(problem.to_string()))?;
        serde_json::from_str(&text).map(Self).map_err(|problem| error(without_value(&problem)))
    }

    /// The same variables for all functions.
    pub fn for_all(variables: BTreeMap<String, String>) -> Self {
        Self([(ALL.to_owned(), variables)].into())
    }

    /// The variables for `function`: its own go before those for all.
    fn of(&self, function: &template::Function) -> BTreeMap<String, String> {
        let keys = [ALL, &function.name, &function.logical_id];
        let variables = keys.into_iter().filter_map(|key| self.0.get(key)).flatten();
        variables.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// What functions find in their environment here, beside what their template says.
pub struct Environment {
    /// What was set for this run.
    pub env_vars: EnvVars,
    /// The settings of this program, which go before those of the template, as they do in SAM.
    pub settings: Lookup,
    /// What they sign with.
    pub credentials: Credentials,
    /// What the gateway shows, and they trust.
    pub certificate: Certificate,
    /// Where the gateway is, as `host:port`.
    pub authority: String,
    /// Whether the functions are asked to tell of their SQL statements, as this chat's can be.
    pub asks_for_statements: bool,
}

impl Environment {
    /// The variables of `function`. What is known in the cloud only is left out; reading the template has warned of it.
    pub fn of(&self, function: &template::Function) -> Vec<(String, String)> {
        let mut variables = self.credentials();
        let certificate = self.certificate.variables().into_iter();
        variables
            .extend(certificate.map(|(name, file)| (name.to_owned(), file.display().to_string())));
        for (name, variable) in &function.environment {
            let setting = self.settings.get(name);
            // Who names a queue that is somewhere else also says where.
            if setting.is_none() && matches!(variable, Variable::QueueUrl { .. }) {
                variables
                    .insert(ENDPOINT_VARIABLE.to_owned(), format!("http://{}", self.authority));
            }
            if let Some(value) = setting.or_else(|| self.value(variable)) {
                variables.insert(name.clone(), value);
            }
        }
        variables.extend(self.env_vars.of(function));
        if self.asks_for_statements {
            statement::ask_for(&mut variables);
        }
        variables.into_iter().collect()
    }

    /// What Lambda gives every function for calling AWS.
    fn credentials(&self) -> BTreeMap<String, String> {
        let Credentials { access_key_id, secret_access_key, session_token, region } =
            &self.credentials;
        let token = session_token.as_ref().map(ExposeSecret::expose_secret);
        let variables = [
            ("AWS_REGION", Some(region.as_str())),
            ("AWS_DEFAULT_REGION", Some(region)),
            ("AWS_ACCESS_KEY_ID", Some(access_key_id)),
            ("AWS_SECRET_ACCESS_KEY", Some(secret_access_key.expose_secret())),
            ("AWS_SESSION_TOKEN", token),
        ];
        let known = variables.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn value(&self, variable: &Variable) -> Option<String> {
        match variable {
            Variable::Known(value) => Some(value.clone()),
            Variable::Endpoint { scheme: Some(scheme), path, .. } => {
                Some(format!("{scheme}://{}{path}", self.authority))
            }
            Variable::Endpoint { scheme: None, path, .. } => {
                Some(format!("{}{path}", self.authority))
            }
            Variable::QueueUrl { path, .. } => Some(format!("http://{}{path}", self.authority)),
            Variable::Unknown { .. } => None,
        }
    }
}

/// Where JSON is not what it should be, and not what stands there: it may be a secret.
fn without_value(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "something else stands" } else { "it is not JSON" };
    format!("{what} at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Sockets:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      StageName: live
      RouteSelectionExpression: $request.body.action
      Routes: { $default: { FunctionArn: !GetAtt Shop.Arn } }
  Shop:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      Environment:
        Variables:
          DATABASE_URL: mysql://shop/db
          JWT_SECRET: the shop's own
          ENDPOINT: !Sub https://${Sockets}.execute-api.${AWS::Region}.amazonaws.com/live
          TABLE: !GetAtt Things.Arn
          QUEUE: !Ref Jobs
          SIZE: 7
  Jobs: { Type: AWS::SQS::Queue }
  Things: { Type: AWS::DynamoDB::Table }
";

    /// The variables of the template's function, but for those that have to do with AWS and with certificates.
    fn variables(env_vars: EnvVars, settings: &'static [(&str, &str)]) -> Vec<(String, String)> {
        let find = |name: &str| settings.iter().find(|(setting, _)| *setting == name);
        let settings =
            Lookup::from_fn(move |name| find(name).map(|(_, value)| (*value).to_owned()));
        let environment = Environment {
            env_vars,
            settings,
            credentials: Credentials::default(),
            certificate: Certificate::generate(&[]).expect("it can be kept"),
            authority: "127.0.0.1:3000".to_owned(),
            asks_for_statements: false,
        };
        let template = template::read(TEMPLATE, &template::Options::default()).expect("it is good");
        let is_own = |(name, _): &(String, String)| {
            (!name.starts_with("AWS_") || name == ENDPOINT_VARIABLE)
                && !name.contains("CERT")
                && !name.contains("CA_BUNDLE")
        };
        environment.of(&template.functions[0]).into_iter().filter(is_own).collect()
    }

    #[test]
    fn a_function_gets_what_its_template_says() {
        let expected = [
            ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:3000"),
            ("DATABASE_URL", "mysql://shop/db"),
            ("ENDPOINT", "https://127.0.0.1:3000/live"),
            ("JWT_SECRET", "the shop's own"),
            ("QUEUE", "http://127.0.0.1:3000/123456789012/Jobs"),
            ("SIZE", "7"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables(EnvVars::default(), &[("LOG", "info")]), expected);
    }

    #[test]
    fn a_queue_that_is_elsewhere_is_left_there() {
        let variables =
            variables(EnvVars::default(), &[("QUEUE", "https://sqs.example.com/1/jobs")]);
        assert!(variables.iter().all(|(name, _)| name != ENDPOINT_VARIABLE), "{variables:?}");
        let url = ("QUEUE".to_owned(), "https://sqs.example.com/1/jobs".to_owned());
        assert!(variables.contains(&url), "{variables:?}");
    }

    #[test]
    fn a_bad_file_is_not_repeated() {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        for (text, problem) in [
            (r#"{"JWT_SECRET": "hunter2"}"#, "something else stands at line 1 column 24"),
            (r#"{"Shop": {"PIN": 1234}}"#, "something else stands at line 1 column 21"),
            (r#"{"Shop": {"PIN": "hunter2"}"#, "it is not JSON at line 1 column 27"),
        ] {
            std::fs::write(file.path(), text).expect("it can be written");
            let error = EnvVars::read(file.path()).err().expect("it is bad").to_string();
            assert!(error.contains(problem), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("1234"), "{error}");
        }
    }

    #[test]
    fn what_is_set_for_a_run_goes_before_the_settings_and_these_before_the_template() {
        let env_vars = BTreeMap::from([("SIZE".to_owned(), "9".to_owned())]);
        let variables =
            variables(EnvVars::for_all(env_vars), &[("SIZE", "8"), ("JWT_SECRET", "x")]);
        let of =
            |name: &str| &variables.iter().find(|(own, _)| own == name).expect("it is there").1;
        assert_eq!((of("SIZE").as_str(), of("JWT_SECRET").as_str()), ("9", "x"));
    }
}
