//! What is wrong with a database, for whoever sets one up. Clients are told only that it is away.

use std::{error::Error as _, io};

use crate::error::Error;

/// A kind of trouble that somebody can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// SQLite: another program is writing and doesn't come to an end.
    Locked,
    /// SQLite: the file holds something else, or is damaged.
    NotADatabase,
    /// SQLite: the file can be neither opened nor made.
    NotOpened,
    /// SQLite: the file can be read only.
    ReadOnly,
    /// PostgreSQL: nobody listens at its address, or its name has none.
    NobodyThere,
    /// PostgreSQL: the user is unknown, or the password wrong.
    NotLetIn,
    /// PostgreSQL: the server has no database of that name.
    NoSuchDatabase,
    /// PostgreSQL: the user may not make tables.
    NotPermitted,
}

impl Trouble {
    /// The trouble behind what a [`Store`](super::Store) has returned, if it is one of these.
    pub fn of(error: &Error) -> Option<Self> {
        match error.source()?.downcast_ref()? {
            sqlx::Error::Io(error) => Self::of_io(error.kind()),
            sqlx::Error::Database(error) => Self::of_code(&error.code()?),
            _ => None,
        }
    }

    fn of_io(kind: io::ErrorKind) -> Option<Self> {
        match kind {
            // Some of what comes while frames are read: whoever is there speaks something else.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::TimedOut => {
                None
            }
            // A resolver's errors have no kind that could be named.
            _ => Some(Self::NobodyThere),
        }
    }

    /// PostgreSQL's codes have five characters. SQLite's are numbers, whose lowest byte is the kind.
    /// Source: <https://sqlite.org/rescode.html>.
    fn of_code(code: &str) -> Option<Self> {
        match code {
            "28P01" | "28000" => return Some(Self::NotLetIn),
            "3D000" => return Some(Self::NoSuchDatabase),
            "42501" => return Some(Self::NotPermitted),
            _ if code.len() == 5 => return None,
            _ => {}
        }
        match code.parse::<u32>().ok()? & 0xFF {
            5 | 6 => Some(Self::Locked),
            8 => Some(Self::ReadOnly),
            11 | 26 => Some(Self::NotADatabase),
            14 => Some(Self::NotOpened),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_what_is_wrong() {
        for (code, trouble) in [
            ("28P01", Some(Trouble::NotLetIn)),
            ("3D000", Some(Trouble::NoSuchDatabase)),
            ("42501", Some(Trouble::NotPermitted)),
            ("40001", None),
            // SQLITE_BUSY_SNAPSHOT, SQLITE_READONLY_DIRECTORY, SQLITE_CANTOPEN_ISDIR
            ("517", Some(Trouble::Locked)),
            ("1544", Some(Trouble::ReadOnly)),
            ("526", Some(Trouble::NotOpened)),
            ("26", Some(Trouble::NotADatabase)),
            ("1", None),
        ] {
            assert_eq!(Trouble::of_code(code), trouble, "{code}");
        }
    }
}
