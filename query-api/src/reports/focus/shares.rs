//! What each meter of a group would cost by itself. In: a group, its meters, the price book that priced it. Out: for each meter a share of its part of
//! the cost and one of the list cost, or nothing where the book cannot say. Pure: the book is read elsewhere.
//!
//! The book is asked for each meter twice, for its quantity and for the double: the difference is what the quantity costs, without what is charged
//! by the call. Input tokens of the whole call, which choose among prices by prompt size, are those of a call of the group in all questions.

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::meter::{self, Token};
use spendstream_schemas::price_book::{Plan, PriceBook, Priced, Question, Usage};
use spendstream_schemas::usage_event::Quantity;

use super::group::Group;
use super::meters::{Meter, ONE, Part};

/// Of one meter, in units of 10⁻¹⁵ of the lake's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Of its part of the cost, by the price that applied, overrides included.
    pub own: i128,
    /// Of the list cost.
    pub list: i128,
}

/// The shares of all meters, in their order; `None` where the book has another price for such calls, or none.
#[must_use]
pub fn shares(book: &PriceBook, group: &Group, meters: &[Meter]) -> Option<Vec<Share>> {
    let plan = book.resolve(&question(group)).ok()?;
    meters.iter().map(|meter| share(&plan, group, meter)).collect()
}

/// As the calls asked: the tier and region in the lake are the book's words, those that were sent are beside them.
fn question(group: &Group) -> Question<'_> {
    Question {
        provider: group.text("provider_sent"),
        model: group.text("model"),
        service_tier: group.text("service_tier_sent").or(group.text("service_tier")),
        region: group.text("region_sent").or(group.text("region")),
        organization: group.text("organization"),
        billing_account: group.text("billing_account"),
        operation: group.text("operation"),
        model_answered: group.text("model_answered"),
    }
}

fn share(plan: &Plan, group: &Group, meter: &Meter) -> Option<Share> {
    if meter.implied {
        return implied(plan, group, meter.quantity / ONE);
    }
    let once = priced(plan, group, Some((meter, 1)))?;
    let twice = priced(plan, group, Some((meter, 2)))?;
    let part = |priced: &Priced<'_>| of_part(priced, meter.part);
    Some(Share { own: part(&twice) - part(&once), list: twice.list_cost.units() - once.list_cost.units() })
}

/// What is charged by the call, for so many calls; nothing where nothing is.
fn implied(plan: &Plan, group: &Group, calls: i128) -> Option<Share> {
    let one = priced(plan, group, None)?;
    let own = of_part(&one, Part::Other);
    // Thinking calls are asked for with a token of thought, which has a price of its own.
    let tokens = one.cost.units() - own;
    let list = if tokens == 0 { one.list_cost.units() } else { own };
    Some(Share { own: own.checked_mul(calls)?, list: list.checked_mul(calls)? })
}

fn of_part(priced: &Priced<'_>, part: Part) -> i128 {
    let amount = match part {
        Part::Input => priced.input_cost,
        Part::Output => priced.output_cost,
        Part::CacheRead => priced.cache_read_cost,
        Part::CacheWrite => priced.cache_write_cost,
        Part::Other => priced.other_cost,
    };
    amount.units()
}

/// A call of the group with so many times one meter and nothing else; only by the price that the group has.
fn priced<'p>(plan: &'p Plan, group: &Group, meter: Option<(&Meter, i64)>) -> Option<Priced<'p>> {
    let mut asked = Asked::default();
    asked.counts.set(Count::Input, group.least_input.max(1));
    if group.thinks {
        asked.counts.set(Count::Output, 1);
        asked.counts.set(Count::Reasoning, 1);
    }
    if let Some((meter, times)) = meter {
        asked.add(meter, times)?;
    }
    let usage = Usage { counts: &asked.counts, quantities: &asked.quantities, committed: false, cache_hit: false };
    let priced = plan.price(group.first_call, &usage).ok()?;
    (Some(priced.price_id) == group.text("price_id")).then_some(priced)
}

#[derive(Default)]
struct Asked<'m> {
    counts: Counts,
    quantities: Vec<Quantity<'m>>,
}

impl<'m> Asked<'m> {
    /// One meter with the counts that it is a part of.
    fn add(&mut self, meter: &'m Meter, times: i64) -> Option<()> {
        let quantity = meter.quantity.checked_mul(i128::from(times))?;
        if meter.name == meter::WEB_SEARCH && meter.part == Part::Other {
            self.counts.set(Count::WebSearches, i64::try_from(quantity / ONE).ok()?);
            return Some(());
        }
        let amount = Decimal::try_from_i128_with_scale(quantity, 9).ok()?.normalize();
        let Some(token) = Token::from_name(&meter.name) else {
            self.quantities.push((Cow::Borrowed(meter.name.as_str()), amount));
            return Some(());
        };
        let tokens = i64::try_from(quantity / ONE).ok()?;
        for count in counted_in(token) {
            self.counts.set(*count, self.counts.get(*count).checked_add(tokens)?);
        }
        for name in named(token) {
            self.quantities.push((Cow::Borrowed(name.name()), amount));
        }
        Some(())
    }
}

/// The counts that a token of this meter is in.
const fn counted_in(token: Token) -> &'static [Count] {
    match token {
        Token::Input | Token::VideoIn => &[Count::UncachedInput],
        Token::AudioIn => &[Count::UncachedInput, Count::AudioInput],
        Token::ImageIn => &[Count::UncachedInput, Count::ImageInput],
        Token::CacheRead | Token::CacheReadVideo => &[Count::CacheRead],
        Token::CacheReadAudio => &[Count::CacheRead, Count::AudioInput],
        Token::CacheReadImage => &[Count::CacheRead, Count::ImageInput],
        Token::CacheWrite | Token::CacheWrite12h => &[Count::CacheWrite],
        Token::CacheWriteAudio => &[Count::CacheWrite, Count::AudioInput],
        Token::CacheWriteImage => &[Count::CacheWrite, Count::ImageInput],
        Token::CacheWrite1h => &[Count::CacheWrite1h],
        Token::Output | Token::ImageOut | Token::VideoOut => &[Count::Output],
        Token::Reasoning => &[Count::Output, Count::Reasoning],
        Token::AudioOut => &[Count::Output, Count::AudioOutput],
    }
}

/// The quantities that a token of this meter is in.
const fn named(token: Token) -> &'static [Token] {
    match token {
        Token::VideoIn => &[Token::VideoIn],
        Token::CacheReadVideo => &[Token::VideoIn, Token::CacheReadVideo],
        Token::CacheReadAudio => &[Token::CacheReadAudio],
        Token::CacheReadImage => &[Token::CacheReadImage],
        Token::CacheWrite12h => &[Token::CacheWrite12h],
        Token::CacheWriteAudio => &[Token::CacheWriteAudio],
        Token::CacheWriteImage => &[Token::CacheWriteImage],
        Token::ImageOut => &[Token::ImageOut],
        Token::VideoOut => &[Token::VideoOut],
        _ => &[],
    }
}
