//! Aurora DSQL: PostgreSQL over TLS, with a token made of AWS credentials where the password goes.
//!
//! Not the crate `aurora-dsql-sqlx-connector`: it finds credentials by the whole of `aws-config`, which costs a cold start
//! tens of milliseconds, makes each signer from it anew, and refreshes tokens from a task that Lambda would freeze. What is
//! left to do is to sign one URL, by the signer that the AWS SDK uses and every function has in it anyway, with the
//! credentials that Lambda puts into the environment.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::{clock::Clock, error::BoxError};

/// The schema that the tables are in: `public` is not `admin`'s to give to other roles.
pub(super) const SCHEMA: &str = "chat";

/// How long a token is good for opening a connection; the connection lives on. Source: the SDK's default.
const TOKEN_LIFE: Duration = Duration::from_mins(15);

/// The role that exists from the start and may do everything.
const ADMIN: &str = "admin";

/// The one database of a cluster.
const DATABASE: &str = "postgres";

/// A cluster, and as whom to connect to it.
pub(super) struct Cluster {
    /// All but the password.
    options: PgConnectOptions,
    host: String,
    role: String,
    region: String,
    credentials: Credentials,
}

impl Cluster {
    /// Reads `dsql://[ROLE@]ENDPOINT[:PORT][/postgres][?region=REGION&sslrootcert=FILE]`. `region` is needed where the
    /// endpoint does not say it; `sslrootcert` adds to the certificate authorities that are trusted.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed; never the URL itself.
    pub(super) fn parse(url: &str, credentials: Option<Credentials>) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("is not a dsql:// URL: {error}"))?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or("must name the cluster's endpoint")?.to_owned();
        if url.password().is_some() {
            return Err("must not hold a password, a token is made for each connection".to_owned());
        }
        if !matches!(url.path(), "" | "/" | "/postgres") {
            return Err("must name no database but postgres, a cluster has no other".to_owned());
        }
        if url.fragment().is_some() {
            return Err("must have no fragment (#)".to_owned());
        }
        let role = match url.username() {
            "" => ADMIN.to_owned(),
            role if is_role(role) => role.to_owned(),
            _ => {
                return Err(
                    "must name a role of a-z, 0-9 and _, beginning with a letter".to_owned()
                );
            }
        };
        let (mut region, mut root_certificate) = (region_of(&host), None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "region" if is_region(&value) => region = Some(value.into_owned()),
                "region" => return Err("has a region that is none, such as eu-west-1".to_owned()),
                "sslrootcert" => root_certificate = Some(value.into_owned()),
                _ => return Err("takes no parameters but region and sslrootcert".to_owned()),
            }
        }
        let region = region.ok_or(
            "does not say the region: the endpoint is CLUSTER.dsql.REGION.on.aws, or ?region=REGION is added",
        )?;
        let credentials = credentials.ok_or(
            "is Aurora DSQL, which takes AWS credentials: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if they are \
             temporary, AWS_SESSION_TOKEN",
        )?;
        let options = PgConnectOptions::new_without_pgpass()
            .host(&host)
            .port(url.port().unwrap_or(5432))
            .username(&role)
            .database(DATABASE)
            .application_name("lambda-chat")
            .ssl_mode(PgSslMode::VerifyFull);
        let options = match root_certificate {
            Some(file) => options.ssl_root_cert(file),
            None => options,
        };
        Ok(Self { options, host, role, region, credentials })
    }

    /// How to open one connection now.
    ///
    /// # Errors
    /// When no token can be made.
    pub(super) fn options(&self) -> sqlx::Result<PgConnectOptions> {
        let millis = u64::try_from(Clock::system().now().0).unwrap_or(0);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let token = self.token(now).map_err(sqlx::Error::Configuration)?;
        Ok(self.options.clone().password(&token))
    }

    /// A request of the cluster's IAM action, signed in its URL, without the scheme.
    fn token(&self, now: SystemTime) -> Result<String, BoxError> {
        let action = if self.role == ADMIN { "DbConnectAdmin" } else { "DbConnect" };
        let mut url = Url::parse(&format!("https://{}/?Action={action}", self.host))?;
        let mut settings = SigningSettings::default();
        settings.expires_in = Some(TOKEN_LIFE);
        settings.signature_location = SignatureLocation::QueryParams;
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("dsql")
            .time(now)
            .settings(settings)
            .build()?;
        let body = SignableBody::Bytes(&[]);
        let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), body)?;
        let (instructions, _) = sign(request, &params.into())?.into_parts();
        for (name, value) in instructions.params() {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url.as_str().trim_start_matches("https://").to_owned())
    }
}

