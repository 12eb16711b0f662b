//! The prices of one model in one situation as integers over one denominator, and the sums that a call makes of them.
//!
//! Part sums are linear in the counts: a token meter with a price of its own adds the difference to its parent's price, so
//! that every token is paid exactly once and no modality has to be subtracted first.

use std::borrow::Cow;
use std::sync::Arc;

use super::ratio::{Divider, Ratio, common_denominator};
use crate::count::{Count, Counts};
use crate::meter::{self, Token};
use crate::note::CostQuality;

/// What is known of the price of one meter while [`Rates`] are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub price: Ratio,
    /// How far another tier's price stands in for the one that was asked for: `Exact` when it is that one.
    pub tier: CostQuality,
}

/// Prices of one model at one time, tier, region and prompt size; in one currency.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    pub id: String,
    pub currency: Arc<str>,
    pub divider: Divider,
    /// Effective numerator per token meter: its own, else that of its nearest priced ancestor, else 0.
    tokens: [i128; Token::COUNT],
    /// Token meters that have neither a price of their own nor one to inherit.
    missing: u32,
    /// Token meters that inherit without anybody saying that they cost the same.
    inherited: u32,
    /// Token meters at another tier's price, and of those the ones it cannot be below.
    tier_assumed: u32,
    tier_at_most: u32,
    others: Vec<Other>,
    request: Option<i128>,
    /// How far the price of a request can be trusted where searches of different sizes have prices: its size was not told.
    request_size: CostQuality,
    /// The numerators of [`PLAIN`] when all of them are small enough that sums of products with 64-bit counts cannot overflow.
    plain: Option<[i64; PLAIN.len()]>,
}

/// What most calls are made of, and nothing else.
const PLAIN: [(Count, Token); 6] = [
    (Count::UncachedInput, Token::Input),
    (Count::CacheRead, Token::CacheRead),
    (Count::CacheWrite, Token::CacheWrite),
    (Count::CacheWrite1h, Token::CacheWrite1h),
    (Count::Output, Token::Output),
    (Count::Reasoning, Token::Reasoning),
];

/// Sound and pictures: providers charge ten times the price of text for some of them, so text's price never stands in silently.
pub(super) const APART: [Token; 4] = [Token::AudioIn, Token::AudioOut, Token::ImageIn, Token::ImageOut];

/// Counts that need more than [`PLAIN`].
const NOT_PLAIN: [Count; 4] = [Count::AudioInput, Count::ImageInput, Count::AudioOutput, Count::WebSearches];

/// A product of a numerator below this and a count fits 118 bits, so that a handful of them can be added.
const SMALL: i128 = 1 << 55;

/// Searches by how much of the web they may read; a medium one is a plain search.
const SIZES: [&str; 2] = ["web_search_low", "web_search_high"];

#[derive(Clone, Debug)]
struct Other {
    meter: Arc<str>,
    numerator: i128,
    tier: CostQuality,
}

/// Counts of one call, as integers scaled by 10^`scale`.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally<'a> {
    pub scale: u32,
    pub tokens: [i128; Token::COUNT],
    /// Meters that are not tokens.
    pub others: Vec<(&'a str, i128)>,
    /// Whether any audio, image, video or 12-hour part is counted: most calls have none.
    pub has_parts: bool,
    /// 10^scale when the call counts as one request that nobody counted; otherwise 0.
    pub implied_request: i128,
}

/// Sums of one call over the denominator of its [`Rates`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub input: i128,
    pub output: i128,
    pub cache_read: i128,
    pub cache_write: i128,
    pub other: i128,
    /// What the cached tokens would have cost uncached.
    pub uncached: i128,
    /// Token meters with a count that were charged as their parent, as bits.
    pub inherited: u32,
    /// As in [`Found`], the worst of what was counted.
    pub tier: CostQuality,
    /// As in [`Rates`], when a request was charged that nobody counted.
    pub request_size: CostQuality,
}

