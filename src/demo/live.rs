//! The line that moves while the demo runs: counts and a moment come in, text goes out. Never prints and never looks at a clock.

use std::collections::VecDeque;
use std::time::Duration;

use spendstream_schemas::money::{Amount, div_half_even};

/// What there is to see at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Since the first event.
    pub elapsed: Duration,
    /// Messages that went through the pipeline.
    pub messages: u64,
    /// Rows that are in the lake for good.
    pub committed_rows: u64,
    pub cost: Amount,
    pub unpriced: u64,
    pub duplicates: u64,
    pub rejected: u64,
}

/// Over how long the rate is taken.
const RATE_OVER: Duration = Duration::from_secs(3);

/// Remembers the last few moments for the rate.
#[derive(Debug, Default)]
pub struct Live {
    before: VecDeque<(Duration, u64)>,
}

impl Live {
    /// The line for this moment.
    pub fn line(&mut self, seen: &Seen) -> String {
        self.before.push_back((seen.elapsed, seen.messages));
        while self.before.len() > 2
            && self.before.get(1).is_some_and(|at| seen.elapsed.saturating_sub(at.0) >= RATE_OVER)
        {
            self.before.pop_front();
        }
        let seconds = seen.elapsed.as_secs();
        let mut line = format!(
            "{:02}:{:02}  {:>7} events/s  {:>9} events  {:>11}  {:>9} in the lake",
            seconds / 60,
            seconds % 60,
            count(self.rate(seen)),
            count(seen.messages),
            dollars(seen.cost),
            count(seen.committed_rows),
        );
        let odd = [
            (seen.unpriced, "UNPRICED", "UNPRICED"),
            (seen.duplicates, "repeat dropped", "repeats dropped"),
            (seen.rejected, "dead letter", "dead letters"),
        ];
        let odd = odd.into_iter().filter(|(number, ..)| *number > 0);
        line.extend(
            odd.map(|(number, one, many)| format!("  {} {}", count(number), if number == 1 { one } else { many })),
        );
        line
    }

    fn rate(&self, seen: &Seen) -> u64 {
        let Some((at, messages)) = self.before.front() else { return 0 };
        let millis = seen.elapsed.saturating_sub(*at).as_millis();
        let done = u128::from(seen.messages.saturating_sub(*messages));
        (done * 1_000).checked_div(millis).and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0)
    }
}

/// `1234567` as `1,234,567`.
pub fn count(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whole cents, rounded; what is less than one and not nothing gets as many digits as it needs to be seen.
pub fn dollars(amount: Amount) -> String {
    let cents = div_half_even(amount.units(), 10_000_000_000_000);
    if cents == 0 && !amount.is_zero() {
        let micros = div_half_even(amount.units(), 1_000_000_000);
        return format!("{}$0.{:06}", if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    }
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.abs();
    format!("{sign}${}.{:02}", count(cents / 100), cents % 100)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use spendstream_schemas::money::Amount;

    use super::{Live, Seen, count, dollars};

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(count(number), expected);
        }
    }

    #[test]
    fn money_is_rounded_for_the_eye_only() {
        let check = |units: i128, expected| assert_eq!(dollars(Amount::from_units(units).unwrap()), expected);
        check(0, "$0.00");
        check(1_234_567_890_000_000_000, "$1,234.57");
        check(-12_000_000_000_000_000, "-$12.00");
        check(2_520_000_000_000, "$0.002520");
    }

    #[test]
    fn the_rate_is_of_the_last_seconds() {
        let mut live = Live::default();
        let mut line = String::new();
        for (seconds, messages) in
            [(0, 0), (1, 1_000), (2, 2_000), (3, 3_000), (4, 3_000), (5, 3_000), (6, 3_000), (7, 9_000)]
        {
            line = live.line(&Seen { elapsed: Duration::from_secs(seconds), messages, ..Seen::default() });
        }
        assert!(line.starts_with("00:07    2,000 events/s      9,000 events"), "{line}");
        assert!(!line.contains("UNPRICED"));
    }
}
