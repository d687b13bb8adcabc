//! What AWS asks for what the chat uses, in US dollars in us-east-1. Every price says when it was read and where.

/// The price of one thing.
#[derive(Debug, PartialEq)]
pub(crate) struct Price {
    pub(crate) service: &'static str,
    /// What is counted, in words.
    pub(crate) what: &'static str,
    /// The unit that quantities are in, in words.
    pub(crate) unit: &'static str,
    /// Dollars per unit, up to a quantity per month: cheapest last, which has no end.
    tiers: &'static [(f64, f64)],
    /// Units per month that cost nothing, for ever: what is free for twelve months or by credits isn't counted.
    pub(crate) free: f64,
    /// The day on which it was read.
    pub(crate) as_of: &'static str,
    pub(crate) source: &'static str,
}

const NO_END: f64 = f64::INFINITY;
const MILLION: f64 = 1e6;

impl Price {
    /// Dollars for a quantity, without the free tier.
    pub(crate) fn of(&self, quantity: f64) -> f64 {
        let mut dollars = 0.0;
        let mut from = 0.0;
        for (to, price) in self.tiers {
            dollars += (quantity.min(*to) - from).max(0.0) * price;
            from = *to;
        }
        dollars
    }

    /// Dollars for what the free tier leaves of a quantity.
    pub(crate) fn of_paid(&self, quantity: f64) -> f64 {
        self.of((quantity - self.free).max(0.0))
    }

    /// Dollars for the first paid unit.
    pub(crate) fn first(&self) -> f64 {
        self.tiers[0].1
    }
}

pub(crate) const HTTP_REQUESTS: Price = Price {
    service: "API Gateway",
    what: "HTTP requests, per 512 KB",
    unit: "request",
    tiers: &[(300.0 * MILLION, 1.00 / MILLION), (NO_END, 0.90 / MILLION)],
    free: 0.0,
    as_of: "2026-09",
    source: "https://aws.amazon.com/api-gateway/pricing/",
};

pub(crate) const SOCKET_MESSAGES: Price = Price {
    service: "API Gateway",
    what: "socket messages in and out, per 32 KB",
    unit: "message",
    tiers: &[(1000.0 * MILLION, 1.00 / MILLION), (NO_END, 0.80 / MILLION)],
    free: 0.0,
    as_of: "2026-09",
    source: "https://aws.amazon.com/api-gateway/pricing/",
};

pub(crate) const SOCKET_MINUTES: Price = Price {
    service: "API Gateway",
    what: "minutes of open sockets",
    unit: "minute",
    tiers: &[(NO_END, 0.25 / MILLION)],
    free: 0.0,
    as_of: "2026-09",
    source: "https://aws.amazon.com/api-gateway/pricing/",
};

pub(crate) const LAMBDA_REQUESTS: Price = Price {
    service: "Lambda",
    what: "invocations",
    unit: "invocation",
    tiers: &[(NO_END, 0.20 / MILLION)],
    free: MILLION,
    as_of: "2026-11-23",
    source: "https://aws.amazon.com/lambda/pricing/",
};

pub(crate) const LAMBDA_ARM: Price = Price {
    service: "Lambda",
    what: "memory times time on arm64, starts included",
    unit: "GB-s",
    tiers: &[(NO_END, 0.000_013_333_4)],
    free: 400_000.0,
    as_of: "2026-11-23",
    source: "https://aws.amazon.com/lambda/pricing/",
};

pub(crate) const LAMBDA_X86: Price = Price {
    service: "Lambda",
    what: "memory times time on x86-64, starts included",
    unit: "GB-s",
    tiers: &[(NO_END, 0.000_016_666_7)],
    free: 400_000.0,
    as_of: "2026-11-23",
    source: "https://aws.amazon.com/lambda/pricing/",
};

pub(crate) const DSQL_WORK: Price = Price {
    service: "Aurora DSQL",
    what: "work of the database",
    unit: "DPU",
    tiers: &[(NO_END, 8.00 / MILLION)],
    free: 100_000.0,
    as_of: "2026-11-23",
    source: "https://aws.amazon.com/rds/aurora/dsql/pricing/",
};

pub(crate) const DSQL_STORAGE: Price = Price {
    service: "Aurora DSQL",
    what: "storage",
    unit: "GB-month",
    tiers: &[(NO_END, 0.33)],
    free: 1.0,
    as_of: "2026-11-23",
    source: "https://aws.amazon.com/rds/aurora/dsql/pricing/",
};

pub(crate) const CDN_REQUESTS: Price = Price {
    service: "CloudFront",
    what: "HTTPS requests and handshakes",
    unit: "request",
    tiers: &[(NO_END, 0.01 / 10_000.0)],
    free: 10.0 * MILLION,
    as_of: "2026-11-25, North America and Europe, a copy of unknown date",
    source: "https://aws.amazon.com/cloudfront/pricing",
};

pub(crate) const CDN_OUT: Price = Price {
    service: "CloudFront",
    what: "data to browsers",
    unit: "GB",
    tiers: &[
        (10_000.0, 0.085),
        (50_000.0, 0.080),
        (150_000.0, 0.060),
        (500_000.0, 0.040),
        (1_024_000.0, 0.030),
        (5_024_000.0, 0.025),
        (NO_END, 0.020),
    ],
    free: 1_000.0,
    as_of: "2026-11-25, North America and Europe, a copy of unknown date",
    source: "https://aws.amazon.com/cloudfront/pricing",
};

