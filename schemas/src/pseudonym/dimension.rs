//! Which dimensions can name a person. In: a name, by the lake's column or the event's field; out: a [`Dimension`], or why it is none.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::budget::ScopeKey;
use crate::dimension::Text;
use crate::directory::normal;

/// What pseudonyms begin with.
pub(super) const PREFIXES: [&str; 2] = ["u-", "p-"];

/// Texts by which a call is read and priced. They name no person and are never covered: a covered one would be priced otherwise.
const NEVER: [Text; 8] = [
    Text::ProviderSent,
    Text::Model,
    Text::Operation,
    Text::PayloadKind,
    Text::ServiceTier,
    Text::Region,
    Text::Status,
    Text::CostCenter,
];

/// Texts that tell calls apart: what stands for them must do that, too.
const IDS: [Text; 10] = [
    Text::EventId,
    Text::EventSource,
    Text::Organization,
    Text::ResponseId,
    Text::TraceId,
    Text::SpanId,
    Text::ParentSpanId,
    Text::RunId,
    Text::ItemId,
    Text::SessionId,
];

/// Whether a text may be covered at all.
#[must_use]
pub fn is_covered(text: Text) -> bool {
    !NEVER.contains(&text)
}

/// Whether calls are told apart by a text.
#[must_use]
pub fn is_id(text: Text) -> bool {
    IDS.contains(&text)
}

/// A dimension whose values can name a person. It is written as the lake's column (`user_id`, `customer`) or as `tags.NAME`; an event's name is
/// read as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dimension(ScopeKey);

impl Dimension {
    /// Users.
    pub const USER: Self = Self(ScopeKey::Text(Text::UserId));

    /// As budgets and the directory name it.
    #[must_use]
    pub const fn scope_key(&self) -> &ScopeKey {
        &self.0
    }

    /// Its text column; `None` for a tag.
    #[must_use]
    pub const fn column(&self) -> Option<Text> {
        match &self.0 {
            ScopeKey::Text(text) => Some(*text),
            _ => None,
        }
    }

    /// The name of its tag; `None` for a column.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match &self.0 {
            ScopeKey::Tag(name) => Some(name),
            _ => None,
        }
    }

    /// The form by which values are the same.
    #[must_use]
    pub fn normal<'v>(&self, value: &'v str) -> Cow<'v, str> {
        if self.folds() { normal(&self.0, value).into() } else { value.into() }
    }

    /// Whether case and blanks around a value are no difference.
    pub(super) fn folds(&self) -> bool {
        *self == Self::USER
    }

    pub(super) fn prefix(&self) -> &'static str {
        if *self == Self::USER { PREFIXES[0] } else { PREFIXES[1] }
    }
}

impl TryFrom<ScopeKey> for Dimension {
    type Error = String;

    fn try_from(key: ScopeKey) -> Result<Self, String> {
        match key {
            ScopeKey::Text(text) if is_covered(text) => Ok(Self(key)),
            ScopeKey::Tag(_) => Ok(Self(key)),
            key => Err(format!("'{key}' names no person; write a dimension such as user_id, customer or tags.NAME")),
        }
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let column = ScopeKey::texts().find(|text| text.column() == name);
        let key = column.map_or_else(|| name.parse(), |text| Ok(ScopeKey::Text(text)));
        Self::try_from(key.map_err(|error| error.to_string())?)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ScopeKey::Text(text) => out.pad(text.column()),
            key => out.pad(&key.to_string()),
        }
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Dimension;

    fn shown(name: &str) -> String {
        name.parse::<Dimension>().map_or_else(|error| error, |dimension| dimension.to_string())
    }

    #[test]
    fn a_dimension_is_known_by_its_column_and_by_the_events_name() {
        assert_eq!((shown("user_id"), shown("user")), ("user_id".to_owned(), "user_id".to_owned()));
        assert_eq!((shown("customer"), shown("tags.email")), ("customer".to_owned(), "tags.email".to_owned()));
        for name in ["model", "cost_center", "region"] {
            assert!(shown(name).contains("names no person"), "{name}: {}", shown(name));
        }
        assert!(shown("id").contains("differs in every call"), "{}", shown("id"));
        assert!(shown("usr").contains("did you mean 'user'"), "{}", shown("usr"));
    }
}
