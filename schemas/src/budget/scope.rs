//! What a budget, a block or a detector watches: a conjunction of dimensions and tags, as people write it
//! (`{"team": "search", "user": "*"}`), and the cell that an event falls into.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use crate::dimension::Text;
use crate::secret::{REMOVED, looks_secret, masked, tells_apart};

/// Dimensions that one scope may name.
pub const MAX_KEYS: usize = 8;
/// Bytes of one value.
pub const MAX_VALUE: usize = 1024;

/// A dimension that a scope can name. The order is that of the lake's columns, then tags by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKey {
    /// A text column, by its name in events.
    Text(Text),
    /// Filled from the directory; events have no such field.
    CostCenter,
    /// `tags.NAME`.
    Tag(String),
}

/// A name that is no dimension, or a value that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScopeError {
    #[error("'{0}' is no dimension; did you mean '{1}'?")]
    Misspelled(String, &'static str),
    #[error("'{0}' is no dimension; use the event's names, cost_center or tags.NAME")]
    Unknown(String),
    #[error("'{0}' differs in every call and cannot be watched")]
    PerCall(String),
    #[error("'{0}' names no tag; write tags.NAME")]
    EmptyTag(String),
    #[error("'{0}' has an empty value; leave the dimension out, or write \"*\" for one budget per value")]
    EmptyValue(String),
    #[error("'{0}' has a value longer than {MAX_VALUE} bytes")]
    LongValue(String),
    #[error("'{0}' has a control character in its value")]
    ControlCharacter(String),
    #[error(
        "'{0}' looks like an API key, and events keep none there; name its api_key_id, which may be the key: a hash of it is kept"
    )]
    Secret(String),
    #[error("names {0} dimensions; at most {MAX_KEYS} are watched together")]
    TooMany(usize),
}

/// Columns whose values are those of one call.
const PER_CALL: [Text; 3] = [Text::EventId, Text::ResponseId, Text::PromptHash];

impl ScopeKey {
    /// The texts that a scope can name.
    pub fn texts() -> impl Iterator<Item = Text> {
        Text::ALL.into_iter().filter(|text| !text.event_name().is_empty() && !PER_CALL.contains(text))
    }

    /// Its column in the table `usage`; a tag lies in the map column `tags`. A provider is compared by the price book's id
    /// (`aws` and `aws_bedrock` are one), every other dimension as it was sent.
    #[must_use]
    pub fn column(&self) -> &'static str {
        match self {
            Self::Text(Text::ProviderSent) => "provider",
            Self::Text(text) => text.column(),
            Self::CostCenter => Text::CostCenter.column(),
            Self::Tag(_) => "tags",
        }
    }
}

impl FromStr for ScopeKey {
    type Err = ScopeError;

    fn from_str(name: &str) -> Result<Self, ScopeError> {
        if let Some(tag) = name.strip_prefix("tags.") {
            return if tag.is_empty() {
                Err(ScopeError::EmptyTag(name.to_owned()))
            } else {
                Ok(Self::Tag(tag.to_owned()))
            };
        }
        match name {
            "cost_center" => return Ok(Self::CostCenter),
            // The event's own alias.
            "tenant" => return Ok(Self::Text(Text::Organization)),
            _ => {}
        }
        if let Some(text) = Self::texts().find(|text| text.event_name() == name) {
            return Ok(Self::Text(text));
        }
        if PER_CALL.iter().any(|text| text.event_name() == name) {
            return Err(ScopeError::PerCall(name.to_owned()));
        }
        let names = Self::texts().map(Text::event_name).chain(["cost_center", "tenant"]);
        Err(match nearest(name, names) {
            Some(near) => ScopeError::Misspelled(name.to_owned(), near),
            None => ScopeError::Unknown(name.to_owned()),
        })
    }
}

/// The name that was probably meant, if any is near.
pub(super) fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let lower = name.trim().to_lowercase().replace(['-', ' '], "_");
    let near = names.map(|known| (strsim::damerau_levenshtein(&lower, known), known)).min_by_key(|(far, _)| *far)?;
    // `user_id` for `user`, `costcentre` for `cost_center`: a third of the word may differ.
    let prefixed = lower.starts_with(near.1) || near.1.starts_with(&lower);
    (near.0 <= (near.1.len() / 3).max(1) || prefixed && !lower.is_empty()).then_some(near.1)
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text.event_name()),
            Self::CostCenter => out.write_str("cost_center"),
            Self::Tag(name) => write!(out, "tags.{name}"),
        }
    }
}

impl Serialize for ScopeKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What a scope says of one dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeValue {
    Is(String),
    /// `"*"`: each value by itself.
    Each,
}

impl Serialize for ScopeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Is(value) => value,
            Self::Each => "*",
        })
    }
}

/// All of its dimensions must fit; with none it is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(BTreeMap<ScopeKey, ScopeValue>);

/// A value as events keep it: of a key its hash, where calls are told apart by it; `None` where a key is taken out of them.
#[must_use]
pub fn kept<'v>(key: &ScopeKey, value: &'v str) -> Option<Cow<'v, str>> {
    match key {
        _ if !looks_secret(value) => Some(value.into()),
        ScopeKey::Text(text) if tells_apart(*text) => Some(masked(value).into()),
        _ => None,
    }
}