pub(crate) const CDN_TO_ORIGIN: Price = Price {
    service: "CloudFront",
    what: "data from browsers to the APIs",
    unit: "GB",
    tiers: &[(NO_END, 0.020)],
    free: 0.0,
    as_of: "not re-read: common knowledge",
    source: "https://aws.amazon.com/cloudfront/pricing",
};

pub(crate) const S3_READS: Price = Price {
    service: "S3",
    what: "files of the page that CloudFront asks for",
    unit: "request",
    tiers: &[(NO_END, 0.40 / MILLION)],
    free: 0.0,
    as_of: "not re-read: common knowledge",
    source: "https://aws.amazon.com/s3/pricing/",
};

pub(crate) const LOGS: Price = Price {
    service: "CloudWatch",
    what: "logs taken in",
    unit: "GB",
    tiers: &[(NO_END, 0.50)],
    free: 5.0,
    as_of: "2026-06-13",
    source: "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/",
};

pub(crate) const LOGS_KEPT: Price = Price {
    service: "CloudWatch",
    what: "logs kept",
    unit: "GB-month",
    tiers: &[(NO_END, 0.03)],
    free: 0.0,
    as_of: "not re-read: common knowledge",
    source: "https://aws.amazon.com/cloudwatch/pricing/",
};

pub(crate) const METRICS: Price = Price {
    service: "CloudWatch",
    what: "metrics of its own, in months with traffic",
    unit: "metric",
    tiers: &[(10_000.0, 0.30), (NO_END, 0.10)],
    free: 10.0,
    as_of: "2026-02-15",
    source: "https://signoz.io/guides/cloudwatch-pricing",
};

pub(crate) const ALARMS: Price = Price {
    service: "CloudWatch",
    what: "metrics that alarms watch",
    unit: "metric",
    tiers: &[(NO_END, 0.10)],
    free: 10.0,
    as_of: "2026-11-25, a page of unknown date",
    source: "https://c3x.dev/resources/aws/aws_cloudwatch_metric_alarm",
};

pub(crate) const DASHBOARDS: Price = Price {
    service: "CloudWatch",
    what: "dashboards",
    unit: "dashboard",
    tiers: &[(NO_END, 3.00)],
    free: 3.0,
    as_of: "2026-06-13",
    source: "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/",
};

pub(crate) const QUEUE: Price = Price {
    service: "SQS",
    what: "requests to FIFO queues, empty receives included, per 64 KB",
    unit: "request",
    tiers: &[(NO_END, 0.50 / MILLION)],
    free: MILLION,
    as_of: "2026-06-13",
    source: "https://www.factualminds.com/blog/amazon-sqs-pricing-64kb-rule-fifo-vs-standard/",
};

pub(crate) const SECRETS: Price = Price {
    service: "Secrets Manager",
    what: "secrets",
    unit: "secret",
    tiers: &[(NO_END, 0.40)],
    free: 0.0,
    as_of: "2026-11-25, a page of unknown date",
    source: "https://hivebook.wiki/wiki/aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms",
};

/// All of them, in the order of a bill.
pub(crate) const ALL: [&Price; 19] = [
    &HTTP_REQUESTS,
    &SOCKET_MESSAGES,
    &SOCKET_MINUTES,
    &LAMBDA_REQUESTS,
    &LAMBDA_ARM,
    &LAMBDA_X86,
    &DSQL_WORK,
    &DSQL_STORAGE,
    &CDN_REQUESTS,
    &CDN_OUT,
    &CDN_TO_ORIGIN,
    &S3_READS,
    &LOGS,
    &LOGS_KEPT,
    &METRICS,
    &ALARMS,
    &DASHBOARDS,
    &QUEUE,
    &SECRETS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_paid_one_after_the_other() {
        let close = |one: f64, other: f64| (one - other).abs() < 1e-9 * other.max(1.0);
        for (price, quantity, dollars) in [
            (&HTTP_REQUESTS, 1e6, 1.0),
            (&HTTP_REQUESTS, 300e6, 300.0),
            (&HTTP_REQUESTS, 400e6, 390.0),
            (&SOCKET_MESSAGES, 2e9, 1800.0),
            (&SOCKET_MINUTES, 43.8e6, 10.95),
            (&CDN_OUT, 60_000.0, 850.0 + 3200.0 + 600.0),
            (&ALARMS, 15.0, 1.5),
        ] {
            assert!(close(price.of(quantity), dollars), "{} {quantity}", price.what);
        }
        assert!(close(DSQL_WORK.of_paid(1_100_000.0), 8.0));
        assert!(close(DSQL_WORK.of_paid(99_999.0), 0.0));
    }

    #[test]
    fn every_price_has_an_end_and_a_source() {
        for price in ALL {
            assert!(price.tiers.is_sorted_by(|one, other| one.0 < other.0 && one.1 > other.1));
            assert!(price.tiers.last().is_some_and(|(to, _)| to.is_infinite()), "{}", price.what);
            assert!(price.source.starts_with("https://") && !price.as_of.is_empty());
        }
    }
}
