//! What stands after the `?`, and who asks: in come texts, out come values or one clear line. Names that nobody takes are
//! dimensions of a scope, or mistakes.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use spendstream_schemas::budget::ScopeKey;

use super::problem::{ApiError, Problem};
use crate::words::Words;

/// Who changes something; where keys are asked for, they say it.
pub(super) const ACTOR: &str = "x-spendstream-actor";
const MAX_ACTOR: usize = 200;

pub(super) type Given = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Parameters that are not taken yet.
pub(super) struct Parameters(Words);

impl Parameters {
    pub fn new(given: Given) -> Result<Self, Problem> {
        let Query(pairs) = given?;
        Words::new(pairs).map(Self).map_err(invalid)
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.take(name)
    }

    /// `example` is a value that would be right.
    pub fn take_as<T: FromStr<Err: Display>>(&mut self, name: &str, example: &str) -> Result<Option<T>, Problem> {
        self.0.take_as(name, example).map_err(invalid)
    }

    /// How many entries the page has at most.
    pub fn limit(&mut self) -> Result<usize, Problem> {
        self.0.limit().map_err(invalid)
    }

    /// `explain=sql`.
    pub fn explain(&mut self) -> Result<bool, Problem> {
        self.0.explain().map_err(invalid)
    }

    /// The rest: dimensions with their values.
    pub fn scope(mut self) -> Result<Vec<(ScopeKey, String)>, Problem> {
        let key =
            |name: &str| name.parse::<ScopeKey>().map_err(|error| invalid(format!("a parameter is wrong: {error}")));
        self.0.rest().into_iter().map(|(name, value)| Ok((key(&name)?, value))).collect()
    }

    /// All of them.
    pub fn words(self) -> Words {
        self.0
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Problem> {
        self.0.end().map_err(invalid)
    }
}

/// A part of a list that is at hand as a whole: `after` entries were seen before. The second is where the next page begins.
pub(super) fn page<T>(entries: Vec<T>, after: usize, limit: usize) -> (Vec<T>, Option<usize>) {
    let end = after.saturating_add(limit);
    let next = (entries.len() > end).then_some(end);
    (entries.into_iter().skip(after).take(limit).collect(), next)
}

/// The name in the audit log.
pub(super) fn actor(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(value) = headers.get(ACTOR) else { return Ok("http") };
    match value.to_str().map(str::trim) {
        Ok(name) if !name.is_empty() && name.len() <= MAX_ACTOR => Ok(name),
        _ => Err(invalid(format!("the header {ACTOR} is no name of 1 to {MAX_ACTOR} ASCII letters"))),
    }
}

/// A JSON body; `example` is one that would be right.
pub(super) fn json<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>, example: &str) -> Result<T, Problem> {
    serde_json::from_slice(&body?).map_err(|error| invalid(format!("the body is not like {example}: {error}")))
}

pub(super) fn invalid(detail: String) -> Problem {
    ApiError::Invalid(detail).into()
}