/// Why sums cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SumError {
    NoPrice(Cow<'static, str>),
    Inconsistent(&'static str),
    TooLarge,
}

const fn bit(token: Token) -> u32 {
    1 << token as u8
}

impl Rates {
    /// `alike` are the meters of [`APART`] that cost what their parent does. `None` when the figures do not fit together in 128 bits.
    pub fn new(id: String, currency: Arc<str>, found: &[(Arc<str>, Found)], alike: &[Token]) -> Option<Self> {
        let denominator = common_denominator(found.iter().map(|(_, found)| found.price))?;
        let scaled = |ratio: Ratio| ratio.numerator.checked_mul(denominator / ratio.denominator);
        let mut own = [None; Token::COUNT];
        let (mut tokens, mut missing, mut inherited) = ([0; Token::COUNT], 0, 0);
        let mut tiers = [CostQuality::Exact; Token::COUNT];
        let mut others = Vec::new();
        let mut request = None;
        for (name, found) in found {
            let numerator = scaled(found.price)?;
            if let Some(token) = Token::from_name(name) {
                own[token as usize] = Some((numerator, found.tier));
                continue;
            }
            if &**name == meter::REQUEST {
                request = Some(numerator);
            }
            others.push(Other { meter: Arc::clone(name), numerator, tier: found.tier });
        }
        for token in Token::ALL {
            let parent = token.parent();
            match own[token as usize] {
                Some((numerator, tier)) => {
                    tokens[token as usize] = numerator;
                    tiers[token as usize] = tier;
                }
                None if parent == token || missing & bit(parent) != 0 => missing |= bit(token),
                None => {
                    tokens[token as usize] = tokens[parent as usize];
                    tiers[token as usize] = tiers[parent as usize];
                    if !APART.contains(&token) {
                        inherited |= bit(token);
                    } else if !alike.contains(&token) {
                        missing |= bit(token);
                    }
                }
            }
        }
        let of_quality = |quality: CostQuality| {
            let same = Token::ALL.into_iter().filter(|token| tiers[*token as usize] == quality);
            same.fold(0, |bits, token| bits | bit(token))
        };
        let (tier_assumed, tier_at_most) = (of_quality(CostQuality::Estimated), of_quality(CostQuality::UpperBound));
        let request_size = request_size(request, &others);
        let divider = Divider::new(denominator);
        let plain = request.is_none() && PLAIN.iter().all(|(_, token)| tokens[*token as usize] < SMALL);
        let plain = plain.then(|| PLAIN.map(|(_, token)| i64::try_from(tokens[token as usize]).unwrap_or_default()));
        Some(Self {
            id,
            currency,
            divider,
            tokens,
            missing,
            inherited,
            tier_assumed,
            tier_at_most,
            others,
            request,
            request_size,
            plain,
        })
    }

    /// The sums of a call without modalities, searches or quantities, the short way; `None` where the long one ([`Rates::sums`])
    /// has to decide. Both agree.
    pub fn plain_sums(&self, counts: &Counts) -> Option<Sums> {
        let prices = self.plain.as_ref()?;
        if NOT_PLAIN.into_iter().any(|count| counts.get(count) != 0)
            || counts.get(Count::Reasoning) > counts.get(Count::Output)
        {
            return None;
        }
        let used = PLAIN
            .into_iter()
            .fold(0, |used, (count, token)| if counts.get(count) == 0 { used } else { used | bit(token) });
        if used & self.missing != 0 {
            return None;
        }
        let [input, read, write, write_1h, output, reasoning] = PLAIN.map(|(count, _)| i128::from(counts.get(count)));
        let price = prices.map(i128::from);
        Some(Sums {
            input: input * price[0],
            cache_read: read * price[1],
            cache_write: write * price[2] + write_1h * price[3],
            output: (output - reasoning) * price[4] + reasoning * price[5],
            other: 0,
            uncached: (read + write + write_1h) * price[0],
            inherited: used & self.inherited,
            tier: self.tier(used),
            request_size: CostQuality::Exact,
        })
    }

    /// The worst of these token meters, as bits.
    fn tier(&self, used: u32) -> CostQuality {
        if used & self.tier_assumed != 0 {
            CostQuality::Estimated
        } else if used & self.tier_at_most != 0 {
            CostQuality::UpperBound
        } else {
            CostQuality::Exact
        }
    }

    /// Whether there is a price for input that was not cached: without one nothing can be said to be saved.
    pub fn prices_input(&self) -> bool {
        self.missing & bit(Token::Input) == 0
    }

    /// The exact sums of one call.
    pub fn sums(&self, tally: &Tally<'_>) -> Result<Sums, SumError> {
        let mut sums = self.token_sums(tally)?;
        if tally.has_parts {
            self.add_parts(tally, &mut sums)?;
        } else {
            self.require(Token::Input, tally.tokens[Token::Input as usize], &mut sums)?;
            self.require(Token::Output, tally.tokens[Token::Output as usize], &mut sums)?;
        }
        for (name, amount) in &tally.others {
            let Some(other) = self.other(name) else {
                // Where no price is by the call, calls are only counted; alone they would make it free.
                if is_request(name) && tally.counts_more_than_requests() {
                    continue;
                }
                return Err(SumError::NoPrice((*name).to_owned().into()));
            };
            sums.tier = sums.tier.max(other.tier);
            add(&mut sums.other, *amount, other.numerator)?;
        }
        if let Some(request) = self.request.filter(|_| tally.implied_request != 0) {
            add(&mut sums.other, tally.implied_request, request)?;
            sums.request_size = self.request_size;
        }
        Ok(sums)
    }

    fn other(&self, name: &str) -> Option<&Other> {
        let find = |name: &str| self.others.iter().find(|other| &*other.meter == name);
        match meter::alternatives(name) {
            // Perplexity's deep research counts queries, and lists call them searches; where searches have sizes, a call pays one of those.
            [] if name == "query" && SIZES.iter().all(|size| find(size).is_none()) => {
                find(name).or_else(|| find(meter::WEB_SEARCH))
            }
            [] => find(name),
            names => names.iter().find_map(|name| find(name)),
        }
    }

    /// Sums of the meters that hardly any call is without; reasoning is a part of the output.
    fn token_sums(&self, tally: &Tally<'_>) -> Result<Sums, SumError> {
        let mut sums = Sums::default();
        let price = |token: Token| self.tokens[token as usize];
        let count = |token: Token| tally.tokens[token as usize];
        add(&mut sums.input, count(Token::Input), price(Token::Input))?;
        add(&mut sums.output, count(Token::Output), price(Token::Output))?;
        if count(Token::Reasoning) != 0 {
            part_of(count(Token::Output) - count(Token::Reasoning), Token::Reasoning)?;
            self.require(Token::Reasoning, count(Token::Reasoning), &mut sums)?;
            add(&mut sums.output, count(Token::Reasoning), price(Token::Reasoning) - price(Token::Output))?;
        }
        for (token, write) in [(Token::CacheRead, false), (Token::CacheWrite, true), (Token::CacheWrite1h, true)] {
            if count(token) == 0 {
                continue;
            }
            self.require(token, count(token), &mut sums)?;
            add(if write { &mut sums.cache_write } else { &mut sums.cache_read }, count(token), price(token))?;
            add(&mut sums.uncached, count(token), price(Token::Input))?;
        }
        Ok(sums)
    }

    /// Adds what modalities and long-lived cache writes cost more (or less) than their parents, and checks that they are parts.
    fn add_parts(&self, tally: &Tally<'_>, sums: &mut Sums) -> Result<(), SumError> {
        use Token::{
            AudioIn, AudioOut, CacheRead, CacheReadAudio, CacheReadImage, CacheReadVideo, CacheWrite, CacheWrite12h,
            CacheWriteAudio, CacheWriteImage, ImageIn, ImageOut, Input, Output, Reasoning, VideoIn, VideoOut,
        };
        let count = |token: Token| tally.tokens[token as usize];
        let extra = |token: Token, base: Token| self.tokens[token as usize] - self.tokens[base as usize];
        let mut text = count(Input);
        for (modality, reads, writes) in [
            (AudioIn, Some(CacheReadAudio), Some(CacheWriteAudio)),
            (ImageIn, Some(CacheReadImage), Some(CacheWriteImage)),
            (VideoIn, Some(CacheReadVideo), None),
        ] {
            let cached = reads.map_or(0, count) + writes.map_or(0, count);
            let fresh = part_of(count(modality) - cached, modality)?;
            self.require(modality, fresh, sums)?;
            text = part_of(text - fresh, modality)?;
            add(&mut sums.input, fresh, extra(modality, Input))?;
            add(&mut sums.uncached, cached, extra(modality, Input))?;
        }
        self.require(Input, text, sums)?;
        let mut rest = count(CacheRead);
        for token in [CacheReadAudio, CacheReadImage, CacheReadVideo] {
            self.require(token, count(token), sums)?;
            rest = part_of(rest - count(token), token)?;
            add(&mut sums.cache_read, count(token), extra(token, CacheRead))?;
        }
        part_of(count(CacheWrite) - count(CacheWrite12h), CacheWrite12h)?;
        for token in [CacheWriteAudio, CacheWriteImage, CacheWrite12h] {
            self.require(token, count(token), sums)?;
            add(&mut sums.cache_write, count(token), extra(token, CacheWrite))?;
        }
        let mut text = count(Output) - count(Reasoning);
        for token in [AudioOut, ImageOut, VideoOut] {
            self.require(token, count(token), sums)?;
            text = part_of(text - count(token), token)?;
            add(&mut sums.output, count(token), extra(token, Output))?;
        }
        self.require(Output, text, sums)
    }

    /// A meter with a count needs a price; notes what it was charged as.
    fn require(&self, token: Token, count: i128, sums: &mut Sums) -> Result<(), SumError> {
        if count == 0 {
            return Ok(());
        }
        if self.missing & bit(token) != 0 {
            return Err(SumError::NoPrice(token.name().into()));
        }
        sums.inherited |= self.inherited & bit(token);
        sums.tier = sums.tier.max(self.tier(bit(token)));
        Ok(())
    }
}

/// Nothing to doubt where searches have one price, at most what the largest costs where a request costs no less.
fn request_size(request: Option<i128>, others: &[Other]) -> CostQuality {
    let sizes = others.iter().filter(|other| SIZES.contains(&&*other.meter));
    match (request, sizes.map(|other| other.numerator).max()) {
        (Some(request), Some(largest)) if request >= largest => CostQuality::UpperBound,
        (Some(_), Some(_)) => CostQuality::Estimated,
        _ => CostQuality::Exact,
    }
}

impl Sums {
    pub fn inherits(&self, token: Token) -> bool {
        self.inherited & bit(token) != 0
    }
}

fn is_request(name: &str) -> bool {
    matches!(name, meter::REQUEST | "requests")
}

impl Tally<'_> {
    fn counts_more_than_requests(&self) -> bool {
        self.tokens.iter().any(|count| *count != 0) || self.others.iter().any(|(name, _)| !is_request(name))
    }
}

