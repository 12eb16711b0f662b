//! Time-of-day and weekday windows of a price, UTC: `01:00-04:00 06:00-10:00 mon-fri`.
//!
//! A window includes its start and excludes its end; one whose end is not after its start runs past midnight and
//! belongs to the day it starts on. Without days it holds every day.

use std::fmt;

use super::instant::DAY;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ALL_DAYS: u8 = 0b111_1111;
const MINUTES: u16 = 24 * 60;
const WEEK: u16 = 7 * MINUTES;

/// When a scheduled price holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Schedule {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes of the day, from inclusive, to exclusive.
    windows: Vec<(u16, u16)>,
}

impl Schedule {
    /// Reads the text form; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut days = 0;
        let mut windows = Vec::new();
        for word in text.split_whitespace() {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                let (from, to) = word.split_once('-')?;
                let (from, to) = (minutes(from)?, minutes(to)?);
                (from < MINUTES && from != to).then_some(())?;
                windows.push((from, to));
            } else {
                for part in word.split(',') {
                    days |= day_range(part)?;
                }
            }
        }
        windows.sort_unstable();
        (!windows.is_empty()).then_some(Self { days: if days == 0 { ALL_DAYS } else { days }, windows })
    }

    /// One schedule per window, on the same days: two lists may write the same windows as one line or as several.
    #[must_use]
    pub fn windows(&self) -> Vec<Self> {
        self.windows.iter().map(|window| Self { days: self.days, windows: vec![*window] }).collect()
    }

    /// Both as one, where they hold on the same days.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Option<Self> {
        let mut windows: Vec<_> = self.windows.iter().chain(&other.windows).copied().collect();
        windows.sort_unstable();
        windows.dedup();
        (self.days == other.days).then_some(Self { days: self.days, windows })
    }

    /// Whether some minute of the week lies in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let theirs = other.spans();
        self.spans().iter().any(|(from, to)| theirs.iter().any(|(start, end)| from < end && start < to))
    }

    /// Minutes of the week at which a window begins or ends.
    pub(super) fn edges(&self) -> impl Iterator<Item = u16> {
        self.spans().into_iter().flat_map(|(from, to)| [from, to])
    }

    /// Whether a minute of the week, counted from Monday, lies in one of the windows.
    pub(super) fn has_minute(&self, minute: u16) -> bool {
        self.spans().iter().any(|(from, to)| (*from..*to).contains(&minute))
    }

    /// The windows as minutes of the week, from inclusive, to exclusive; one past Sunday's midnight is in two parts.
    fn spans(&self) -> Vec<(u16, u16)> {
        let mut spans = Vec::new();
        for day in (0..7).filter(|day| self.days >> day & 1 == 1) {
            for &(from, to) in &self.windows {
                let length = if from < to { to - from } else { to + MINUTES - from };
                let start = day * MINUTES + from;
                let end = start + length;
                spans.push((start, end.min(WEEK)));
                if end > WEEK {
                    spans.push((0, end - WEEK));
                }
            }
        }
        spans
    }

    /// Whether a moment (microseconds since the epoch, UTC) lies in one of the windows.
    #[must_use]
    pub fn contains(&self, micros: i64) -> bool {
        // 1970-01-01 was a Thursday, which is day 3 counted from Monday.
        let day = (micros.div_euclid(DAY) + 3).rem_euclid(7);
        let minute = micros.rem_euclid(DAY) / 60_000_000;
        let on = |day: i64| self.days >> day.rem_euclid(7) & 1 == 1;
        self.windows.iter().any(|&(from, to)| {
            let (from, to) = (i64::from(from), i64::from(to));
            if from < to {
                on(day) && (from..to).contains(&minute)
            } else {
                (on(day) && minute >= from) || (on(day - 1) && minute < to)
            }
        })
    }
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (hour <= 24 && minute < 60).then(|| hour * 60 + minute).filter(|minutes| *minutes <= MINUTES)
}

