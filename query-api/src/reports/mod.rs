//! Reports: in come parameters by name, out comes a [`Document`] that says over what it was made, and its bytes in one of several forms.
//!
//! ```text
//!  words ─▶ asked (time, zone, filters) ─▶ statement (SQL) ─▶ reader (rows) ─▶ the report ─▶ document ─▶ write
//! ```
//!
//! One report per file: [`summary`], [`runs`], [`overview`] (of a day or a month), [`chargeback`]. What divides money is pure: [`split`], [`shares`].
//! HTTP and the command line ask by the same words and get the same bytes. All rows are read by [`reader`], at one version of the lake; every figure
//! is the answer of a statement that the document can show. Nothing here writes the lake.

pub mod asked;
pub mod chargeback;
pub mod dimension;
pub mod document;
pub mod focus;
pub mod overview;
pub mod reader;
pub mod runs;
pub mod shares;
pub mod split;
pub mod statement;
pub mod summary;
pub mod write;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use spendstream_schemas::pseudonym::Pseudonyms;
use thiserror::Error;

use self::document::Document;
use crate::error::QueryError;
use crate::sql::engine::Engine;
use crate::words::Words;

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Summary,
    Runs,
    Daily,
    Monthly,
    Chargeback,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Summary, Kind::Runs, Kind::Daily, Kind::Monthly, Kind::Chargeback];

    /// Its name, in addresses and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Runs => "runs",
            Self::Daily => "daily",
            Self::Monthly => "monthly",
            Self::Chargeback => "chargeback",
        }
    }

    /// The report of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Where HTTP has it.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Summary => "/v1/summary".to_owned(),
            _ => format!("/v1/reports/{}", self.name()),
        }
    }
}

/// What reports are made from, beside what is asked for.
pub struct Ground<'a> {
    pub engine: &'a Engine,
    pub now: DateTime<Utc>,
    /// Where days and months begin, unless a report says otherwise.
    pub zone: Tz,
    /// The lake's currency.
    pub currency: &'a str,
    /// What stands for persons in the lake.
    pub pseudonyms: &'a Pseudonyms,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// It was not asked for rightly: one line that says what to write.
    #[error("{0}")]
    Asked(String),
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl From<String> for ReportError {
    fn from(why: String) -> Self {
        Self::Asked(why)
    }
}

/// Makes a report. Its statements are in it only when `explain=sql` was asked for.
///
/// # Errors
/// When a parameter is wrong or unknown, and as any query.
pub async fn make(kind: Kind, ground: &Ground<'_>, mut words: Words) -> Result<Document, ReportError> {
    let explain = words.explain()?;
    let mut document = match kind {
        Kind::Summary => Box::pin(summary::make(ground, words)).await?,
        Kind::Runs => Box::pin(runs::make(ground, words)).await?,
        Kind::Daily => Box::pin(overview::make(overview::Of::Day, ground, words)).await?,
        Kind::Monthly => Box::pin(overview::make(overview::Of::Month, ground, words)).await?,
        Kind::Chargeback => Box::pin(chargeback::make(ground, words)).await?,
    };
    if !explain {
        document.parts.iter_mut().for_each(|part| part.sql = None);
    }
    Ok(document)
}

#[cfg(test)]
mod tests;
