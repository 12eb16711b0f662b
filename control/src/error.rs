//! What can go wrong, told apart by what the caller does next.

use spendstream_schemas::budget::Budget;
use thiserror::Error;

pub type Result<T> = std::result::Result<T, Error>;

/// Why the store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The database does not answer, or is busy beyond its time-out; later may work. HTTP 503.
    #[error("the control store does not answer: {0}")]
    Away(String),
    /// What was sent cannot be accepted: one line each. HTTP 422.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// HTTP 404.
    #[error("there is no {what} '{id}'")]
    NotFound { what: &'static str, id: String },
    /// It is not what was expected: changed meanwhile. This is what it is. HTTP 412.
    #[error("budget '{}' was changed meanwhile: it is at revision {}", .0.id, .0.revision)]
    Stale(Box<Budget>),
    /// It was changed meanwhile, or the name is taken. HTTP 409.
    #[error("{0}")]
    Conflict(String),
    /// What lies in the store is not what this version writes. HTTP 500.
    #[error("the control store holds what cannot be read: {0}")]
    Unreadable(String),
    /// The database refused a statement. HTTP 500.
    #[error("the control store refused: {0}")]
    Refused(String),
}

impl Error {
    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: id.to_owned() }
    }

    /// Whether the same call may work later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) if !passes(inner.code().as_deref().unwrap_or_default()) => {
                Self::Refused(inner.message().to_owned())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnIndexOutOfBounds { .. } => {
                Self::Unreadable(error.to_string())
            }
            sqlx::Error::Configuration(_) => Self::Refused(error.to_string()),
            _ => Self::Away(error.to_string()),
        }
    }
}

/// Codes of states that pass by themselves or by an operator's hand, not by another statement.
fn passes(code: &str) -> bool {
    // SQLite's codes are numbers, extended ones in the upper bits: busy, locked, read-only, I/O, full, cannot open.
    if let Ok(number) = code.parse::<u32>()
        && code.len() < 5
    {
        return matches!(number & 0xff, 5 | 6 | 8 | 10 | 13 | 14);
    }
    // PostgreSQL's: connection, resources, shutdown and recovery, system, serialization and deadlock, read-only standby.
    ["08", "53", "57P", "58", "40", "25006"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn busy_and_away_pass_and_mistakes_do_not() {
        for code in ["5", "517", "10", "778", "08006", "57P01", "57P03", "53300", "40P01", "40001", "25006"] {
            assert!(passes(code), "{code}");
        }
        for code in ["1", "19", "2067", "23505", "42601", "22001", ""] {
            assert!(!passes(code), "{code}");
        }
    }
}
