//! Pricing one call: counts and a time come in, exact amounts go out. No division where the prices allow it, no allocation.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::exchange::{Exchange, Rate};
use super::question::{Plan, Priced, Unpriced, Usage};
use super::rates::{Rates, SumError, Sums, Tally};
use super::ratio::{self, Ratio};
use super::tariff::{Band, Segment};
use crate::count::{Count, Counts};
use crate::meter::{self, Token};
use crate::money::{Amount, AmountError};
use crate::note::{CostQuality, Note, Notes};
use crate::usage_event::Quantity;

/// What a [`Plan`] knows beyond what it shows.
#[derive(Clone, Debug)]
pub(super) struct Timetable {
    /// By time, the first from the beginning of time.
    pub segments: Vec<Segment>,
    /// For calls in which the model thought, where they have prices of their own.
    pub thinking: Option<Vec<Segment>>,
    pub exchange: Arc<Exchange>,
    /// The lake's.
    pub currency: Arc<str>,
}

/// The parts of one call's cost.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    input: Amount,
    output: Amount,
    cache_read: Amount,
    cache_write: Amount,
    other: Amount,
    savings: Amount,
}

impl Parts {
    fn total(&self) -> Amount {
        self.input + self.output + self.cache_read + self.cache_write + self.other
    }
}

/// Meters of tools, which no capacity of tokens includes.
const TOOLS: [&str; 6] = [
    "web_search_low",
    "web_search_high",
    meter::WEB_SEARCH,
    meter::FILE_SEARCH,
    meter::CODE_INTERPRETER_SESSION,
    meter::GOOGLE_MAPS_GROUNDING,
];

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

