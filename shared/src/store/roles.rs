//! Who may do what in the database: a role per function, with what its statements need and no more.
//!
//! On Aurora DSQL each function connects as the role of its name, which its IAM role may take on. `migrate`, which
//! connects as `admin`, keeps roles, privileges and IAM's part as this table says.

use std::{collections::BTreeMap, fmt};

use Privilege::{Delete, Insert, Select, Update};

/// What may be done with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    /// Read rows, also to find those that are changed.
    Select,
    /// Add rows.
    Insert,
    /// Change rows.
    Update,
    /// Delete rows.
    Delete,
}

impl fmt::Display for Privilege {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Select => "select",
            Insert => "insert",
            Update => "update",
            Delete => "delete",
        })
    }
}

/// A role, and what it may do.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// Its name, the function's.
    pub name: &'static str,
    /// Its privileges by table.
    pub tables: &'static [(&'static str, &'static [Privilege])],
}

/// Every role. What refers to another table's row needs no privilege there; `on conflict` takes `select`.
pub const ROLES: &[Role] = &[
    Role { name: "register", tables: &[("users", &[Select, Insert, Update])] },
    Role {
        name: "login",
        tables: &[
            ("users", &[Select, Update]),
            ("sessions", &[Select, Insert]),
            ("login_failures", &[Select, Insert, Update, Delete]),
        ],
    },
    Role {
        name: "refresh",
        tables: &[("sessions", &[Select, Update]), ("connections", &[Select, Update, Delete])],
    },
    Role {
        name: "logout",
        tables: &[("sessions", &[Select, Update]), ("connections", &[Select, Update, Delete])],
    },
    Role {
        name: "messages",
        tables: &[
            ("sessions", &[Select]),
            ("messages", &[Select]),
            ("message_sequence", &[Select]),
        ],
    },
    Role {
        name: "presence",
        tables: &[("sessions", &[Select]), ("connections", &[Select, Update, Delete])],
    },
    Role {
        name: "connect",
        tables: &[("sessions", &[Select]), ("connections", &[Select, Insert, Update, Delete])],
    },
    Role {
        name: "message",
        tables: &[
            ("sessions", &[Select]),
            ("connections", &[Select, Update, Delete]),
            ("messages", &[Select, Insert]),
            ("message_sequence", &[Select, Update]),
            ("send_rates", &[Select, Insert, Update]),
        ],
    },
    Role {
        name: "disconnect",
        tables: &[("sessions", &[Select]), ("connections", &[Select, Update, Delete])],
    },
    Role {
        name: "broadcast",
        tables: &[
            ("sessions", &[Select]),
            ("connections", &[Select, Update, Delete]),
            ("messages", &[Select]),
        ],
    },
];

/// The ARN of each function's IAM role, by the name of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArns(BTreeMap<String, String>);

