//! What goes wrong, as clients that speak PostgreSQL see it. In: an error; out: an SQLSTATE, one line and a hint. Pure, but for faults of ours, which
//! are logged in full and sent without their inside.

use crate::error::QueryError;

/// One error. The code is one of PostgreSQL's, which drivers turn into their own kinds of errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    /// What to do, where the message has that after a semicolon.
    pub hint: Option<String>,
}

impl Failure {
    /// What comes after the message's first semicolon becomes the hint.
    #[must_use]
    pub fn new(code: &'static str, text: &str) -> Self {
        let (message, hint) = match text.split_once("; ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text.to_owned(), None),
        };
        Self { code, message, hint }
    }

    #[must_use]
    pub fn protocol(text: &str) -> Self {
        Self::new("08P01", text)
    }

    #[must_use]
    pub fn cancelled() -> Self {
        Self::new("57014", "the query was cancelled by its client")
    }

    #[must_use]
    pub fn failed_transaction() -> Self {
        Self::new("25P02", "a statement of this transaction failed; end it with ROLLBACK")
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let text = error.to_string();
        let code = match &error {
            QueryError::Refused(_) => "25006",
            QueryError::StatementTooLarge { .. }
            | QueryError::TooManyRows { .. }
            | QueryError::AnswerTooLarge { .. } => "54000",
            QueryError::Shape(_) => "0A000",
            QueryError::Sql(_) => sql_code(&text),
            QueryError::Execution(_) if text.contains("Divide by zero") => "22012",
            QueryError::Execution(_) => "22000",
            QueryError::NoRoom { .. } => "53100",
            QueryError::Memory { .. } => "53200",
            QueryError::Timeout { .. } => "57014",
            QueryError::Busy { .. } => "53300",
            QueryError::NoLake { .. } => "3D000",
            QueryError::Lake { .. } | QueryError::Config(_) => {
                tracing::warn!(detail = %text, "the lake does not answer");
                "58030"
            }
            QueryError::Store => "58000",
            QueryError::Internal(_) => {
                tracing::error!(detail = %text, "a query failed by a fault of the query engine");
                return Self::new("XX000", "the query engine failed; the server's log says more");
            }
        };
        Self::new(code, &text)
    }
}

/// The engine has one kind for all that cannot be planned.
fn sql_code(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["syntax error"]) {
        "42601"
    } else if has(&["table '", "table not found"]) && has(&["not found"]) {
        "42P01"
    } else if has(&["no field named"]) {
        "42703"
    } else if has(&["invalid function", "unknown function"]) {
        "42883"
    } else if has(&["ambiguous"]) {
        "42702"
    } else {
        "42000"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Failure;
    use crate::error::QueryError;

    #[test]
    fn each_kind_has_its_code_and_what_to_do_is_the_hint() {
        let sql = |text: &str| QueryError::Sql(text.to_owned());
        for (error, code) in [
            (QueryError::Refused("DELETE does not read".into()), "25006"),
            (sql("syntax error: Expected: an expression"), "42601"),
            (sql("table 'spendstream.public.nothing' not found"), "42P01"),
            (sql("No field named cots"), "42703"),
            (QueryError::Timeout { limit: Duration::from_secs(1) }, "57014"),
            (QueryError::Execution("Divide by zero error".into()), "22012"),
        ] {
            assert_eq!(Failure::from(error).code, code);
        }
        let failure = Failure::from(QueryError::TooManyRows { limit: 10 });
        assert_eq!(failure.message, "the answer has more than query.max_rows = 10 rows");
        assert_eq!(failure.hint.as_deref(), Some("aggregate, add a LIMIT, or raise query.max_rows"));
        assert!(!Failure::from(QueryError::Internal("a secret".into())).message.contains("secret"));
    }
}
