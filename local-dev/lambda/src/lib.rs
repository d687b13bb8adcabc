//! Runs compiled Lambda functions as processes over the Lambda Runtime API, as Lambda does.
