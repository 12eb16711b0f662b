//! Quarter-hours, the grain of every live total: a time comes in, its quarter-hour goes out, and spans of them.
//!
//! All offsets in use today are whole quarter-hours, so local midnights fall between two of them in every zone.

use chrono::{DateTime, Utc};

/// Quarter-hours since the Unix epoch: event time / 900 s, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter(pub i32);

impl Quarter {
    /// Seconds of one.
    pub const SECONDS: i64 = 900;
    /// How many a day of 24 hours has.
    pub const PER_DAY: i32 = 96;

    /// The one that a time lies in; beyond 60 000 years from now the first or last there is.
    #[must_use]
    pub fn of(time: DateTime<Utc>) -> Self {
        Self::of_seconds(time.timestamp())
    }

    /// The one that microseconds since the epoch lie in, as the column `event_time` has them.
    #[must_use]
    pub fn of_micros(micros: i64) -> Self {
        Self::of_seconds(micros.div_euclid(1_000_000))
    }

    fn of_seconds(seconds: i64) -> Self {
        let number = seconds.div_euclid(Self::SECONDS);
        Self(i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX }))
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        // Every i32 is well inside chrono's range of years.
        DateTime::from_timestamp(i64::from(self.0) * Self::SECONDS, 0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// So many quarter-hours later (earlier when negative).
    #[must_use]
    pub fn plus(self, quarters: i32) -> Self {
        Self(self.0.saturating_add(quarters))
    }
}

/// Quarter-hours `from <= quarter < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub from: Quarter,
    pub to: Quarter,
}

impl Span {
    #[must_use]
    pub fn contains(self, quarter: Quarter) -> bool {
        self.from <= quarter && quarter < self.to
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.from.start()
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.to.start()
    }

    /// How many quarter-hours it has.
    #[must_use]
    pub fn quarters(self) -> i64 {
        i64::from(self.to.0) - i64::from(self.from.0)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::Quarter;

    #[test]
    fn times_before_the_epoch_round_down_too() {
        for (seconds, quarter) in [(0, 0), (899, 0), (900, 1), (-1, -1), (-900, -1), (-901, -2)] {
            assert_eq!(Quarter::of(DateTime::from_timestamp(seconds, 0).unwrap()), Quarter(quarter), "{seconds}");
            assert_eq!(Quarter::of_micros(seconds * 1_000_000), Quarter(quarter), "{seconds}");
        }
        assert_eq!(Quarter::of_micros(-1), Quarter(-1));
        assert_eq!(Quarter::of(DateTime::from_timestamp(8_000_000_000_000, 0).unwrap()), Quarter(i32::MAX));
    }
}
