//! Times as emitters write them, to microseconds since the epoch, UTC. No clock: "now" is the message's own timestamp.

use super::json::Node;
use super::reject::{Fault, Reason};

/// 2020-01-01T00:00:00Z.
const EARLIEST_MICROS: i64 = 1_577_836_800_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// RFC 3339 (`2026-11-22T18:00:00.123Z`, any offset, `t`, space and `z` too), truncated to microseconds. `None` when it is not.
#[must_use]
pub(super) fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes[4] != b'-' || bytes[7] != b'-' || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(&bytes[..4])?, digits(&bytes[5..7])?, digits(&bytes[8..10])?);
    let (hour, minute, second) = (digits(&bytes[11..13])?, digits(&bytes[14..16])?, digits(&bytes[17..19])?);
    // A leap second is the last second of its minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, rest) = fraction(&bytes[19..])?;
    let seconds =
        days_from_civil(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second.min(59) - offset(rest)?;
    Some(seconds * 1_000_000 + micros)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Microseconds of `.123456789`, and what follows.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let micros = rest[..length].iter().chain([b'0'; 6].iter()).take(6);
    Some((micros.fold(0, |value, byte| value * 10 + i64::from(byte - b'0')), &rest[length..]))
}

/// Seconds east of UTC of `Z` or `+01:00`.
fn offset(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest[2] == b':' => {
            let (hours, minutes) = (digits(&rest[..2])?, digits(&rest[3..])?);
            let seconds = (hours <= 23 && minutes <= 59).then_some(hours * 3_600 + minutes * 60)?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date; `None` when there is no such day.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years counted from March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The unit of a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Whole milliseconds only: what event v1 promises.
    Millis,
    /// Seconds, milliseconds, microseconds or nanoseconds, told apart by size.
    Any,
}

/// Microseconds of a time value.
///
/// # Errors
/// [`Reason::WrongType`] when it is neither an RFC 3339 text nor a number of that unit.
pub(super) fn micros(node: &Node<'_>, name: &str, unit: Unit) -> Result<i64, Fault> {
    let expected = "an RFC 3339 time such as 2026-01-31T12:00:00Z, or epoch milliseconds";
    let parsed = match (node, unit) {
        (Node::Number(text), Unit::Millis) => text.parse::<i64>().ok().and_then(|millis| millis.checked_mul(1_000)),
        (Node::Number(text), unit) => from_number(text, unit),
        (Node::Text(text), Unit::Millis) => rfc3339(text),
        (Node::Text(text), unit) => rfc3339(text).or_else(|| naive(text)).or_else(|| from_number(text, unit)),
        _ => None,
    };
    let found = if matches!(node, Node::Text(_)) { "a text that is no time" } else { node.kind() };
    parsed.ok_or_else(|| Fault::wrong_type(name, found, expected))
}

/// `2026-11-22 18:00:00` without an offset is UTC in every log format we know.
fn naive(text: &str) -> Option<i64> {
    (text.len() >= 19).then(|| rfc3339(&format!("{text}Z"))).flatten()
}

fn from_number(text: &str, unit: Unit) -> Option<i64> {
    let value = super::field::decimal(text)?;
    let million = rust_decimal::Decimal::from(1_000_000);
    let magnitude = value.abs();
    let at_least = |power: u32| magnitude >= rust_decimal::Decimal::from(10_u64.pow(power));
    let micros = match unit {
        Unit::Any if at_least(17) => value.checked_div(1_000.into()),
        Unit::Any if at_least(14) => Some(value),
        Unit::Any if at_least(11) => value.checked_mul(1_000.into()),
        _ => value.checked_mul(million),
    }?;
    i64::try_from(micros.trunc().mantissa() / 10_i128.pow(micros.trunc().scale())).ok()
}

/// Refuses times before 2020, and more than a day after the message's own timestamp.
pub(super) fn check(time_micros: i64, message_ms: Option<i64>) -> Result<(), Fault> {
    if time_micros < EARLIEST_MICROS {
        let detail = format!("'time' is {}, before 2020; send when the call ended", display(time_micros));
        return Err(Fault::new(Reason::TimeTooOld, detail));
    }
    // Without a broker timestamp nothing says what "now" was, and a replay must decide the same.
    if let Some(latest) =
        message_ms.and_then(|ms| ms.checked_mul(1_000)).map(|micros| micros.saturating_add(DAY_MICROS))
        && time_micros > latest
    {
        let detail = format!(
            "'time' is {}, more than a day after the message's timestamp {}; check the producer's clock and unit (milliseconds)",
            display(time_micros),
            display(latest - DAY_MICROS)
        );
        return Err(Fault::new(Reason::TimeInFuture, detail));
    }
    Ok(())
}

fn display(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros)
        .map_or_else(|| format!("{micros} µs"), |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_emitters_write() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T18:00:00.123456789Z", Some(1_795_370_400_123_456)),
            ("2026-11-22T18:00:00.5+01:00", Some(1_795_366_800_500_000)),
            ("2024-02-29t00:00:00z", Some(1_709_164_800_000_000)),
            ("2023-02-29T00:00:00Z", None),
            ("2026-11-22T18:00:00", None),
            ("2026-11-22T18:00:00.Z", None),
            ("2026-11-22T24:00:00Z", None),
            ("2026-11-22", None),
            ("2026-11-22T18:00:00+0100", None),
        ] {
            assert_eq!(rfc3339(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_by_unit() {
        let check = |text: &str, unit, expected: Option<i64>| {
            assert_eq!(micros(&Node::parse(text).unwrap(), "time", unit).ok(), expected, "{text} {unit:?}");
        };
        check("1795370400123", Unit::Millis, Some(1_795_370_400_123_000));
        check("1795370400.5", Unit::Millis, None);
        check("1795362030.008213", Unit::Any, Some(1_795_362_030_008_213));
        check("1795362030", Unit::Any, Some(1_795_362_030_000_000));
        check("1795362030008", Unit::Any, Some(1_795_362_030_008_000));
        check("1795362030008213", Unit::Any, Some(1_795_362_030_008_213));
        check("1795362030008213999", Unit::Any, Some(1_795_362_030_008_213));
        check("\"1795362030.25\"", Unit::Any, Some(1_795_362_030_250_000));
        check("true", Unit::Any, None);
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(micros in -30_000_000_000_000_000_i64..200_000_000_000_000_000, offset in -1439_i32..1440) {
            let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap().with_timezone(&zone);
            prop_assert_eq!(rfc3339(&time.to_rfc3339()), Some(micros));
        }
    }
}
