//! What was metered of a group of calls. In: a [`Group`]. Out: its meters, none counted twice, each in the part of the cost that holds it. Pure.
//!
//! Counts of `usage` overlap (audio is a part of the input, reasoning of the output); here they are taken apart as the price book does it: of the
//! input that was not cached text is what is neither sound nor picture, of the output what is none of its parts.

use spendstream_schemas::count::Count;
use spendstream_schemas::meter::{self, Token};

use super::group::Group;

/// Units of 10⁻⁹ in one.
pub const ONE: i128 = 1_000_000_000;

/// Which part of a cost, by its position in [`super::group::PARTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Part {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Other,
}

/// One meter of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The price book's word.
    pub name: String,
    pub part: Part,
    /// In units of 10⁻⁹.
    pub quantity: i128,
    /// A request that nobody counted.
    pub implied: bool,
}

/// The counts that have a token meter of the same meaning.
const COUNTED: [(Count, Token); 9] = [
    (Count::UncachedInput, Token::Input),
    (Count::CacheRead, Token::CacheRead),
    (Count::CacheWrite, Token::CacheWrite),
    (Count::CacheWrite1h, Token::CacheWrite1h),
    (Count::Output, Token::Output),
    (Count::Reasoning, Token::Reasoning),
    (Count::AudioInput, Token::AudioIn),
    (Count::ImageInput, Token::ImageIn),
    (Count::AudioOutput, Token::AudioOut),
];

/// Parts of others: what is counted in the first is counted in the second, too.
const WITHIN: [(Token, Token); 12] = [
    (Token::CacheReadAudio, Token::CacheRead),
    (Token::CacheReadImage, Token::CacheRead),
    (Token::CacheReadVideo, Token::CacheRead),
    (Token::CacheWriteAudio, Token::CacheWrite),
    (Token::CacheWriteImage, Token::CacheWrite),
    (Token::CacheWrite12h, Token::CacheWrite),
    (Token::Reasoning, Token::Output),
    (Token::AudioOut, Token::Output),
    (Token::ImageOut, Token::Output),
    (Token::VideoOut, Token::Output),
    (Token::CacheWriteAudio, Token::AudioIn),
    (Token::CacheWriteImage, Token::ImageIn),
];

/// Every meter of a group whose quantity is not zero, and the calls that may be charged by the call.
#[must_use]
pub fn meters(group: &Group) -> Vec<Meter> {
    let mut tokens = [0_i128; Token::COUNT];
    for (count, token) in COUNTED {
        tokens[token as usize] = i128::from(group.counts.get(count)) * ONE;
    }
    let mut others = Vec::new();
    for (name, quantity) in &group.quantities {
        match Token::from_name(name) {
            Some(token) => tokens[token as usize] += quantity,
            None => others.push((name.as_str(), *quantity)),
        }
    }
    let tokens = apart(&tokens);
    let token = |token: Token| Meter {
        name: token.name().to_owned(),
        part: part_of(token),
        quantity: tokens[token as usize],
        implied: false,
    };
    let mut meters: Vec<Meter> = Token::ALL.into_iter().map(token).collect();
    let other = |name: &str, quantity, implied| Meter { name: name.to_owned(), part: Part::Other, quantity, implied };
    meters.push(other(meter::WEB_SEARCH, i128::from(group.counts.get(Count::WebSearches)) * ONE, false));
    meters.extend(others.into_iter().map(|(name, quantity)| other(name, quantity, false)));
    meters.push(other(meter::REQUEST, i128::from(group.implied_requests) * ONE, true));
    meters.retain(|meter| meter.quantity != 0);
    meters
}

/// Counts of which none is a part of another. Those of a call that contradict each other (which has no price) do not become negative.
fn apart(counted: &[i128; Token::COUNT]) -> [i128; Token::COUNT] {
    let mut apart = *counted;
    let mut take = |from: Token, amount: i128| {
        let rest = &mut apart[from as usize];
        *rest = (*rest - amount).max(0);
    };
    for (inner, outer) in WITHIN {
        take(outer, counted[inner as usize]);
    }
    take(Token::AudioIn, counted[Token::CacheReadAudio as usize]);
    take(Token::ImageIn, counted[Token::CacheReadImage as usize]);
    take(Token::VideoIn, counted[Token::CacheReadVideo as usize]);
    let fresh: i128 = [Token::AudioIn, Token::ImageIn, Token::VideoIn].iter().map(|token| apart[*token as usize]).sum();
    let text = &mut apart[Token::Input as usize];
    *text = (*text - fresh).max(0);
    apart
}

/// The part of the cost that a token meter's price goes to.
#[must_use]
pub const fn part_of(token: Token) -> Part {
    match token {
        Token::Input | Token::AudioIn | Token::ImageIn | Token::VideoIn => Part::Input,
        Token::Output | Token::Reasoning | Token::AudioOut | Token::ImageOut | Token::VideoOut => Part::Output,
        Token::CacheRead | Token::CacheReadAudio | Token::CacheReadImage | Token::CacheReadVideo => Part::CacheRead,
        Token::CacheWrite
        | Token::CacheWrite1h
        | Token::CacheWrite12h
        | Token::CacheWriteAudio
        | Token::CacheWriteImage => Part::CacheWrite,
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::count::Count;

    use super::{ONE, meters};
    use crate::reports::focus::group::Group;

    fn found(counts: &[(Count, i64)], quantities: &[(&str, i128)]) -> Vec<(String, i128)> {
        let mut group = Group::default();
        for (count, value) in counts {
            group.counts.set(*count, *value);
        }
        group.quantities = quantities.iter().map(|(name, value)| ((*name).to_owned(), *value * ONE)).collect();
        meters(&group).into_iter().map(|meter| (meter.name, meter.quantity / ONE)).collect()
    }

    #[test]
    fn a_token_is_in_one_meter() {
        let counts = [
            (Count::Input, 1000),
            (Count::UncachedInput, 600),
            (Count::CacheRead, 300),
            (Count::CacheWrite, 60),
            (Count::CacheWrite1h, 40),
            (Count::AudioInput, 250),
            (Count::Output, 500),
            (Count::Reasoning, 200),
            (Count::AudioOutput, 50),
            (Count::WebSearches, 3),
        ];
        let found = found(&counts, &[("cache_read_audio", 100), ("document_page", 7)]);
        let expected = [
            ("input", 450),
            ("output", 250),
            ("cache_read", 200),
            ("cache_write", 60),
            ("cache_write_1h", 40),
            ("reasoning", 200),
            ("audio_in", 150),
            ("audio_out", 50),
            ("cache_read_audio", 100),
            ("web_search", 3),
            ("document_page", 7),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        // What was counted is there, once.
        assert_eq!(found[..9].iter().map(|(_, value)| value).sum::<i128>(), 1000 + 500);
    }

    #[test]
    fn counts_that_contradict_each_other_are_not_negative() {
        assert_eq!(found(&[(Count::Output, 1), (Count::Reasoning, 5)], &[]), [("reasoning".to_owned(), 5)]);
    }
}
