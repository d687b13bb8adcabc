//! Any text as a SAM template: it is read, or refused with what is wrong and where.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use template::{Options, Problem, Template};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(yaml) = str::from_utf8(input) else { return Corpus::Reject };
    match template::read(yaml, &Options::default()) {
        Ok(template) => check(&template, yaml),
        Err(error) => {
            assert!(!error.problems.is_empty());
            check_problems(&error.problems, yaml);
        }
    }
    Corpus::Keep
});

fn check(template: &Template, yaml: &str) {
    check_problems(&template.warnings, yaml);
    let http = template.http_api.iter().flat_map(|api| api.routes.iter().map(|r| &r.function));
    let websocket = template
        .websocket_apis
        .iter()
        .flat_map(|api| api.routes.iter().map(|route| &route.function));
    for function in http.chain(websocket) {
        let known = template.functions.iter().any(|known| known.logical_id == *function);
        assert!(known, "a route leads to {function:?}, which is no function");
    }
}

fn check_problems(problems: &[Problem], yaml: &str) {
    // YAML ends lines with CR, too.
    let lines = yaml.split(['\n', '\r']).count();
    for problem in problems {
        assert!((1..=lines).contains(&problem.line), "line {} of {lines}: {problem}", problem.line);
        assert!(!problem.message.is_empty());
    }
}