/// The region in `CLUSTER.dsql.REGION.on.aws`, or in a private endpoint's `CLUSTER.dsql-SUFFIX.REGION.on.aws`.
fn region_of(host: &str) -> Option<String> {
    let (cluster, rest) = host.strip_suffix(".on.aws")?.split_once('.')?;
    let (service, region) = rest.split_once('.')?;
    let is_dsql = service == "dsql" || service.starts_with("dsql-");
    (!cluster.is_empty() && is_dsql && is_region(region)).then(|| region.to_owned())
}

fn is_region(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.contains('-') && text.bytes().all(is_allowed)
}

fn is_role(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const ENDPOINT: &str = "abcdefghij0123456789klmnop.dsql.eu-west-1.on.aws";

    fn credentials() -> Credentials {
        let session_token = Some("a+session/token==".to_owned());
        Credentials::new("AKIDEXAMPLE", "a secret key", session_token, None, "test")
    }

    #[test]
    fn a_token_is_a_signed_request_to_connect() {
        for (role, action) in
            [("", "DbConnectAdmin"), ("admin@", "DbConnectAdmin"), ("login@", "DbConnect")]
        {
            let cluster =
                Cluster::parse(&format!("dsql://{role}{ENDPOINT}"), Some(credentials())).unwrap();
            let token = cluster
                .token(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_428_900_123))
                .unwrap();
            let url = Url::parse(&format!("https://{token}")).unwrap();
            assert_eq!((url.host_str(), url.path()), (Some(ENDPOINT), "/"));
            let mut query: HashMap<String, String> = url.query_pairs().into_owned().collect();
            assert_eq!(query.remove("X-Amz-Signature").map(|signature| signature.len()), Some(64));
            let expected = [
                ("Action", action),
                ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
                ("X-Amz-Credential", "AKIDEXAMPLE/20261123/eu-west-1/dsql/aws4_request"),
                ("X-Amz-Date", "20261123T101500Z"),
                ("X-Amz-Expires", "900"),
                ("X-Amz-SignedHeaders", "host"),
                ("X-Amz-Security-Token", "a+session/token=="),
            ];
            assert_eq!(
                query,
                expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
            );
        }
    }

    #[test]
    fn connections_are_verified_and_go_to_the_endpoint() {
        let cluster =
            Cluster::parse(&format!("dsql://login@{ENDPOINT}/postgres"), Some(credentials()));
        let options = cluster.unwrap().options().unwrap();
        assert_eq!((options.get_host(), options.get_port()), (ENDPOINT, 5432));
        assert_eq!((options.get_username(), options.get_database()), ("login", Some("postgres")));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    }

    #[test]
    fn the_region_is_in_the_endpoint_or_beside_it() {
        for (url, region) in [
            ("dsql://abc.dsql.eu-west-1.on.aws", "eu-west-1"),
            ("dsql://abc.dsql-fnh4.us-east-2.on.aws", "us-east-2"),
            ("dsql://db.example.com?region=ap-southeast-1", "ap-southeast-1"),
        ] {
            assert_eq!(Cluster::parse(url, Some(credentials())).unwrap().region, region);
        }
    }

    #[test]
    fn a_bad_url_is_explained_without_being_shown() {
        for (url, problem) in [
            ("dsql://", "must name the cluster's endpoint"),
            ("dsql://admin@", "is not a dsql:// URL"),
            ("dsql:abc", "must name the cluster's endpoint"),
            ("dsql://admin:hunter2@abc.dsql.eu-west-1.on.aws", "must not hold a password"),
            ("dsql://Admin@abc.dsql.eu-west-1.on.aws", "must name a role of"),
            ("dsql://hunter2%20@abc.dsql.eu-west-1.on.aws", "must name a role of"),
            ("dsql://abc.dsql.eu-west-1.on.aws/hunter2", "must name no database but postgres"),
            ("dsql://abc.dsql.eu-west-1.on.aws?sslmode=disable", "takes no parameters but"),
            ("dsql://abc.dsql.eu-west-1.on.aws?region=Hunter2", "has a region that is none"),
            ("dsql://abc.dsql.eu-west-1.on.aws#hunter2", "must have no fragment"),
            ("dsql://hunter2.example.com", "does not say the region"),
            ("dsql://abc.rds.eu-west-1.on.aws", "does not say the region"),
            ("dsql://.dsql.eu-west-1.on.aws", "does not say the region"),
        ] {
            let error = Cluster::parse(url, Some(credentials())).err().unwrap();
            assert!(error.starts_with(problem), "{url}: {error}");
            assert!(!error.to_lowercase().contains("hunter2"), "{error}");
        }
        let error = Cluster::parse(&format!("dsql://{ENDPOINT}"), None).err().unwrap();
        assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}