fn day_range(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|d| *d == name);
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (day(from)?, day(to)?),
        None => (day(text)?, day(text)?),
    };
    (from <= to).then(|| (from..=to).fold(0, |days, day| days | 1 << day))
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (from, to)) in self.windows.iter().enumerate() {
            let gap = if position == 0 { "" } else { " " };
            write!(out, "{gap}{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        match self.days {
            ALL_DAYS => Ok(()),
            0b001_1111 => out.write_str(" mon-fri"),
            days => {
                let names: Vec<_> = (0..7).filter(|day| days >> day & 1 == 1).map(|day| DAYS[day]).collect();
                write!(out, " {}", names.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::price_book::instant;

    fn holds(schedule: &str, time: &str) -> bool {
        Schedule::parse(schedule).unwrap().contains(instant::parse(time).unwrap())
    }

    #[test]
    fn windows_include_their_start_and_exclude_their_end() {
        // 2026-11-20 is a Friday.
        for (schedule, time, expected) in [
            ("01:00-04:00 06:00-10:00 mon-fri", "2026-11-20T01:00:00Z", true),
            ("01:00-04:00 06:00-10:00 mon-fri", "2026-11-20T03:59:59.999999Z", true),
            ("01:00-04:00 06:00-10:00 mon-fri", "2026-11-20T04:00:00Z", false),
            ("01:00-04:00 06:00-10:00 mon-fri", "2026-11-20T09:00:00Z", true),
            ("01:00-04:00 06:00-10:00 mon-fri", "2026-11-21T09:00:00Z", false),
            ("16:30-00:30", "2026-11-20T16:30:00Z", true),
            ("16:30-00:30", "2026-11-20T00:29:00Z", true),
            ("16:30-00:30", "2026-11-20T00:30:00Z", false),
            ("22:00-02:00 fri", "2026-11-21T01:00:00Z", true),
            ("22:00-02:00 fri", "2026-11-20T01:00:00Z", false),
            ("22:00-24:00 sat,sun", "2026-11-22T23:59:00Z", true),
        ] {
            assert_eq!(holds(schedule, time), expected, "{schedule} at {time}");
        }
    }

    #[test]
    fn schedules_overlap_where_they_share_a_minute_of_the_week() {
        for (one, two, expected) in [
            ("01:00-04:00", "04:00-06:00", false),
            ("01:00-04:00", "03:59-06:00", true),
            ("01:00-04:00 mon-fri", "01:00-04:00 sat,sun", false),
            ("22:00-02:00 fri", "01:00-03:00 sat", true),
            ("22:00-02:00 fri", "02:00-03:00 sat", false),
            ("22:00-02:00 sun", "00:00-01:00 mon", true),
        ] {
            let (one, two) = (Schedule::parse(one).unwrap(), Schedule::parse(two).unwrap());
            assert_eq!(one.overlaps(&two), expected, "{one} and {two}");
            assert_eq!(two.overlaps(&one), expected, "{two} and {one}");
        }
    }

    #[test]
    fn windows_come_apart_and_together_again() {
        let schedule = Schedule::parse("01:00-04:00 06:00-10:00 mon-fri").unwrap();
        let [first, second] = &schedule.windows()[..] else { panic!("two windows") };
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("01:00-04:00 mon-fri".into(), "06:00-10:00 mon-fri".into())
        );
        assert_eq!(second.joined(first), Some(schedule));
        assert_eq!(first.joined(&Schedule::parse("06:00-10:00").unwrap()), None);
    }

    #[test]
    fn the_text_reads_back_and_nonsense_does_not() {
        for text in ["00:30-16:30", "01:00-04:00 06:00-10:00 mon-fri", "22:00-24:00 sat,sun"] {
            assert_eq!(Schedule::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "mon-fri",
            "25:00-26:00",
            "01:00",
            "01:00-01:00",
            "1-2",
            "01:00-04:00 someday",
            "1093:00-02:00",
            "24:01-25:00",
        ] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
