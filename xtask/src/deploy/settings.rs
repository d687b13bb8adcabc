//! What a deployment is told: options that become parameters of the template.

use std::fs;

use clap::Args;
use serde_json::{Value, json};

use crate::stack::Stack;

/// What may be set. What isn't said keeps the value that it had, or the template's own.
#[derive(Args)]
#[command(next_help_heading = "Settings, kept until they are set again")]
pub(crate) struct Settings {
    /// The chat's own host name, chat.example.com; needs --certificate
    #[arg(long)]
    domain: Option<String>,

    /// The ARN of the domain's certificate, from Certificate Manager in us-east-1
    #[arg(long, value_name = "ARN", value_parser = certificate)]
    certificate: Option<String>,

    /// The zone of Route 53 that gets a record for the domain; without it, set the record yourself
    #[arg(long, value_name = "ID")]
    hosted_zone: Option<String>,

    /// PostgreSQL instead of Aurora DSQL: a file that holds its URL, or "env" for the variable
    #[arg(long, value_name = "FILE|env")]
    database_url_from: Option<String>,

    /// Let the chat begin anew in the other database, when --database-url-from changes its kind; no data moves
    #[arg(long, requires = "database_url_from")]
    move_database: bool,

    /// Who is told of alarms
    #[arg(long, value_name = "ADDRESS")]
    alarm_mail: Option<String>,

    /// Origins of other pages that may use this chat, separated by commas
    #[arg(long, value_name = "ORIGINS")]
    allowed_origins: Option<String>,

    /// Any other parameter of infra/template.yaml, for example DeletionProtection=false
    #[arg(long, value_name = "KEY=VALUE", value_parser = parameter)]
    parameter: Vec<(String, String)>,
}

/// One parameter of the template.
pub(super) struct Setting {
    pub(super) key: String,
    value: String,
    is_secret: bool,
}

impl Setting {
    pub(super) fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), is_secret: false }
    }

    /// The value, unless it is a secret.
    pub(super) fn shown(&self) -> &str {
        if self.is_secret { "(not shown)" } else { &self.value }
    }
}

fn certificate(arn: &str) -> Result<String, String> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts[..] {
        ["arn", _, "acm", "us-east-1", _, resource] if resource.starts_with("certificate/") => {
            Ok(arn.to_owned())
        }
        ["arn", _, "acm", region, _, _] => Err(format!(
            "it is in {region}, and CloudFront takes certificates of us-east-1 only. Request one there: \
             aws acm request-certificate --region us-east-1 --validation-method DNS --domain-name …"
        )),
        _ => Err("it looks like arn:aws:acm:us-east-1:123456789012:certificate/…; aws acm \
                  list-certificates --region us-east-1 shows yours"
            .to_owned()),
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it has the form KEY=VALUE")?;
    match key {
        "DatabaseUrl" => {
            Err("it holds a password, which everybody on this machine could see here; use \
                 --database-url-from"
                .to_owned())
        }
        "Revision" => Err("it is made of what is deployed".to_owned()),
        _ => Ok((key.to_owned(), value.to_owned())),
    }
}

impl Settings {
    /// All that is said, in a fixed order. In a dry run the database's URL stays where it is.
    pub(super) fn read(&self, known: &[String], dry_run: bool) -> Result<Vec<Setting>, String> {
        if self.hosted_zone.is_some() && self.domain.is_none() {
            return Err("--hosted-zone needs --domain, the name that the record is for".to_owned());
        }
        let has_certificate = self.certificate.is_some()
            || self.parameter.iter().any(|(key, _)| key == "CertificateArn");
        if self.domain.as_ref().is_some_and(|domain| !domain.is_empty()) && !has_certificate {
            return Err("--domain needs --certificate, the ARN of a certificate for it. Request one: aws acm \
                        request-certificate --region us-east-1 --validation-method DNS --domain-name DOMAIN"
                .to_owned());
        }
        let options = [
            ("Domain", &self.domain),
            ("CertificateArn", &self.certificate),
            ("HostedZoneId", &self.hosted_zone),
            ("AlarmMail", &self.alarm_mail),
            ("AllowedOrigins", &self.allowed_origins),
        ];
        let said = options.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let others = self.parameter.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut settings: Vec<Setting> =
            said.chain(others).map(|(key, value)| Setting::new(key, value)).collect();
        if let Some(from) = &self.database_url_from {
            let value = if dry_run { String::new() } else { database_url(from)? };
            settings.push(Setting { key: "DatabaseUrl".to_owned(), value, is_secret: true });
        }
        for (number, Setting { key, .. }) in settings.iter().enumerate() {
            if settings[..number].iter().any(|earlier| earlier.key == *key) {
                return Err(format!("{key} is set twice"));
            }
            if !known.contains(key) {
                return Err(format!(
                    "the template has no parameter {key}, but: {}",
                    known.join(", ")
                ));
            }
        }
        Ok(settings)
    }
}

