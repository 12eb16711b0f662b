//! What can go wrong with a query: in comes a failure of a library, out goes one clear line that says what, where and what to do.
//!
//! Never carries an inner stack trace, a credential or the text of somebody's rows.

use std::time::Duration;

use datafusion::common::DataFusionError;
use deltalake_core::DeltaTableError;
use spendstream_storage::brief;
use thiserror::Error;

/// A query that was not answered. How it looks over HTTP is decided in [`crate::http::problem`].
#[derive(Debug, Error)]
pub enum QueryError {
    /// The statement is not one that reads: what it would do, and what is allowed.
    #[error("refused: {0}; this interface only reads (SELECT, WITH, VALUES, EXPLAIN, SHOW, DESCRIBE)")]
    Refused(String),
    /// The text is longer than `query.max_statement_bytes`.
    #[error("the statement has {got} bytes, more than query.max_statement_bytes = {limit}")]
    StatementTooLarge { got: usize, limit: usize },
    /// No statement, several, or nested beyond what can be planned.
    #[error("{0}")]
    Shape(String),
    /// The SQL cannot be parsed or planned: a typing error, an unknown column, a wrong type.
    #[error("{0}")]
    Sql(String),
    /// It was planned, but a value made it fail: a division by zero, a cast, an overflow.
    #[error("the query failed: {0}")]
    Execution(String),
    #[error("the answer has more than query.max_rows = {limit} rows; aggregate, add a LIMIT, or raise query.max_rows")]
    TooManyRows { limit: usize },
    #[error(
        "the answer has more than query.max_answer_bytes = {limit} bytes; aggregate, add a LIMIT, name fewer columns, or raise it"
    )]
    AnswerTooLarge { limit: usize },
    /// The temporary directory cannot take an answer.
    #[error(
        "a long answer cannot wait in the temporary directory (TMPDIR): {detail}; make room there, or ask for less"
    )]
    NoRoom { detail: String },
    #[error("the query needs more memory than query.memory_bytes = {limit} leaves: {detail}")]
    Memory { limit: usize, detail: String },
    #[error("the query ran longer than query.timeout = {}; narrow it (filter on date) or raise query.timeout", show(*.limit))]
    Timeout { limit: Duration },
    #[error("all query.concurrency = {concurrency} queries stayed busy for {}; try again later", show(*.waited))]
    Busy { concurrency: usize, waited: Duration },
    #[error(
        "there is no table usage at {uri} yet; write one with `spendstream pipeline` or `spendstream demo`, \
         or name another lake (lake.uri, --lake)"
    )]
    NoLake { uri: String },
    #[error("the lake {uri} cannot be read: {detail}")]
    Lake { uri: String, detail: String },
    /// `lake.uri` or `lake.options` cannot be used.
    #[error("{0}")]
    Config(String),
    /// A table of the control store cannot be read.
    #[error("the control store (store.url) does not answer; tables of the lake can still be read")]
    Store,
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl QueryError {
    /// Sorts a failure of the query engine; `memory` is the pool's size, for the message.
    #[must_use]
    pub fn from_engine(error: &DataFusionError, memory: usize) -> Self {
        let root = error.find_root();
        let detail = one_line(&root.strip_backtrace());
        match root {
            DataFusionError::ResourcesExhausted(detail) => {
                Self::Memory { limit: memory, detail: one_line(first_line(detail)) }
            }
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Configuration(_) => {
                Self::Sql(misplaced(&detail).unwrap_or_else(|| strip_prefixes(&detail)))
            }
            DataFusionError::Execution(_) | DataFusionError::ArrowError(..) => Self::Execution(strip_prefixes(&detail)),
            DataFusionError::Diagnostic(_, inner) => Self::from_engine(inner, memory),
            // A filter that is computed while the rows are read.
            DataFusionError::ParquetError(error) if failed_filter(&error.to_string()).is_some() => {
                Self::Execution(failed_filter(&error.to_string()).unwrap_or_default())
            }
            DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_) => {
                Self::Lake { uri: "in use".into(), detail: brief(&strip_prefixes(&detail)) }
            }
            DataFusionError::External(inner) if inner.is::<spendstream_control::Error>() => {
                tracing::warn!(error = %inner, "the control store does not answer a query");
                Self::Store
            }
            DataFusionError::External(inner) => match inner.downcast_ref::<DeltaTableError>() {
                Some(error) => Self::Lake { uri: "in use".into(), detail: brief(&error.to_string()) },
                None => Self::Internal(strip_prefixes(&detail)),
            },
            _ => Self::Internal(strip_prefixes(&detail)),
        }
    }

    /// A short word for metrics and problem types.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::StatementTooLarge { .. } => "statement_too_large",
            Self::Shape(_) | Self::Sql(_) => "sql",
            Self::Execution(_) => "execution",
            Self::TooManyRows { .. } => "row_limit",
            Self::AnswerTooLarge { .. } => "answer_limit",
            Self::NoRoom { .. } => "no_room",
            Self::Memory { .. } => "memory_limit",
            Self::Timeout { .. } => "timeout",
            Self::Busy { .. } => "busy",
            Self::NoLake { .. } => "no_lake",
            Self::Lake { .. } => "lake",
            Self::Config(_) => "config",
            Self::Store => "store_unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

/// Every line break and run of blanks becomes one blank.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn first_line(text: &str) -> &str {
    text.split(" with top memory consumers").next().unwrap_or(text).lines().next().unwrap_or(text)
}

/// The engine plans some subqueries only where they choose rows, and says so with the inside of its plan.
fn misplaced(detail: &str) -> Option<String> {
    let (_, expression) = detail.split_once("Physical plan does not support logical expression ")?;
    if expression.starts_with("OuterReferenceColumn(") {
        return Some("a query within this one reads its columns where only a join can (LATERAL, or below an aggregate); write it as a join".into());
    }
    let what = [("InSubquery(", "IN (SELECT …)"), ("Exists(", "EXISTS (SELECT …)"), ("ScalarSubquery(", "(SELECT …)")];
    let (_, what) = what.into_iter().find(|(start, _)| expression.starts_with(start))?;
    Some(format!(
        "{what} cannot stand here: it may choose rows (WHERE, HAVING, ON), but not be a column, a CASE or a FILTER, nor have a LIMIT \
         beside columns of the outer query; LEFT JOIN what it selects (DISTINCT) and test its column for IS NOT NULL instead"
    ))
}

/// What a value made fail within a filter, in the engine's words for it.
fn failed_filter(detail: &str) -> Option<String> {
    let (_, inner) = detail.split_once("Error evaluating filter predicate: ")?;
    if inner.contains("DivideByZero") {
        return Some("Divide by zero error".to_owned());
    }
    let (_, quoted) = inner.split_once("(\"")?;
    let (message, _) = quoted.split_once("\")")?;
    Some(one_line(message))
}

/// Drops the engine's own words for its error kinds; the reader cares about what follows.
fn strip_prefixes(text: &str) -> String {
    const PREFIXES: [&str; 10] = [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "Execution error: ",
        "Arrow error: ",
        "This feature is not implemented: ",
        "Invalid or Unsupported Configuration: ",
        "IO error: ",
        "Object Store error: ",
        "External error: ",
    ];
    let mut text = text;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    match text.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")")) {
        Some(inner) => format!("syntax error: {}", inner.replace("\\\"", "\"").replace("\\'", "'")),
        None => text.to_owned(),
    }
}

fn show(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}
