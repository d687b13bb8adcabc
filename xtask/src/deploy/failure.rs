//! What CloudFormation says when it doesn't do what was asked, and what to do then.

use crate::stack::{Next, Stack};

/// What CloudFormation says of a change set without changes, in two ways.
pub(super) fn is_nothing_to_do(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

pub(super) fn failure(stack: &Stack, failed: &[String]) -> String {
    let what = match stack.next() {
        Next::Stuck(what) => what,
        Next::DeleteAndCreate => {
            "Put right what is named above, then run the same command: it clears away what is left and \
             begins anew"
                .to_owned()
        }
        _ => "The update was taken back: the chat runs as before. Put right what is named above, then \
              run the same command"
            .to_owned(),
    };
    let failed = failed.join("\n  ");
    let cause = known_cause(&failed).map(|cause| format!("\n{cause}")).unwrap_or_default();
    format!("the deployment has failed: {}.\n  {failed}{cause}\n{what}", stack.state())
}

/// What to do about refusals that nobody can guess the meaning of.
pub(super) fn known_cause(said: &str) -> Option<&'static str> {
    if said.contains("account must be verified") {
        Some(
            "AWS lets new accounts have no CDN until it has looked at them: open a case in AWS's Support Center \
             (\"Account and billing\", which is free) and ask for CloudFront; then deploy again",
        )
    } else if said.contains("Unrecognized resource types") && said.contains("AWS::DSQL::Cluster") {
        Some(
            "This region doesn't have Aurora DSQL. Deploy to one that has: --region us-east-1 or eu-west-1, for \
             example. --database-url-from doesn't help here: the template names the cluster all the same",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_new_accounts_and_regions_are_explained() {
        for (said, expected) in [
            (
                "Distribution (AWS::CloudFront::Distribution): Access denied: Your account must be verified \
                 before you can add new CloudFront resources",
                Some("Support Center"),
            ),
            (
                "Template format error: Unrecognized resource types: [AWS::DSQL::Cluster]",
                Some("--region"),
            ),
            ("Unrecognized resource types: [AWS::Other::Thing]", None),
        ] {
            match (known_cause(said), expected) {
                (None, None) => {}
                (Some(cause), Some(expected)) => assert!(cause.contains(expected), "{cause}"),
                (other, _) => panic!("{said}: {other:?}"),
            }
        }
    }
}