impl Plan {
    /// The exact price of one call that ended at `time_micros` (microseconds since the epoch, UTC).
    ///
    /// # Errors
    /// When a meter that was counted has no price then, a rate is missing or an amount does not fit: the row is `unpriced`.
    pub fn price(&self, time_micros: i64, usage: &Usage<'_>) -> Result<Priced<'_>, Unpriced> {
        let thinking = self.timetable.thinking.as_ref().filter(|_| usage.counts.get(Count::Reasoning) > 0);
        let segments = thinking.unwrap_or(&self.timetable.segments);
        let band = self.band(segments, time_micros, usage.counts.get(Count::Input))?;
        let plain = if usage.quantities.is_empty() { band.list.plain_sums(usage.counts) } else { None };
        let (tally, list_sums) = match plain {
            Some(sums) if band.own.is_none() => (Tally::default(), sums),
            _ => {
                let tally = tally(usage).ok_or(Unpriced::AmountTooLarge)?;
                let sums = band.list.sums(&tally).map_err(|error| self.unpriced(error))?;
                (tally, sums)
            }
        };
        let (list, list_rate) = self.parts(&band.list, tally.scale, &list_sums, time_micros)?;
        let mut old_rate = list_rate.is_old;
        let (rates, sums, own, fx_rate) = match &band.own {
            None => (&band.list, list_sums, list, list_rate),
            Some(rates) => {
                let sums = rates.sums(&tally).map_err(|error| self.unpriced(error))?;
                let (own, rate) = self.parts(rates, tally.scale, &sums, time_micros)?;
                old_rate |= rate.is_old;
                (rates, sums, own, rate)
            }
        };
        let (added, quality) = judge(&sums);
        let mut notes = self.notes.union(added);
        if thinking.is_some() {
            notes.insert(Note::ThinkingPrice);
        }
        if old_rate {
            notes.insert(Note::ExchangeRateOld);
        }
        let quality = if old_rate || self.is_assumed() { quality.max(CostQuality::Estimated) } else { quality };
        let (parts, list_cost, category) = if usage.cache_hit {
            notes.insert(Note::ResponseCacheHit);
            let savings = if usage.committed { Amount::ZERO } else { own.total() };
            (Parts { savings, ..Parts::default() }, Amount::ZERO, "standard")
        } else if usage.committed {
            // Capacity is of tokens; what tools cost is billed beside it.
            let other = self.tools(rates, usage, time_micros)?;
            (Parts { other, ..Parts::default() }, list.total(), "committed")
        } else {
            (own, list.total(), "standard")
        };
        Ok(Priced {
            cost: check(parts.total())?,
            list_cost: check(list_cost)?,
            input_cost: parts.input,
            output_cost: parts.output,
            cache_read_cost: parts.cache_read,
            cache_write_cost: parts.cache_write,
            other_cost: parts.other,
            cache_savings: check(parts.savings)?,
            price_id: &rates.id,
            price_currency: &rates.currency,
            fx_rate: fx_rate.value,
            notes,
            quality,
            category,
        })
    }

    /// What the tools of a call cost by themselves.
    fn tools(&self, rates: &Rates, usage: &Usage<'_>, time_micros: i64) -> Result<Amount, Unpriced> {
        let quantities: Vec<Quantity<'_>> =
            usage.quantities.iter().filter(|(name, _)| TOOLS.contains(&&**name)).cloned().collect();
        let searches = usage.counts.get(Count::WebSearches);
        if quantities.is_empty() && searches == 0 {
            return Ok(Amount::ZERO);
        }
        let mut counts = Counts::default();
        counts.set(Count::WebSearches, searches);
        let tally =
            tally(&Usage { counts: &counts, quantities: &quantities, ..*usage }).ok_or(Unpriced::AmountTooLarge)?;
        let tally = Tally { implied_request: 0, ..tally };
        let sums = rates.sums(&tally).map_err(|error| self.unpriced(error))?;
        Ok(self.parts(rates, tally.scale, &sums, time_micros)?.0.other)
    }

    fn is_assumed(&self) -> bool {
        [Note::RegionAssumed, Note::TierAssumed, Note::ModelSuffixDropped]
            .into_iter()
            .any(|note| self.notes.contains(note))
    }

    fn band<'a>(&self, segments: &'a [Segment], time_micros: i64, prompt_tokens: i64) -> Result<&'a Band, Unpriced> {
        let none = || Unpriced::NoPriceAtTime { provider: self.provider_id.clone(), model: self.model_id.clone() };
        let segment = segments.iter().rev().find(|segment| segment.from <= time_micros).ok_or_else(none)?;
        let variant = segment
            .variants
            .iter()
            .find(|variant| variant.schedules.iter().all(|schedule| schedule.contains(time_micros)))
            .ok_or_else(none)?;
        let band = variant.bands.iter().rev().find(|band| band.above == 0 || prompt_tokens > band.above);
        band.ok_or_else(none)
    }

    fn unpriced(&self, error: SumError) -> Unpriced {
        match error {
            SumError::NoPrice(meter) => {
                Unpriced::NoPriceForMeter { provider: self.provider_id.clone(), model: self.model_id.clone(), meter }
            }
            SumError::Inconsistent(meter) => Unpriced::InconsistentCounts { meter },
            SumError::TooLarge => Unpriced::AmountTooLarge,
        }
    }

    /// Rounds each part once, in the lake's currency.
    fn parts(&self, rates: &Rates, scale: u32, sums: &Sums, time_micros: i64) -> Result<(Parts, Rate), Unpriced> {
        let too_large = |_: AmountError| Unpriced::AmountTooLarge;
        let savings = if rates.prices_input() { sums.uncached - sums.cache_read - sums.cache_write } else { 0 };
        if scale == 0 && *rates.currency == *self.timetable.currency {
            let parts = Parts {
                input: rates.divider.amount(sums.input).map_err(too_large)?,
                output: rates.divider.amount(sums.output).map_err(too_large)?,
                cache_read: rates.divider.amount(sums.cache_read).map_err(too_large)?,
                cache_write: rates.divider.amount(sums.cache_write).map_err(too_large)?,
                other: rates.divider.amount(sums.other).map_err(too_large)?,
                savings: rates.divider.amount(savings).map_err(too_large)?,
            };
            return Ok((parts, Rate::SAME));
        }
        let (from, to) = (&*rates.currency, &*self.timetable.currency);
        let rate = self
            .timetable
            .exchange
            .rate(from, to, time_micros)
            .ok_or_else(|| Unpriced::NoExchangeRate { from: from.to_owned(), to: to.to_owned() })?;
        let unit = converted_unit(rates.divider.denominator(), scale, rate.value).ok_or(Unpriced::AmountTooLarge)?;
        let amount = |sum: i128| converted(sum, unit);
        let parts = Parts {
            input: amount(sums.input)?,
            output: amount(sums.output)?,
            cache_read: amount(sums.cache_read)?,
            cache_write: amount(sums.cache_write)?,
            other: amount(sums.other)?,
            savings: amount(savings)?,
        };
        Ok((parts, rate))
    }
}

