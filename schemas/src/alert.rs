//! Alerts: what they are about, how urgent, and the ids that let each fire once whatever crashes.
//!
//! Raising, storing and sending them is done elsewhere; an id is a function of what happened alone.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::budget::ResolvedScope;

/// A word that names no kind or level.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{word}' is no {what}; write one of {known}")]
pub struct UnknownWord {
    word: String,
    what: &'static str,
    known: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $type:ident, $what:literal, $($(#[$each:meta])* $name:ident = $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $type { $($(#[$each])* $name,)* }

        impl $type {
            pub const ALL: [$type; [$($word),*].len()] = [$($type::$name),*];

            /// As it is written in JSON, the store and metrics.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(self.word())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::ALL.into_iter().find(|known| known.word() == word).ok_or_else(|| UnknownWord {
                    word: word.to_owned(),
                    what: $what,
                    known: Self::ALL.map(Self::word).join(", "),
                })
            }
        }
    };
}

words! {
    /// What an alert is about.
    Kind, "kind of alert",
    /// A threshold below 100 % was crossed.
    ThresholdWarning = "threshold_warning",
    /// 100 % or more of an amount that is no hard limit.
    ThresholdExceeded = "threshold_exceeded",
    /// A hard limit refuses calls.
    LimitReached = "limit_reached",
    /// The projected spend crosses a forecast threshold.
    ForecastBreach = "forecast_breach",
    /// A series left what was expected of it.
    Anomaly = "anomaly",
    /// Usage without a price.
    UnpricedUsage = "unpriced_usage",
    /// Live totals and the lake differed.
    Reconciliation = "reconciliation",
    DailySummary = "daily_summary",
    /// A condition that was alerted is over.
    Recovery = "recovery",
    /// Spend without an owner.
    Unallocated = "unallocated",
}

words! {
    /// How urgent an alert is, least first.
    Level, "level",
    Info = "info",
    Warning = "warning",
    Critical = "critical",
    Emergency = "emergency",
}

/// Whether a threshold was compared with what is spent or with what is projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    Actual,
    Forecast,
}

/// What happened, as it is stored, published and sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// 32 hexadecimal digits, from [`budget_alert_id`] or [`series_alert_id`]; `-2`, `-3` … behind them once what was taken back comes again.
    pub id: String,
    pub kind: Kind,
    pub level: Level,
    pub budget_id: Option<String>,
    pub scope: ResolvedScope,
    /// One line.
    pub title: String,
    pub message: String,
    /// The figure that was seen: money or a percentage, as text.
    pub value: String,
    /// The figure it was compared with.
    pub threshold: String,
    pub currency: String,
    pub period_start: Option<DateTime<Utc>>,
    /// Exclusive.
    pub period_end: Option<DateTime<Utc>>,
    /// Of the event that made it happen.
    pub event_time: DateTime<Utc>,
    pub raised_at: DateTime<Utc>,
    /// Who is told, as the directory names them.
    pub owner: Option<String>,
    /// What else a reader may want: causes, contributors, offsets.
    #[serde(default)]
    pub details: serde_json::Value,
}

impl Alert {
    /// What a recovery takes back, and what comes again after that: a threshold of a budget in a scope, by what is spent or by the pace, in its
    /// period. Windows that roll have no periods: what goes on is one thing. `None` for what is no threshold's.
    #[must_use]
    pub fn condition(&self) -> Option<String> {
        let budget = self.budget_id.as_deref()?;
        let (basis, threshold) = (self.detail("basis")?, self.detail("threshold_percent")?);
        // A day and the month that begins with it are two.
        let end = self.period_end.map(|end| end.timestamp().to_string()).unwrap_or_default();
        let period =
            if self.is_rolling() { "rolling".to_owned() } else { format!("{}/{end}", self.detail("occurrence")?) };
        Some(format!("{budget}\n{}\n{basis}\n{threshold}\n{period}", self.scope))
    }

    /// The id that a recovery of it has, whoever finds it; `None` for what is no threshold's.
    #[must_use]
    pub fn recovery_id(&self) -> Option<String> {
        let basis = if self.detail("basis")? == "forecast" { Basis::Forecast } else { Basis::Actual };
        let occurrence = self.detail("occurrence")?.parse().ok()?;
        let threshold = self.detail("threshold_percent")?.parse().ok()?;
        let revision = self.details.get("revision")?.as_i64()?;
        let id = self.budget_id.as_deref()?;
        Some(budget_alert_id(id, revision, &self.scope, occurrence, Kind::Recovery, basis, threshold))
    }

    /// When the figures behind it were looked at, by the clock of who did; it may have waited for the store since.
    #[must_use]
    pub fn seen(&self) -> DateTime<Utc> {
        self.detail("seen").and_then(|seen| seen.parse().ok()).unwrap_or(self.raised_at)
    }

