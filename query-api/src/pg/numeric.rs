//! PostgreSQL's binary form of exact decimals: digits to the base of 10 000. In: a decimal as text; out: its bytes, and back. Pure and exact.

use bytes::{BufMut, BytesMut};

const NEGATIVE: u16 = 0x4000;
/// Digits of a decimal that is read; a wider one is no amount of anything here.
const MOST_DIGITS: usize = 38;

/// Appends a plain decimal, such as `-12.34`: no exponent, no blanks.
pub fn write(text: &str, out: &mut BytesMut) {
    let (sign, plain) = match text.strip_prefix('-') {
        Some(plain) => (NEGATIVE, plain),
        None => (0, text),
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let whole = whole.trim_start_matches('0');
    // Both sides are filled to groups of four, away from the point.
    let groups_before = whole.len().div_ceil(4);
    let mut digits = format!("{whole:0>before$}{fraction}", before = groups_before * 4);
    digits.extend(std::iter::repeat_n('0', (4 - fraction.len() % 4) % 4));
    let mut groups: Vec<i16> = digits
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit.wrapping_sub(b'0'))))
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let small = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
    let weight = if groups.is_empty() { 0 } else { small(groups_before) - small(leading) - 1 };
    out.put_i16(small(groups.len()));
    out.put_i16(weight);
    out.put_u16(if groups.is_empty() { 0 } else { sign });
    out.put_i16(small(fraction.len()));
    for group in groups {
        out.put_i16(group);
    }
}

/// A decimal as text; `None` for bytes that are none, for NaN and for more than 38 digits.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<String> {
    let word = |index: usize| Some(i16::from_be_bytes(bytes.get(index * 2..index * 2 + 2)?.try_into().ok()?));
    let (count, weight, sign, scale) = (word(0)?, word(1)?, word(2)?, usize::try_from(word(3)?).ok()?);
    let count = usize::try_from(count).ok()?;
    if bytes.len() != 8 + count * 2 || scale > MOST_DIGITS || i32::from(weight).unsigned_abs() > 16 {
        return None;
    }
    let group = |place: i32| -> Option<String> {
        let index = i32::from(weight) - place;
        match usize::try_from(index).ok().filter(|index| *index < count) {
            Some(index) => {
                Some(format!("{:04}", u16::try_from(word(4 + index)?).ok().filter(|group| *group < 10_000)?))
            }
            None => Some("0000".to_owned()),
        }
    };
    let whole: String = (0..=i32::from(weight).max(0)).rev().map(group).collect::<Option<_>>()?;
    let after = i32::try_from(scale.div_ceil(4)).ok()?;
    let fraction: String = (1..=after).map(|place| group(-place)).collect::<Option<_>>()?;
    let whole = whole.trim_start_matches('0');
    let sign = match u16::from_be_bytes(sign.to_be_bytes()) {
        0 => "",
        NEGATIVE => "-",
        _ => return None,
    };
    let fraction = fraction.get(..scale)?;
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole }))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{read, write};

    fn bytes(text: &str) -> BytesMut {
        let mut out = BytesMut::new();
        write(text, &mut out);
        out
    }

    #[test]
    fn decimals_are_groups_of_four_digits() {
        for (text, expected) in [
            ("0", vec![0, 0, 0, 0]),
            ("1", vec![1, 0, 0, 0, 1]),
            ("12345.678", vec![3, 1, 0, 3, 1, 2_345, 6_780]),
            ("-0.00002", vec![1, -2, 0x4000, 5, 2_000]),
            ("10000", vec![1, 1, 0, 0, 1]),
            ("0.000000000000003", vec![1, -4, 0, 15, 30]),
        ] {
            let expected: Vec<u8> = expected.iter().flat_map(|word: &i16| word.to_be_bytes()).collect();
            assert_eq!(bytes(text).as_ref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_not_read() {
        for bytes in [&[][..], &[0; 7], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0xC0, 0, 0, 0]] {
            assert_eq!(read(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(units in -10_i128.pow(28)..10_i128.pow(28), scale in 0_usize..16) {
            let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let sign = if units < 0 { "-" } else { "" };
            let text = format!("{sign}{whole}{}{fraction}", if scale == 0 { "" } else { "." });
            prop_assert_eq!(read(&bytes(&text)), Some(text));
        }
    }
}
