//! Whether a month may be closed. In: what is known of it, and the time. Out: the first reason why not. Pure.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use spendstream_schemas::statement::Month;

/// What was asked for, and what is known.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub month: Month,
    /// Exclusive.
    pub end: DateTime<Utc>,
    pub now: DateTime<Utc>,
    /// Event time that all partitions have reached.
    pub watermark: DateTime<Utc>,
    /// How long after its end events of a period may come.
    pub lateness: Duration,
    pub unpriced_calls: i64,
    /// Close before the lateness has passed.
    pub force: bool,
    pub allow_unpriced: bool,
}

/// Why not; `None`: it may.
#[must_use]
pub fn refusal(asked: &Asked) -> Option<String> {
    let Asked { month, end, now, watermark, unpriced_calls, .. } = *asked;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    if now < end {
        return Some(format!("{month} is not over: it ends at {}", time(end)));
    }
    let settled = end + chrono::TimeDelta::from_std(asked.lateness).unwrap_or_default();
    if watermark < settled && !asked.force {
        return Some(format!(
            "events of {month} may still come: all partitions have been read up to {}, and it settles at {} \
             (live.allowed_lateness after its end); wait, or close it now with --force",
            time(watermark),
            time(settled)
        ));
    }
    if unpriced_calls > 0 && !asked.allow_unpriced {
        return Some(format!(
            "{unpriced_calls} calls of {month} have no price, and would be in no money of it; price them \
             (`spendstream sql \"SELECT provider, model, unpriced_reason, count(*) FROM usage WHERE price_status = 'unpriced' GROUP BY 1, 2, 3\"` \
             says which), or close it with --allow-unpriced: a later price is an adjustment then"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Asked, refusal};

    fn asked(now: &str) -> Asked {
        let now = now.parse().unwrap();
        Asked {
            month: "2026-10".parse().unwrap(),
            end: "2026-11-01T00:00:00Z".parse().unwrap(),
            now,
            watermark: now,
            lateness: Duration::from_hours(1),
            unpriced_calls: 0,
            force: false,
            allow_unpriced: false,
        }
    }

    #[test]
    fn a_month_is_closed_once_it_is_over_settled_and_priced() {
        let early = asked("2026-10-31T23:59:59Z");
        let unsettled = asked("2026-11-01T00:59:59Z");
        let settled = asked("2026-11-01T01:00:00Z");
        let unpriced = Asked { unpriced_calls: 3, ..settled };
        for (asked, expected) in [
            (early, Some("is not over")),
            (Asked { force: true, ..early }, Some("is not over")),
            (unsettled, Some("--force")),
            (Asked { force: true, ..unsettled }, None),
            (settled, None),
            (unpriced, Some("3 calls of 2026-10 have no price")),
            (Asked { force: true, ..unpriced }, Some("--allow-unpriced")),
            (Asked { allow_unpriced: true, ..unpriced }, None),
        ] {
            let found = refusal(&asked);
            assert_eq!(found.is_some(), expected.is_some(), "{asked:?}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{asked:?}");
        }
    }
}