    /// Whether it is about a window that rolls.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        self.details.get("rolling").is_some_and(|rolling| rolling == true)
    }

    /// Whether it is a recovery because a period is over, which says nothing of the next one.
    #[must_use]
    pub fn is_period_over(&self) -> bool {
        self.details.get(PERIOD_OVER).is_some_and(|over| over == true)
    }

    fn detail(&self, name: &str) -> Option<&str> {
        self.details.get(name)?.as_str()
    }
}

/// Of the details of a recovery: true where only the period is over. That closes incidents and is no message of its own.
pub const PERIOD_OVER: &str = "period_over";

/// The id of an alert about a budget. `occurrence` is the start of the period; for a rolling one the time at which the
/// condition began. A change of the budget's rules (its revision) makes it another alert.
#[must_use]
pub fn budget_alert_id(
    budget_id: &str,
    revision: i64,
    scope: &ResolvedScope,
    occurrence: DateTime<Utc>,
    kind: Kind,
    basis: Basis,
    threshold: Decimal,
) -> String {
    let mut hash = Hash::new("budget");
    hash.part(budget_id).part(&revision.to_string());
    for (key, value) in scope.iter() {
        hash.part(&key.to_string()).optional(value);
    }
    hash.part(&occurrence.to_rfc3339_opts(SecondsFormat::AutoSi, true)).part(kind.word());
    hash.part(match basis {
        Basis::Actual => "actual",
        Basis::Forecast => "forecast",
    });
    hash.part(&threshold.normalize().to_string()).finish()
}

/// The id of an alert about a series (an anomaly, unpriced usage, a summary …): one per series, window and kind.
#[must_use]
pub fn series_alert_id(series: &str, window: DateTime<Utc>, kind: Kind) -> String {
    let mut hash = Hash::new("series");
    hash.part(series).part(&window.to_rfc3339_opts(SecondsFormat::AutoSi, true)).part(kind.word()).finish()
}

/// Length before content, so that no two lists of parts run together to the same bytes.
struct Hash(Sha256);

impl Hash {
    fn new(what: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.part(what);
        hash
    }

    fn part(&mut self, text: &str) -> &mut Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// A missing value is no value, not even an empty one.
    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.part(text);
            }
            None => self.0.update(u64::MAX.to_le_bytes()),
        }
    }

    fn finish(&mut self) -> String {
        let digest = self.0.finalize_reset();
        digest.iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
            hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{DateTime, Utc};
    use rust_decimal::Decimal;

    use super::{Basis, Kind, Level, budget_alert_id, series_alert_id};
    use crate::budget::{ResolvedScope, ScopeKey};

    fn cell(value: Option<&str>) -> ResolvedScope {
        ResolvedScope::new([("user".parse::<ScopeKey>().unwrap(), value.map(str::to_owned))])
    }

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_never_changes_between_versions() {
        let id = |threshold: &str| {
            let june = time("2026-06-01T00:00:00Z");
            let threshold: Decimal = threshold.parse().unwrap();
            budget_alert_id("b1", 1, &cell(Some("ann")), june, Kind::ThresholdWarning, Basis::Actual, threshold)
        };
        assert_eq!(id("80"), "9eca8858ec5acd45a2f7dbac8df8ff09");
        assert_eq!(id("80.00"), id("80"));
        assert_eq!(
            series_alert_id("team=search", time("2026-06-01T10:00:00Z"), Kind::Anomaly),
            "2abf58f7d317f59a6b3a1e7e1c90f73f"
        );
    }

    #[test]
    fn every_part_makes_another_alert() {
        let (june, july) = (time("2026-06-01T00:00:00Z"), time("2026-07-01T00:00:00Z"));
        let (ann, nobody, empty) = (cell(Some("ann")), cell(None), cell(Some("")));
        let (fifty, eighty) = (Decimal::from(50), Decimal::from(80));
        let (actual, forecast, warning) = (Basis::Actual, Basis::Forecast, Kind::ThresholdWarning);
        let all = [
            budget_alert_id("b", 1, &ann, june, warning, actual, eighty),
            budget_alert_id("c", 1, &ann, june, warning, actual, eighty),
            budget_alert_id("b", 2, &ann, june, warning, actual, eighty),
            budget_alert_id("b", 1, &nobody, june, warning, actual, eighty),
            budget_alert_id("b", 1, &empty, june, warning, actual, eighty),
            budget_alert_id("b", 1, &ann, july, warning, actual, eighty),
            budget_alert_id("b", 1, &ann, june, Kind::Recovery, actual, eighty),
            budget_alert_id("b", 1, &ann, june, warning, forecast, eighty),
            budget_alert_id("b", 1, &ann, june, warning, actual, fifty),
            series_alert_id("b", june, warning),
            series_alert_id("b", july, warning),
            series_alert_id("b", june, Kind::Anomaly),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn words_read_back_and_levels_are_ordered() {
        for kind in Kind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
        assert!(Level::Info < Level::Warning && Level::Critical < Level::Emergency);
        assert_eq!(
            "high".parse::<Level>().unwrap_err().to_string(),
            "'high' is no level; write one of info, warning, critical, emergency"
        );
    }
}
