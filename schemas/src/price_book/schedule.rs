//! Time-of-day and weekday windows of a price, UTC: `01:00-04:00 06:00-10:00 mon-fri`.
//!
//! A window includes its start and excludes its end; one whose end is not after its start runs past midnight and
//! belongs to the day it starts on. Without days it holds every day.

use std::fmt;

use super::instant::DAY;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ALL_DAYS: u8 = 0b111_1111;
const MINUTES: u16 = 24 * 60;

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
    (minute < 60 && hour * 60 + minute <= MINUTES).then_some(hour * 60 + minute)
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
    fn the_text_reads_back_and_nonsense_does_not() {
        for text in ["00:30-16:30", "01:00-04:00 06:00-10:00 mon-fri", "22:00-24:00 sat,sun"] {
            assert_eq!(Schedule::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "mon-fri", "25:00-26:00", "01:00", "01:00-01:00", "1-2", "01:00-04:00 someday"] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
