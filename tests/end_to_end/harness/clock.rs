//! The clock on the wall, for what the binary measures by it: the age of a day.

use chrono::{NaiveDate, Utc};

/// Today, UTC.
#[expect(clippy::disallowed_methods, reason = "tiers go by the clock on the wall")]
pub fn today() -> NaiveDate {
    Utc::now().date_naive()
}