/// What one unit of a sum is worth: rate / (denominator × 10^scale).
fn converted_unit(denominator: i128, scale: u32, rate: Decimal) -> Option<Ratio> {
    let scaled = Ratio::new(1, denominator)?.times(Ratio::new(1, 10_i128.checked_pow(scale)?)?)?;
    scaled.times(Ratio::of(rate, 1)?)
}

fn converted(sum: i128, unit: Ratio) -> Result<Amount, Unpriced> {
    // Common factors go first, so that large figures that cancel out do not overflow.
    let exact = Ratio::new(sum, 1).and_then(|sum| sum.times(unit)).ok_or(Unpriced::AmountTooLarge)?;
    ratio::amount(exact.numerator, exact.denominator).map_err(|_| Unpriced::AmountTooLarge)
}

fn check(amount: Amount) -> Result<Amount, Unpriced> {
    Amount::from_units(amount.units()).map_err(|_| Unpriced::AmountTooLarge)
}

/// The counts of a call as integers; `None` when a quantity does not fit.
fn tally<'a>(usage: &Usage<'a>) -> Option<Tally<'a>> {
    let mut tally = Tally::default();
    for (count, token) in COUNTED {
        tally.tokens[token as usize] = i128::from(usage.counts.get(count));
    }
    let parts = [Token::AudioIn, Token::ImageIn, Token::AudioOut];
    tally.has_parts = parts.into_iter().any(|token| tally.tokens[token as usize] != 0);
    let searches = usage.counts.get(Count::WebSearches);
    if usage.quantities.is_empty() {
        if searches != 0 {
            tally.others.push((meter::WEB_SEARCH, i128::from(searches)));
        }
        tally.implied_request = i128::from(!usage.counts.is_zero() && searches == 0);
        return Some(tally);
    }
    tally_quantities(usage, searches, &mut tally)?;
    Some(tally)
}

/// Scales every count so that the finest quantity is whole, then adds the quantities.
fn tally_quantities<'a>(usage: &Usage<'a>, searches: i64, tally: &mut Tally<'a>) -> Option<()> {
    tally.scale = usage.quantities.iter().map(|(_, amount)| amount.normalize().scale()).max().unwrap_or_default();
    let factor = 10_i128.checked_pow(tally.scale)?;
    for count in &mut tally.tokens {
        *count = count.checked_mul(factor)?;
    }
    // Who charges by the request charges for the search in it: one that is counted is not charged again as a request.
    tally.implied_request = if searches == 0 { factor } else { 0 };
    if searches != 0 {
        tally.others.push((meter::WEB_SEARCH, i128::from(searches).checked_mul(factor)?));
    }
    for (name, amount) in usage.quantities {
        let amount = amount.normalize();
        let scaled = amount.mantissa().checked_mul(10_i128.checked_pow(tally.scale - amount.scale())?)?;
        if scaled == 0 {
            continue;
        }
        if let Some(token) = Token::from_name(name) {
            let count = &mut tally.tokens[token as usize];
            *count = count.checked_add(scaled)?;
            tally.has_parts = true;
            continue;
        }
        if matches!(&**name, meter::REQUEST | "requests" | "web_search_low" | "web_search_high") {
            tally.implied_request = 0;
        }
        tally.others.push((name, scaled));
    }
    Some(())
}

/// What the sums had to assume, and how far the cost can be trusted for it.
fn judge(sums: &Sums) -> (Notes, CostQuality) {
    let (mut notes, mut quality) = (Notes::NONE, sums.tier.max(sums.request_size));
    if sums.tier != CostQuality::Exact {
        notes.insert(Note::TierAssumed);
    }
    if sums.request_size != CostQuality::Exact {
        notes.insert(Note::SearchSizeAssumed);
    }
    if sums.inherited == 0 {
        return (notes, quality);
    }
    // Providers bill thinking as output and video as input tokens without saying so; anything else is worth a note.
    let silent = [Token::Reasoning, Token::VideoIn, Token::CacheReadImage, Token::CacheReadVideo];
    for token in Token::ALL.into_iter().filter(|token| sums.inherits(*token) && !silent.contains(token)) {
        notes.insert(Note::MeterFallback);
        // A cache read is never dearer than fresh input.
        let meant = if token == Token::CacheRead { CostQuality::UpperBound } else { CostQuality::Estimated };
        quality = quality.max(meant);
    }
    (notes, quality)
}
