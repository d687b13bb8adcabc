//! What the account allows, and how long the certificate is good.

use super::Findings;
use crate::{aws::Aws, stack::Stack};

/// Of every account but the new ones: how many functions may run at once.
const CONCURRENCY: u64 = 1000;

/// Below it, a hundred people who come at once are answered 503.
const CONCURRENCY_LOW: u64 = 100;

/// Of every account: requests and frames per second, of all APIs in a region together.
const RATE: f64 = 10_000.0;

pub(super) fn examine(findings: &mut Findings, aws: &Aws, stack: &Stack) {
    concurrency(findings, aws);
    rate(findings, aws);
    certificate(findings, aws, stack);
}

fn concurrency(findings: &mut Findings, aws: &Aws) {
    let settings = match aws.call(&["lambda", "get-account-settings"]) {
        Ok(settings) => settings,
        Err(error) => return findings.unknown("quota of Lambda", &error),
    };
    let limits = &settings["AccountLimit"];
    let all = limits["ConcurrentExecutions"].as_u64().unwrap_or_default();
    let free = limits["UnreservedConcurrentExecutions"].as_u64().unwrap_or(all);
    let what = format!("quota of Lambda: {free} functions of {all} may run at once");
    if free < CONCURRENCY_LOW {
        findings.doubtful(
            &what,
            "new accounts have few. Ask for more, for free: aws service-quotas \
             request-service-quota-increase --service-code lambda --quota-code L-B99A9384 \
             --desired-value 1000",
        );
    } else if all < CONCURRENCY {
        findings.well(&format!("{what} (most accounts have {CONCURRENCY})"));
    } else {
        findings.well(&what);
    }
}

fn rate(findings: &mut Findings, aws: &Aws) {
    let account = match aws.call(&["apigateway", "get-account"]) {
        Ok(account) => account,
        Err(error) => return findings.unknown("quota of API Gateway", &error),
    };
    let settings = &account["throttleSettings"];
    let rate = settings["rateLimit"].as_f64().unwrap_or_default();
    let what = format!(
        "quota of API Gateway: {rate} requests per second, {} at once",
        settings["burstLimit"]
    );
    if rate < RATE {
        findings.doubtful(
            &what,
            "this region or account has less than the usual 10,000. Ask for more: aws service-quotas \
             request-service-quota-increase --service-code apigateway --quota-code L-8A5B8E43 \
             --desired-value 10000",
        );
    } else {
        findings.well(&what);
    }
}

fn certificate(findings: &mut Findings, aws: &Aws, stack: &Stack) {
    let set = |name: &str| stack.parameters.get(name).filter(|value| !value.is_empty());
    let (Some(domain), Some(arn)) = (set("Domain"), set("CertificateArn")) else { return };
    let describe = ["acm", "describe-certificate", "--certificate-arn", arn];
    let answer = match aws.in_region("us-east-1").call(&describe) {
        Ok(answer) => answer,
        Err(error) => return findings.unknown("certificate", &error),
    };
    let certificate = &answer["Certificate"];
    let status = certificate["Status"].as_str().unwrap_or_default();
    let until = certificate["NotAfter"]
        .as_str()
        .map_or_else(|| certificate["NotAfter"].to_string(), str::to_owned);
    let names = certificate["SubjectAlternativeNames"].as_array().into_iter().flatten();
    let covers = names.filter_map(|name| name.as_str()).any(|name| covers(name, domain));
    if status != "ISSUED" {
        findings.broken(
            &format!("certificate: its state is {status}"),
            "Certificate Manager's console says what it waits for, mostly a record in the domain's DNS",
        );
    } else if !covers {
        findings.broken(
            &format!("certificate: it is not for {domain}"),
            "request one for it, in us-east-1, then: cargo xtask deploy --domain … --certificate ARN",
        );
    } else if certificate["RenewalEligibility"] == "INELIGIBLE" {
        findings.doubtful(
            &format!("certificate: good until {until}, and not renewed by itself"),
            "import its successor in time, or request one from Certificate Manager, which renews it",
        );
    } else {
        findings.well(&format!(
            "certificate: for {domain}, good until {until}, then renewed by itself"
        ));
    }
}

/// Whether a certificate's name, perhaps with a wildcard, is good for a host.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_good_for_one_label() {
        for (name, host, expected) in [
            ("chat.example.com", "chat.example.com", true),
            ("*.example.com", "chat.example.com", true),
            ("*.example.com", "a.chat.example.com", false),
            ("*.example.com", "example.com", false),
        ] {
            assert_eq!(covers(name, host), expected, "{name} {host}");
        }
    }
}