impl Scope {
    /// From names and values as people write them, `"*"` for each value.
    ///
    /// # Errors
    /// Everything that is wrong, one line each.
    pub fn new<'t>(pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self, Vec<ScopeError>> {
        let (mut scope, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, value) in pairs {
            match name.parse::<ScopeKey>() {
                Err(error) => errors.push(error),
                Ok(_) if value.is_empty() => errors.push(ScopeError::EmptyValue(name.to_owned())),
                Ok(_) if value.len() > MAX_VALUE => errors.push(ScopeError::LongValue(name.to_owned())),
                Ok(_) if value.chars().any(char::is_control) => {
                    errors.push(ScopeError::ControlCharacter(name.to_owned()));
                }
                Ok(key) if value == "*" => drop(scope.insert(key, ScopeValue::Each)),
                Ok(key) => match kept(&key, value) {
                    Some(value) => drop(scope.insert(key, ScopeValue::Is(value.into_owned()))),
                    None => errors.push(ScopeError::Secret(name.to_owned())),
                },
            }
        }
        if scope.len() > MAX_KEYS {
            errors.push(ScopeError::TooMany(scope.len()));
        }
        if errors.is_empty() { Ok(Self(scope)) } else { Err(errors) }
    }

    /// The same with other words for the values that `spell` knows better ones of.
    #[must_use]
    pub fn spelled(&self, spell: impl Fn(&ScopeKey, &str) -> Option<String>) -> Self {
        let values = self.0.iter().map(|(key, value)| {
            let spelled = match value {
                ScopeValue::Is(value) => spell(key, value).map(ScopeValue::Is),
                ScopeValue::Each => None,
            };
            (key.clone(), spelled.unwrap_or_else(|| value.clone()))
        });
        Self(values.collect())
    }

    /// The dimensions that it names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &ScopeKey> {
        self.0.keys()
    }

    /// Dimensions with what is said of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&ScopeKey, &ScopeValue)> {
        self.0.iter()
    }

    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it stands for one cell per value of some dimension.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.0.values().any(|value| *value == ScopeValue::Each)
    }

    /// Whether an event with these values falls under it. `"*"` wants a value, unless missing ones are a cell too.
    pub fn matches<'v>(&self, include_missing: bool, value_of: impl Fn(&ScopeKey) -> Option<&'v str>) -> bool {
        self.0.iter().all(|(key, wanted)| match wanted {
            ScopeValue::Is(wanted) => value_of(key) == Some(wanted.as_str()),
            ScopeValue::Each => include_missing || value_of(key).is_some(),
        })
    }

    /// The cell that an event with these values falls into; `None` when it does not match.
    pub fn resolve<'v>(
        &self,
        include_missing: bool,
        value_of: impl Fn(&ScopeKey) -> Option<&'v str>,
    ) -> Option<ResolvedScope> {
        self.matches(include_missing, &value_of)
            .then(|| ResolvedScope(self.0.keys().map(|key| (key.clone(), value_of(key).map(str::to_owned))).collect()))
    }

    /// Whether this scope names a value where `template` says each, and says the same everywhere else.
    #[must_use]
    pub fn narrows(&self, template: &Scope) -> bool {
        self != template
            && self.0.len() == template.0.len()
            && self
                .0
                .iter()
                .zip(&template.0)
                .all(|((key, mine), (other, theirs))| key == other && (mine == theirs || *theirs == ScopeValue::Each))
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(deserializer)?;
        // What was stored before keys were refused must still be read: as events have it.
        let kept = |(name, value): (&'_ String, &'_ String)| {
            let is_lost = name.parse().is_ok_and(|key| kept(&key, value).is_none());
            (name.clone(), if is_lost { REMOVED.to_owned() } else { value.clone() })
        };
        let map: Vec<_> = map.iter().map(kept).collect();
        Self::new(map.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .map_err(|errors| D::Error::custom(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
    }
}

/// `team=search, user=*`, or `everything`.
impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(out, self.0.iter().map(|(key, value)| (key, if let ScopeValue::Is(text) = value { text } else { "*" })))
    }
}

/// One cell: each dimension with its value, `None` where events carry none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResolvedScope(BTreeMap<ScopeKey, Option<String>>);

impl ResolvedScope {
    /// From dimensions and values.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (ScopeKey, Option<String>)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// The value of a dimension; `None` when it is missing or not part of the scope.
    #[must_use]
    pub fn get(&self, key: &ScopeKey) -> Option<&str> {
        self.0.get(key)?.as_deref()
    }

    /// Dimensions with their values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&ScopeKey, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key, value.as_deref()))
    }

    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }
}

/// `team=search, user=ann`, `user=(none)` for a missing value, or `everything`.
impl fmt::Display for ResolvedScope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(out, self.iter().map(|(key, value)| (key, value.unwrap_or("(none)"))))
    }
}

fn list<'a>(out: &mut fmt::Formatter<'_>, pairs: impl Iterator<Item = (&'a ScopeKey, &'a str)>) -> fmt::Result {
    let mut first = true;
    for (key, value) in pairs {
        write!(out, "{}{key}=", if first { "" } else { ", " })?;
        // On one line, whatever an event holds: messages to people are made of it.
        for part in value.chars().map(|c| if c.is_control() { ' ' } else { c }) {
            fmt::Write::write_char(out, part)?;
        }
        first = false;
    }
    if first { out.write_str("everything") } else { Ok(()) }
}

/// The provider that a scope names, by which its model is called.
#[must_use]
pub fn provider_of(scope: &Scope) -> Option<&str> {
    scope.iter().find_map(|(key, value)| match (key, value) {
        (ScopeKey::Text(Text::ProviderSent), ScopeValue::Is(provider)) => Some(provider.as_str()),
        _ => None,
    })
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
