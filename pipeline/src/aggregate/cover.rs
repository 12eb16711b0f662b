//! Which buckets of a watch are held. In: how it is cut, the time, the watermark. Out: a [`Cover`]: spans whose sums are kept, and the bucket
//! of a quarter-hour. Pure: a bucket outside is not known, which is not the same as empty.

use spendstream_schemas::budget::{PeriodRule, Quarter, Span};

use super::plan::Bucketing;

/// Events may be a day ahead of their message; two hours more, so that a cover outlives some failed reconciliations.
pub const AHEAD: i32 = 104;
/// Periods that are held because the watermark is still in them; what is further back is read again when it is touched.
const BEHIND: usize = 8;
/// Closed periods that are held because late events touched them.
pub const REOPENED: usize = 16;

/// The time, as windows see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// By the wall clock.
    pub now: Quarter,
    /// Before which nothing is expected any more: the watermark less the allowed lateness, never after `now`.
    pub settled: Quarter,
}

/// Spans that are held, in order, without overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    spans: Vec<Span>,
    /// True: every quarter-hour is a bucket. False: every span is one.
    fine: bool,
}

impl Cover {
    /// What is held of a watch; `reopened` are quarter-hours of closed periods that late events touched.
    #[must_use]
    pub fn of(bucketing: &Bucketing, times: Times, reopened: &[Quarter]) -> Self {
        match bucketing {
            Bucketing::Quarters { keep } => {
                let keep = i32::try_from(*keep).unwrap_or(i32::MAX);
                let lateness = times.now.0.saturating_sub(times.settled.0).clamp(0, AHEAD);
                let from = times.now.plus(1).plus(-keep).plus(-lateness);
                Self { spans: vec![Span { from, to: times.now.plus(AHEAD) }], fine: true }
            }
            Bucketing::Calendar(rule) => {
                let mut spans = around(rule, times);
                spans.extend(reopened.iter().map(|quarter| rule.span(*quarter)));
                spans.sort_unstable();
                spans.dedup();
                Self { spans, fine: false }
            }
        }
    }

    /// The bucket of a quarter-hour; `None` when it is not held.
    #[must_use]
    pub fn bucket(&self, quarter: Quarter) -> Option<Quarter> {
        let at = self.spans.partition_point(|span| span.to <= quarter);
        let span = self.spans.get(at).filter(|span| span.contains(quarter))?;
        Some(if self.fine { quarter } else { span.from })
    }

    /// Whether every moment of a span is held, and its ends are ends of buckets.
    #[must_use]
    pub fn holds(&self, span: Span) -> bool {
        let mut from = span.from;
        if self.bucket(from) != Some(from) {
            return false;
        }
        while from < span.to {
            let at = self.spans.partition_point(|held| held.to <= from);
            let Some(held) = self.spans.get(at).filter(|held| held.contains(from)) else { return false };
            from = if self.fine { held.to.min(span.to) } else { held.to };
        }
        from == span.to
    }

    /// The spans, in order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Whether every quarter-hour is a bucket of its own.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.fine
    }

    /// Gives up what `newer` no longer holds; never takes anything on, since that has to be read first.
    pub fn shrink(&mut self, newer: &Cover) {
        if self.fine {
            if let (Some(held), Some(newer)) = (self.spans.first_mut(), newer.spans.first()) {
                held.from = held.from.max(newer.from).min(held.to);
            }
        } else {
            self.spans.retain(|span| newer.spans.contains(span));
        }
    }
}

/// The periods from where the watermark is to a day ahead, the newest first when they are too many.
fn around(rule: &PeriodRule, times: Times) -> Vec<Span> {
    let mut spans = vec![rule.span(times.now)];
    while let Some(last) = spans.last().filter(|last| last.to <= times.now.plus(AHEAD)) {
        let next = rule.next(*last);
        spans.push(next);
    }
    let mut first = spans[0];
    for _ in 0..BEHIND {
        if first.from <= times.settled {
            break;
        }
        first = rule.previous(first);
        spans.push(first);
    }
    spans
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::budget::{Period, PeriodRule, Quarter, Span};

    use super::{AHEAD, Cover, Times};
    use crate::aggregate::plan::Bucketing;

    /// 2026-11-22T18:00:00Z.
    const NOW: Quarter = Quarter(1_994_856);

    fn daily() -> Bucketing {
        Bucketing::Calendar(PeriodRule { period: Period::Daily, timezone: chrono_tz::UTC, starts_on: None })
    }

    fn times(settled: i32) -> Times {
        Times { now: NOW, settled: NOW.plus(settled) }
    }

    fn day(number: i32) -> Span {
        let from = Quarter(NOW.0 - 72).plus(96 * number);
        Span { from, to: from.plus(96) }
    }

    #[test]
    fn a_calendar_watch_holds_the_open_periods_and_a_day_ahead() {
        let cover = Cover::of(&daily(), times(-4), &[]);
        assert_eq!(cover.spans(), [day(0), day(1)]);
        assert_eq!(cover.bucket(NOW), Some(day(0).from));
        assert_eq!(cover.bucket(day(0).from.plus(-1)), None);
        assert!(cover.holds(day(0)) && cover.holds(Span { from: day(0).from, to: day(1).to }));
        assert!(!cover.holds(day(-1)) && !cover.holds(Span { from: NOW, to: day(0).to }));
        // The watermark is still in yesterday; a late event touched a day of last week.
        let cover = Cover::of(&daily(), times(-100), &[NOW.plus(-96 * 7), NOW.plus(-96 * 7 + 1)]);
        assert_eq!(cover.spans(), [day(-7), day(-1), day(0), day(1)]);
        assert!(!cover.holds(Span { from: day(-7).from, to: day(0).to }));
        // A backlog of a year is not held as a year of days.
        assert_eq!(Cover::of(&daily(), times(-96 * 365), &[]).spans().len(), 10);
    }

    #[test]
    fn a_rolling_watch_holds_its_quarters() {
        let cover = Cover::of(&Bucketing::Quarters { keep: 4 }, times(-4), &[]);
        assert_eq!(cover.spans(), [Span { from: NOW.plus(-7), to: NOW.plus(AHEAD) }]);
        assert_eq!(cover.bucket(NOW.plus(-7)), Some(NOW.plus(-7)));
        assert_eq!(cover.bucket(NOW.plus(-8)), None);
        assert!(cover.holds(Span { from: NOW.plus(-3), to: NOW.plus(1) }));
        assert!(!cover.holds(Span { from: NOW.plus(-9), to: NOW.plus(1) }));
    }

    #[test]
    fn shrinking_gives_up_and_takes_nothing_on() {
        let mut cover = Cover::of(&daily(), times(-100), &[]);
        assert_eq!(cover.spans(), [day(-1), day(0), day(1)]);
        let later = Times { now: NOW.plus(96), settled: NOW.plus(92) };
        cover.shrink(&Cover::of(&daily(), later, &[]));
        assert_eq!(cover.spans(), [day(1)]);
        let mut cover = Cover::of(&Bucketing::Quarters { keep: 4 }, times(-4), &[]);
        cover.shrink(&Cover::of(&Bucketing::Quarters { keep: 4 }, later, &[]));
        assert_eq!(cover.spans(), [Span { from: NOW.plus(96 - 7), to: NOW.plus(AHEAD) }]);
    }
}
