//! The chat's URL: the page, its headers, the API behind the same name, and what time it is there.

use std::time::{SystemTime, UNIX_EPOCH};

use ureq::http::HeaderMap;

use super::Findings;
use crate::{
    site,
    stack::Stack,
    web::{agent, get},
};

/// Tokens are taken up to so many seconds after their time, and signatures of AWS for five minutes.
const SKEW_SECS_MAX: u64 = 30;

/// What every file comes with.
const PROTECTION: &[(&str, &str)] = &[
    ("content-security-policy", "script-src 'self'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
];

pub(super) fn examine(findings: &mut Findings, stack: &Stack) {
    let Some(url) = stack.output("Url") else {
        return super::missing_output(findings, stack, "Url");
    };
    let deploy = format!("cargo xtask deploy --stack {}", stack.name);
    let agent = agent();
    let page = match get(&agent, url) {
        Ok(page) => page,
        Err(problem) => {
            let domain = stack.parameters.get("Domain").filter(|domain| !domain.is_empty());
            let fix = match (domain, stack.output("DistributionDomain")) {
                (Some(domain), Some(cdn)) => format!(
                    "a record must lead there: {domain} CNAME {cdn} (or --hosted-zone for Route 53). New \
                     names take some minutes"
                ),
                _ => "look at this machine's network; a new CDN takes some minutes".to_owned(),
            };
            return findings.broken(&format!("page: {problem}"), &fix);
        }
    };
    let (status, headers) = (page.status().as_u16(), page.headers().clone());
    let text = page.into_body().read_to_string().unwrap_or_default();
    if status != 200 || !text.contains("<html") {
        return findings
            .broken(&format!("page: {url} is answered {status}, without the page"), &deploy);
    }
    let files = ["/config.js".to_owned()]
        .into_iter()
        .chain(site::links(&text).map(|file| format!("/{file}")));
    let mut problems = missing_headers("/", &headers, site::ASK);
    let mut count = 1;
    for file in files {
        count += 1;
        let is_asset = file.starts_with("/assets/");
        match get(&agent, &format!("{url}{file}")) {
            Ok(answer) if answer.status() == 200 => {
                let cache = if is_asset { site::KEEP } else { site::ASK };
                problems.extend(missing_headers(&file, answer.headers(), cache));
                problems.extend(wrong_type(&file, answer.headers()));
            }
            Ok(answer) => problems.push(format!("{file} is answered {}", answer.status())),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        findings.well(&format!("page: {url} and {count} files of it, with their headers"));
    }
    for problem in problems {
        findings.broken(&format!("page: {problem}"), &deploy);
    }
    api(findings, &agent, url, &deploy);
}

/// Whether the API answers under the page's name.
fn api(findings: &mut Findings, agent: &ureq::Agent, url: &str, deploy: &str) {
    let answer = get(agent, &format!("{url}/auth/messages"));
    // A CDN may have kept the page for long, with the date of then; it keeps none of these.
    let date = answer.as_ref().ok().and_then(|answer| answer.headers().get("date"));
    if let Some(date) = date.and_then(|date| seconds(date.to_str().ok()?)) {
        judge_clock(findings, "the API", date);
    }
    match answer {
        Ok(answer) if answer.status() == 401 => findings.well("API: /auth/messages asks for a token"),
        Ok(answer) if answer.status() == 503 => findings.broken(
            "API: the database is away (503)",
            "see what was found about the database above, and the log of the function messages",
        ),
        Ok(answer) if answer.status() == 429 => findings.doubtful(
            "API: too many requests (429)",
            "wait; if it stays so, see the quotas below, and who is asking so much",
        ),
        Ok(answer) => findings.broken(
            &format!("API: /auth/messages is answered {} instead of 401", answer.status()),
            &format!("see the log of the function messages; if it has none, the CDN leads elsewhere: {deploy}"),
        ),
        Err(problem) => findings.broken(&format!("API: {problem}"), deploy),
    }
}

fn missing_headers(file: &str, headers: &HeaderMap, cache: &str) -> Vec<String> {
    let value =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = PROTECTION.iter().copied().chain([("cache-control", cache)]);
    wanted
        .filter(|(name, wanted)| !value(name).contains(wanted))
        .map(|(name, wanted)| {
            format!("{file} comes with {name}: {:?}, not {wanted:?}", value(name))
        })
        .collect()
}

fn wrong_type(file: &str, headers: &HeaderMap) -> Option<String> {
    let said = headers.get("content-type")?.to_str().ok()?;
    let wanted = site::content_type(file)?.split(';').next()?;
    (!said.starts_with(wanted)).then(|| format!("{file} comes as {said}, not {wanted}"))
}

/// Holds a time, in seconds since 1970, against this machine's.
pub(super) fn judge_clock(findings: &mut Findings, whose: &str, there: i64) {
    #[expect(clippy::disallowed_methods, reason = "it is this machine's clock that is examined")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let skew = now.cast_signed().abs_diff(there);
    if skew <= SKEW_SECS_MAX {
        findings
            .well(&format!("clock: {whose} and this machine agree within {SKEW_SECS_MAX} seconds"));
    } else {
        findings.doubtful(
            &format!("clock: {whose} and this machine are {skew} seconds apart"),
            "AWS's clocks are right; set this machine's (timedatectl set-ntp true), or it can't sign requests",
        );
    }
}

/// Seconds since 1970 of `Wed, 25 Nov 2026 20:15:43 GMT`.
fn seconds(date: &str) -> Option<i64> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        // date --utc --date=… +%s
        for (date, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 25 Nov 2026 20:15:43 GMT", Some(1_795_637_743)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Wed, 25 Nov 2026", None),
            ("Wed, 25 Nov 2026 20:15:43 CET", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }
}
