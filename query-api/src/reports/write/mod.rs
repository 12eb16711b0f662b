//! Forms of reports: in comes a document, out come its bytes. Pure: no form asks anything, or loads from elsewhere.
//!
//! JSON, HTML, XLSX and text have all of it. CSV, Parquet, Arrow and NDJSON have the first table, and what the report says of itself in columns of each row.

mod archive;
mod html;
mod json;
mod rows;
mod xlsx;

use crate::error::QueryError;
use crate::format::Format;

use super::document::Document;

/// A form of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    Json,
    Html,
    Xlsx,
    /// For a terminal.
    Text,
    /// One table.
    Rows(Format),
}

impl Form {
    pub const ALL: [Form; 8] = [
        Form::Json,
        Form::Html,
        Form::Xlsx,
        Form::Text,
        Form::Rows(Format::Csv),
        Form::Rows(Format::Parquet),
        Form::Rows(Format::Arrow),
        Form::Rows(Format::NdJson),
    ];

    /// The word in `format=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Xlsx => "xlsx",
            Self::Text => "text",
            Self::Rows(format) => format.name(),
        }
    }

    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Text => "text/plain; charset=utf-8",
            Self::Rows(format) => format.media_type(),
        }
    }

    /// The form of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn by_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|form| form.name().eq_ignore_ascii_case(name));
        let known = || Self::ALL.map(Self::name).join(", ");
        found.ok_or_else(|| format!("there is no format '{name}'; there are {}", known()))
    }

    /// The first form that an `Accept` header allows; JSON where it allows anything.
    #[must_use]
    pub fn by_accept(accept: &str) -> Option<Self> {
        accept.split(',').find_map(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            let ours = Self::ALL.into_iter().find(|form| form.media_type().split(';').next() == Some(range));
            ours.or_else(|| matches!(range, "" | "*/*" | "application/*").then_some(Self::Json))
        })
    }
}

/// The bytes of a report.
///
/// # Errors
/// When a form has no room for it.
pub fn write(document: &Document, form: Form) -> Result<Vec<u8>, QueryError> {
    match form {
        Form::Json => Ok(json::json(document)),
        Form::Html => Ok(html::html(document).into_bytes()),
        Form::Xlsx => xlsx::xlsx(document).map_err(|error| unwritable("XLSX", &error)),
        Form::Text => rows::print(document).map_err(|error| unwritable("text", &error)),
        Form::Rows(format) => rows::rows(document, format).map_err(|error| unwritable(format.name(), &error)),
    }
}

fn unwritable(form: &str, error: &dyn std::fmt::Display) -> QueryError {
    QueryError::Execution(format!("this report cannot be written as {form}: {error}"))
}

#[cfg(test)]
mod tests;