fn part_of(count: i128, meter: Token) -> Result<i128, SumError> {
    if count < 0 { Err(SumError::Inconsistent(meter.name())) } else { Ok(count) }
}

fn add(sum: &mut i128, count: i128, price: i128) -> Result<(), SumError> {
    *sum = count.checked_mul(price).and_then(|product| sum.checked_add(product)).ok_or(SumError::TooLarge)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Found, Rates, Tally};
    use crate::count::{Count, Counts};
    use crate::meter::Token;
    use crate::note::CostQuality;
    use crate::price_book::ratio::Ratio;

    proptest! {
        #[test]
        fn the_short_way_is_the_long_way(
            prices in prop::collection::vec(prop::option::of((0i128..10_000_000, 1i128..10_000)), 6),
            values in prop::array::uniform6(prop_oneof![Just(0i64), 0i64..1_000_000_000_000]),
        ) {
            let [input, read, write, write_1h, output, reasoning] = values;
            let meters = ["input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"];
            let found: Vec<_> = meters.iter().zip(prices).filter_map(|(meter, price)| {
                let (numerator, denominator) = price?;
                Some((Arc::from(*meter), Found { price: Ratio::new(numerator, denominator)?, tier: CostQuality::Exact }))
            }).collect();
            let rates = Rates::new(String::new(), Arc::from("USD"), &found, &[]).unwrap();
            let (mut counts, mut tally) = (Counts::default(), Tally::default());
            for (count, token, value) in [
                (Count::UncachedInput, Token::Input, input),
                (Count::CacheRead, Token::CacheRead, read),
                (Count::CacheWrite, Token::CacheWrite, write),
                (Count::CacheWrite1h, Token::CacheWrite1h, write_1h),
                (Count::Output, Token::Output, output),
                (Count::Reasoning, Token::Reasoning, reasoning),
            ] {
                counts.set(count, value);
                tally.tokens[token as usize] = i128::from(value);
            }
            match (rates.plain_sums(&counts), rates.sums(&tally)) {
                (Some(short), long) => prop_assert_eq!(Ok(short), long),
                (None, Err(_)) => {}
                (None, Ok(_)) => prop_assert!(rates.plain.is_none()),
            }
        }
    }
}
