//! A configured text that must not be seen: kept as it was typed, shown nowhere, revealed to who needs it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A text that is never shown: itself, or `env:NAME` for the variable that holds it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variable that holds it, when it is written as `env:NAME`.
    pub fn variable(&self) -> Option<&str> {
        self.0.strip_prefix("env:")
    }

    /// The text itself; `variable` reads one from the environment.
    ///
    /// # Errors
    /// When the variable is not set or empty, in one line that names it.
    pub fn reveal(&self, variable: impl FnOnce(&str) -> Option<String>) -> Result<String, String> {
        let Some(name) = self.variable() else { return Ok(self.0.clone()) };
        variable(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("is env:{name}, but the environment variable {name} is not set"))
    }

    /// Whether it is a variable, or a text of which `test` holds.
    pub(super) fn is_variable_or(&self, test: impl FnOnce(&str) -> bool) -> bool {
        self.variable().map_or_else(|| test(&self.0), |name| !name.is_empty())
    }

    fn shown(&self) -> &str {
        if self.0.is_empty() || self.variable().is_some() { &self.0 } else { "***" }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not through `Text`: its message for a wrong type would show the value.
        String::deserialize(deserializer).map(Self).map_err(|_| D::Error::custom("a secret is a text or \"env:NAME\""))
    }
}
