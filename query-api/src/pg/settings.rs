//! The settings of a session: what `SHOW` says and what `SET` takes. In: names and values; out: values. Pure.
//!
//! A setting that changes how answers look is fixed (times are UTC, text is UTF-8); every other is remembered and has no effect, but
//! `statement_timeout`, which the session obeys.

use std::collections::BTreeMap;
use std::time::Duration;

/// The version of PostgreSQL that clients are to take this for: its protocol, its types and its catalog.
pub const SERVER_VERSION: &str = "16.6";

/// What is said at the start, and what each setting is until it is set. Names as PostgreSQL spells them.
const DEFAULTS: [(&str, &str); 26] = [
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("DateStyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("IntervalStyle", "postgres"),
    ("is_superuser", "off"),
    ("lc_messages", "C"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", "160006"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("TimeZone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
];

/// Reported at the start, and each time one changes.
const REPORTED: [&str; 13] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "search_path",
    "server_encoding",
    "server_version",
    "standard_conforming_strings",
    "TimeZone",
];

/// What cannot be set to anything else, because answers are as it says.
const FIXED: [&str; 11] = [
    "bytea_output",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "IntervalStyle",
    "is_superuser",
    "search_path",
    "server_version",
    "standard_conforming_strings",
    "TimeZone",
    "transaction_read_only",
];
/// Settings of a session that nobody here knows; more are not remembered.
const MOST: usize = 64;

/// What `version()` says.
#[must_use]
pub fn full_version() -> String {
    format!("PostgreSQL {SERVER_VERSION} (spendstream {}, SQL of Apache DataFusion)", env!("CARGO_PKG_VERSION"))
}

/// The value of a setting that nobody set.
#[must_use]
pub fn default_of(name: &str) -> Option<&'static str> {
    DEFAULTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// What became of a `SET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// Taken; the setting to report, if it is one of those.
    Taken(Option<(&'static str, String)>),
    /// Accepted without effect: what stays as it is.
    Stays { name: &'static str, value: &'static str },
    /// It is no value of this setting.
    Wrong(String),
}

/// See the module. One per session.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// What is reported when a session starts.
    pub fn reported(&self) -> impl Iterator<Item = (&'static str, String)> {
        REPORTED.iter().filter_map(|name| Some((*name, self.get(name)?)))
    }

    /// The value of a setting, by its name in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(&name.to_ascii_lowercase()).cloned().or_else(|| default_of(name).map(str::to_owned))
    }

    /// Every setting, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(String, String)> {
        DEFAULTS.iter().map(|(name, _)| ((*name).to_owned(), self.get(name).unwrap_or_default())).collect()
    }

    /// Sets one; `None` is its default.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Set {
        let key = name.to_ascii_lowercase();
        let known = DEFAULTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((name, fixed)) = known.filter(|(name, _)| FIXED.contains(name)) {
            let same = value.is_none_or(|value| is_same(value, fixed));
            return if same { Set::Taken(None) } else { Set::Stays { name, value: fixed } };
        }
        if let Some(value) = value.filter(|_| key == "statement_timeout")
            && duration(value).is_none()
        {
            return Set::Wrong(format!("'{value}' is no value of statement_timeout; write milliseconds, or 30s"));
        }
        match value {
            Some(value) if known.is_some() || self.0.len() < MOST => {
                self.0.insert(key, value.to_owned());
            }
            Some(_) => {}
            None => {
                self.0.remove(&key);
            }
        }
        let reported = REPORTED.iter().find(|known| known.eq_ignore_ascii_case(name));
        Set::Taken(reported.map(|name| (*name, self.get(name).unwrap_or_default())))
    }

    /// Sets all back.
    pub fn reset(&mut self) {
        self.0.clear();
    }

    /// How long a statement may take by the session's own word.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<Duration> {
        duration(self.0.get("statement_timeout")?).filter(|limit| !limit.is_zero())
    }
}

/// Whether a client asks for what is so already: `utf-8` for `UTF8`, `ISO` for `ISO, MDY`, `Etc/UTC` for `UTC`.
fn is_same(value: &str, fixed: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' ', '"', '\''], "");
    let (value, fixed) = (plain(value), plain(fixed));
    let utc = ["utc", "etc/utc", "gmt", "zulu", "unicode"];
    value == fixed
        || fixed.starts_with(&format!("{value},"))
        || (fixed == "utc" && utc.contains(&value.as_str()))
        || (fixed == "utf8" && value == "unicode")
        || (fixed == "on" && ["true", "1", "yes"].contains(&value.as_str()))
        || (fixed == "public" && value.contains("public"))
}

/// Milliseconds, or a number with ms, s, min, h or d.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let each = match text.get(digits..)?.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(each)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Set, Settings};

    #[test]
    fn what_answers_depend_on_stays_and_the_rest_is_remembered() {
        let mut settings = Settings::default();
        let stays = Set::Stays { name: "TimeZone", value: "UTC" };
        for (name, value, expected) in [
            ("timezone", "Europe/Berlin", stays),
            ("TimeZone", "Etc/UTC", Set::Taken(None)),
            ("datestyle", "ISO", Set::Taken(None)),
            ("client_encoding", "'utf-8'", Set::Taken(None)),
            ("application_name", "psql", Set::Taken(Some(("application_name", "psql".into())))),
            ("my.own", "x", Set::Taken(None)),
        ] {
            assert_eq!(settings.set(name, Some(value)), expected, "{name}");
        }
        assert_eq!(settings.get("MY.OWN").as_deref(), Some("x"));
        assert_eq!(settings.get("nothing"), None);
        assert!(matches!(settings.set("statement_timeout", Some("soon")), Set::Wrong(_)));
        settings.set("statement_timeout", Some("2s"));
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
        settings.reset();
        assert_eq!(settings.statement_timeout(), None);
    }
}
