//! What is asked for by name: in come pairs of names and texts, as they stand after a `?` or behind the options of a command; out come values, or one
//! clear line. Names that nobody takes are left over. Pure.

use std::fmt::Display;
use std::str::FromStr;

/// Entries of a page.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

/// Pairs that are not taken yet.
#[derive(Clone, Debug, Default)]
pub struct Words(Vec<(String, String)>);

impl Words {
    /// # Errors
    /// When a name is there twice.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, String> {
        for (position, (name, _)) in pairs.iter().enumerate() {
            if pairs[..position].iter().any(|(other, _)| other == name) {
                return Err(format!("the parameter '{name}' is there twice"));
            }
        }
        Ok(Self(pairs))
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        let position = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(position).1)
    }

    /// `example` is a value that would be right.
    ///
    /// # Errors
    /// When the text is no such value.
    pub fn take_as<T: FromStr<Err: Display>>(&mut self, name: &str, example: &str) -> Result<Option<T>, String> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let wrong = |error| format!("{name}={text} cannot be read ({error}); write {name}={example}");
        text.parse().map(Some).map_err(wrong)
    }

    /// How many entries the page has at most.
    ///
    /// # Errors
    /// When it is not from 1 to 1000.
    pub fn limit(&mut self) -> Result<usize, String> {
        let limit = self.take_as::<usize>("limit", "100")?.unwrap_or(PAGE);
        if (1..=MAX_PAGE).contains(&limit) {
            Ok(limit)
        } else {
            Err(format!("limit={limit} is out of range; a page has 1 to {MAX_PAGE} entries"))
        }
    }

    /// `explain=sql`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn explain(&mut self) -> Result<bool, String> {
        match self.take("explain").as_deref() {
            None => Ok(false),
            Some("sql") => Ok(true),
            Some(other) => Err(format!("explain={other} is not known; write explain=sql")),
        }
    }

    /// What begins with `prefix`, without it, in the order of the names.
    pub fn take_all(&mut self, prefix: &str) -> Vec<(String, String)> {
        let is_one = |(name, _): &(String, String)| name.starts_with(prefix);
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(is_one);
        self.0 = left;
        let mut taken: Vec<_> = taken;
        for (name, _) in &mut taken {
            name.drain(..prefix.len());
        }
        taken.sort();
        taken
    }

    /// All that is left, in the order of the names.
    pub fn rest(&mut self) -> Vec<(String, String)> {
        self.take_all("")
    }

    /// # Errors
    /// When something is left.
    pub fn end(self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("there is no parameter '{name}' here; /openapi.json lists them")),
        }
    }
}