impl Settings {
    /// Refuses to exchange the stack's own cluster for another database, or the other way round, unless that is asked for.
    pub(super) fn keep_database(&self, stack: &Stack, settings: &[Setting]) -> Result<(), String> {
        let url = settings.iter().find(|setting| setting.key == "DatabaseUrl");
        let (Some(url), false) = (url, self.move_database) else { return Ok(()) };
        match (stack.output("ClusterId"), url.value.is_empty()) {
            (Some(cluster), false) => Err(format!(
                "the users and messages of {} are in its Aurora DSQL cluster {cluster}, and would not come along \
                 to the PostgreSQL of --database-url-from: the chat would begin anew there. The cluster would \
                 leave the stack and stay, with its data, billed until you delete it (aws dsql delete-cluster \
                 --identifier {cluster}). Leave out --database-url-from to stay with the cluster. Otherwise copy \
                 what you want to keep, then deploy with --move-database",
                stack.name
            )),
            (None, true) => Err(format!(
                "the users and messages of {} are in a PostgreSQL outside the stack, and would not come along to an \
                 Aurora DSQL cluster: the chat would begin anew there. The PostgreSQL would stay as it is. Leave \
                 out --database-url-from to stay with it. Otherwise deploy with --move-database",
                stack.name
            )),
            _ => Ok(()),
        }
    }
}

/// The URL, from a place that other users of the machine don't see.
fn database_url(from: &str) -> Result<String, String> {
    let url = if from == "env" {
        #[expect(clippy::disallowed_methods, reason = "the option asks for this variable")]
        std::env::var("DATABASE_URL").map_err(|error| format!("DATABASE_URL: {error}"))?
    } else {
        fs::read_to_string(from).map_err(|error| format!("cannot read {from}: {error}"))?
    };
    let url = url.trim();
    // The problem must not show the URL.
    match url.split_once("://") {
        Some(("postgres" | "postgresql", rest))
            if rest.contains('@') && !url.contains(char::is_whitespace) =>
        {
            Ok(url.to_owned())
        }
        _ if url.is_empty() => Ok(String::new()),
        _ => Err(format!(
            "what {from} holds is no URL of PostgreSQL: one line like \
             postgres://chat:PASSWORD@db.example.com/chat?sslmode=verify-full. Empty is an Aurora DSQL cluster of \
             the stack's own"
        )),
    }
}

/// Parameters as CloudFormation takes them: what is said, and for the rest what it was `before`.
pub(super) fn parameters(known: &[String], settings: &[Setting], before: &[&str]) -> Vec<Value> {
    let parameter = |key: &String| {
        if let Some(setting) = settings.iter().find(|setting| setting.key == *key) {
            return Some(json!({"ParameterKey": key, "ParameterValue": setting.value}));
        }
        let has_value = before.contains(&key.as_str());
        has_value.then(|| json!({"ParameterKey": key, "UsePreviousValue": true}))
    };
    known.iter().filter_map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_keeps_its_value() {
        let known = ["AlarmMail", "Domain", "Tracing"].map(str::to_owned);
        let settings = [Setting::new("Domain", "chat.example.com")];
        assert_eq!(
            parameters(&known, &settings, &["AlarmMail", "Domain", "Gone"]),
            [
                json!({"ParameterKey": "AlarmMail", "UsePreviousValue": true}),
                json!({"ParameterKey": "Domain", "ParameterValue": "chat.example.com"}),
            ]
        );
        assert_eq!(parameters(&known, &settings, &[]).len(), 1);
    }

    #[test]
    fn a_certificate_is_in_the_one_region() {
        let arn = "arn:aws:acm:us-east-1:123456789012:certificate/1-2";
        assert_eq!(certificate(arn).as_deref(), Ok(arn));
        for (arn, expected) in [
            ("arn:aws:acm:eu-central-1:123456789012:certificate/1-2", "it is in eu-central-1"),
            ("arn:aws:iam::1:role/x", "list-certificates"),
            ("chat.example.com", "list-certificates"),
        ] {
            let problem = certificate(arn).expect_err("it is none");
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