impl RoleArns {
    /// Takes one for every role and for nobody else.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub fn new(arns: BTreeMap<String, String>) -> Result<Self, String> {
        let names = ROLES.iter().map(|role| role.name);
        let missing: Vec<&str> = names.clone().filter(|name| !arns.contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(format!("lacks {}", missing.join(", ")));
        }
        for (name, arn) in &arns {
            if !names.clone().any(|role| role == name) {
                let names: Vec<&str> = names.collect();
                return Err(format!("names {name:?}, which is none of {}", names.join(", ")));
            }
            if !is_role_arn(arn) {
                return Err(format!(
                    "has for {name} what is not the ARN of an IAM role, such as arn:aws:iam::123456789012:role/{name}"
                ));
            }
        }
        Ok(Self(arns))
    }
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`, of characters that IAM allows there, among which no quote is.
fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else { return false };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
    arn == "arn"
        && partition.starts_with("aws")
        && partition.bytes().all(is_name)
        && (service, region) == ("iam", "")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource
            .strip_prefix("role/")
            .is_some_and(|name| !name.is_empty() && name.bytes().all(is_name))
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::{Privilege, ROLES, RoleArns};
    use crate::{
        error::Result,
        store::{Store, dsql, with_db},
    };

    impl Store {
        /// Makes the roles of Aurora DSQL and gives them what they may do. Lets `arns` take them on, and takes that from all
        /// others but `arns_before`, whose functions may still run. Again changes nothing.
        ///
        /// # Errors
        /// When the database is away or refuses something.
        pub async fn keep_roles(
            &self,
            arns: &RoleArns,
            arns_before: Option<&RoleArns>,
        ) -> Result<()> {
            let there: Vec<String> = with_db!(self.writer, |db| {
                sqlx::query_scalar("select rolname::text from pg_roles").fetch_all(db).await
            })?;
            for role in ROLES.iter().filter(|role| !there.iter().any(|name| name == role.name)) {
                self.make_role(role.name).await?;
            }
            self.open_schema().await?;
            self.grant_privileges().await?;
            self.keep_arns(arns, arns_before).await
        }

        /// Takes from the roles what they may no longer do. Not before the last function that did it is gone.
        ///
        /// # Errors
        /// When the database is away or refuses something.
        pub async fn take_stray_privileges(&self) -> Result<()> {
            for (name, table, privilege) in self.privileges().await? {
                let Some(role) = ROLES.iter().find(|role| role.name == name) else { continue };
                let is_due = role.tables.iter().any(|(due, privileges)| {
                    *due == table && privileges.iter().any(|due| due.to_string() == privilege)
                });
                if !is_due {
                    let sql = format!("revoke {privilege} on {table} from \"{name}\"");
                    self.run_step(&sql).await?;
                }
            }
            Ok(())
        }

        /// There is no `if not exists`: somebody may just be making it.
        async fn make_role(&self, name: &str) -> Result<()> {
            self.run_step(&format!("create role {name} with login")).await
        }

        async fn open_schema(&self) -> Result<()> {
            let open: sqlx::Result<Vec<String>> = with_db!(self.writer, |db| {
                sqlx::query_scalar(
                    "select rolname::text from pg_roles where has_schema_privilege(rolname, $1, 'usage')",
                )
                .bind(dsql::SCHEMA)
                .fetch_all(db)
                .await
            });
            // Where that can't be known, all is granted again, which does no harm.
            let open = open.unwrap_or_default();
            for role in ROLES.iter().filter(|role| !open.iter().any(|name| name == role.name)) {
                let sql = format!("grant usage on schema {} to \"{}\"", dsql::SCHEMA, role.name);
                self.run_step(&sql).await?;
            }
            Ok(())
        }

        async fn grant_privileges(&self) -> Result<()> {
            // Likewise.
            let there = self.privileges().await.unwrap_or_default();
            for role in ROLES {
                for (table, privileges) in role.tables {
                    let has = |privilege: &&Privilege| {
                        let privilege = privilege.to_string();
                        there.iter().any(|(grantee, on, what)| {
                            grantee == role.name && on == table && *what == privilege
                        })
                    };
                    let lacks = |privilege: &&Privilege| !has(privilege);
                    let lacking: Vec<String> =
                        privileges.iter().filter(lacks).map(ToString::to_string).collect();
                    if !lacking.is_empty() {
                        let privileges = lacking.join(", ");
                        let sql = format!("grant {privileges} on {table} to \"{}\"", role.name);
                        self.run_step(&sql).await?;
                    }
                }
            }
            Ok(())
        }

        /// Who may do what on which table.
        async fn privileges(&self) -> Result<Vec<(String, String, String)>> {
            Ok(with_db!(self.writer, |db| {
                sqlx::query_as(
                    "select grantee::text, table_name::text, lower(privilege_type::text)
                     from information_schema.table_privileges where table_schema = current_schema()",
                )
                .fetch_all(db)
                .await
            })?)
        }

        async fn keep_arns(&self, arns: &RoleArns, before: Option<&RoleArns>) -> Result<()> {
            for (role, arn) in &arns.0 {
                let there = self.arns_of(role).await?;
                if !there.contains(arn) {
                    let granted = self.run_step(&format!("AWS IAM GRANT {role} TO '{arn}'")).await;
                    // There is no `if not exists`: somebody else may just have done it.
                    if granted.is_err() && !self.arns_of(role).await?.contains(arn) {
                        return granted;
                    }
                }
                let old = before.and_then(|before| before.0.get(role));
                for other in there.iter().filter(|other| *other != arn && Some(*other) != old) {
                    let other = other.replace('\'', "''");
                    self.run_step(&format!("AWS IAM REVOKE {role} FROM '{other}'")).await?;
                }
            }
            Ok(())
        }

        /// Who may take on a role.
        async fn arns_of(&self, role: &str) -> Result<Vec<String>> {
            Ok(with_db!(self.writer, |db| {
                sqlx::query_scalar(
                    "select arn::text from sys.iam_pg_role_mappings where pg_role_name = $1",
                )
                .bind(role)
                .fetch_all(db)
                .await
            })?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_an_arn_and_nobody_else() {
        let good: BTreeMap<String, String> = ROLES
            .iter()
            .map(|role| {
                (role.name.to_owned(), format!("arn:aws:iam::123456789012:role/chat/{}", role.name))
            })
            .collect();
        assert!(RoleArns::new(good.clone()).is_ok());
        let mut lacking = good.clone();
        lacking.remove("broadcast");
        assert_eq!(RoleArns::new(lacking).unwrap_err(), "lacks broadcast");
        for (role, arn, problem) in [
            ("admin", "arn:aws:iam::123456789012:role/x", "names \"admin\""),
            ("login", "arn:aws:iam::123456789012:user/x", "has for login"),
            ("login", "arn:aws:iam::12345678901:role/x", "has for login"),
            ("login", "arn:aws:iam::123456789012:role/x'; drop", "has for login"),
            ("login", "arn:aws:iam::123456789012:role/", "has for login"),
            ("login", "arn:aws:iam:eu-west-1:123456789012:role/x", "has for login"),
            ("login", "*", "has for login"),
            ("login", "", "has for login"),
        ] {
            let mut bad = good.clone();
            bad.insert(role.to_owned(), arn.to_owned());
            let error = RoleArns::new(bad).unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}
