//! What one unit of a meter costs an organisation: asked of the book's own pricing, so that it is what a call would pay.
//!
//! A book and a price row come in, two decimals (list and own, in the lake's currency) go out. No IO.

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::meter::{Token, WEB_SEARCH};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{Plan, PriceRow, Usage};
use spendstream_schemas::usage_event::Quantity;

/// Prices of `per` units of a meter, in the lake's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitPrice {
    pub list: Decimal,
    /// After overrides and discounts.
    pub own: Decimal,
}

/// Units that are asked for: enough that rounding to 15 digits does not show, few enough to stay in the price's tier.
const UNITS: i64 = 1_000;

/// The price of `row`'s meter and prompt size at a moment; `None` when a call could not be priced then.
pub fn unit_price(plan: &Plan, row: &PriceRow, at: i64) -> Option<UnitPrice> {
    let base = Call::of_prompt(row.tier_min_tokens);
    let with = Call::of_prompt(row.tier_min_tokens).plus(&row.meter);
    let (before, after) = (base.price(plan, at), with.price(plan, at)?);
    // A model without a price for input has no base to subtract.
    let before = before.unwrap_or((Amount::ZERO, Amount::ZERO));
    let of = |after: Amount, before: Amount| {
        let units = Decimal::from_i128_with_scale((after - before).units(), 15);
        let each = units.checked_div(Decimal::from(UNITS))?;
        Some(each.checked_mul(Decimal::from(row.per))?.round_dp(12).normalize())
    };
    Some(UnitPrice { list: of(after.0, before.0)?, own: of(after.1, before.1)? })
}

/// The counts of a call.
#[derive(Clone, Debug, Default)]
struct Call {
    counts: Counts,
    quantities: Vec<Quantity<'static>>,
}

impl Call {
    /// One whose prompt is just above a tier's border.
    fn of_prompt(border: i64) -> Self {
        let mut call = Self::default();
        if border > 0 {
            call.add(&[Count::Input, Count::UncachedInput], border.saturating_add(1));
        }
        call
    }

    /// The same with [`UNITS`] more of a meter, and of what that is a part of.
    fn plus(mut self, meter: &str) -> Self {
        match Token::from_name(meter) {
            Some(token) => self.add_token(token),
            None if meter == WEB_SEARCH => self.add(&[Count::WebSearches], UNITS),
            None => self.quantities.push((Cow::Owned(meter.to_owned()), Decimal::from(UNITS))),
        }
        self
    }

    fn add_token(&mut self, token: Token) {
        use Count::{
            AudioInput, AudioOutput, CacheRead, CacheWrite, CacheWrite1h, ImageInput, Input, Output, Reasoning,
        };
        let counts: &[Count] = match token {
            Token::Input | Token::VideoIn => &[Input, Count::UncachedInput],
            Token::AudioIn => &[Input, Count::UncachedInput, AudioInput],
            Token::ImageIn => &[Input, Count::UncachedInput, ImageInput],
            Token::CacheRead | Token::CacheReadVideo => &[Input, CacheRead],
            Token::CacheReadAudio => &[Input, CacheRead, AudioInput],
            Token::CacheReadImage => &[Input, CacheRead, ImageInput],
            Token::CacheWrite | Token::CacheWrite12h => &[Input, CacheWrite],
            Token::CacheWriteAudio => &[Input, CacheWrite, AudioInput],
            Token::CacheWriteImage => &[Input, CacheWrite, ImageInput],
            Token::CacheWrite1h => &[Input, CacheWrite1h],
            Token::Output | Token::ImageOut | Token::VideoOut => &[Output],
            Token::Reasoning => &[Output, Reasoning],
            Token::AudioOut => &[Output, AudioOutput],
        };
        self.add(counts, UNITS);
        let counted = [
            Token::Input,
            Token::Output,
            Token::CacheRead,
            Token::CacheWrite,
            Token::CacheWrite1h,
            Token::Reasoning,
            Token::AudioIn,
            Token::AudioOut,
            Token::ImageIn,
        ];
        if !counted.contains(&token) {
            self.quantities.push((Cow::Borrowed(token.name()), Decimal::from(UNITS)));
            // A cached video is a part of the video input, which has no column either.
            if token == Token::CacheReadVideo {
                self.quantities.push((Cow::Borrowed(Token::VideoIn.name()), Decimal::from(UNITS)));
            }
        }
    }

    fn add(&mut self, counts: &[Count], number: i64) {
        for count in counts {
            self.counts.set(*count, self.counts.get(*count).saturating_add(number));
        }
    }

    /// List and own cost.
    fn price(&self, plan: &Plan, at: i64) -> Option<(Amount, Amount)> {
        let usage = Usage { counts: &self.counts, quantities: &self.quantities, committed: false, cache_hit: false };
        plan.price(at, &usage).ok().map(|priced| (priced.list_cost, priced.cost))
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::price_book::Question;

    use super::super::list::tests::book;
    use super::unit_price;

    fn check(meter: &str, above: i64, expected: &str) {
        let book = book(
            "acme,m,input,1.25,1000000,USD,,,,,,,,\n\
             acme,m,input,2.5,1000000,USD,,,200000,,,,,\n\
             acme,m,output,10,1000000,USD,,,,,,,,\n\
             acme,m,cache_read,0.125,1000000,USD,,,,,,,,\n\
             acme,m,reasoning,12,1000000,USD,,,,,,,,\n\
             acme,m,audio_in,40,1000000,USD,,,,,,,,\n\
             acme,m,image_out,30,1000000,USD,,,,,,,,\n\
             acme,m,cache_write_12h,2,1000000,USD,,,,,,,,\n\
             acme,m,cache_read_video,0.2,1000000,USD,,,,,,,,\n\
             acme,m,web_search,10,1000,USD,,,,,,,,\n\
             acme,m,audio_second,0.36,3600,USD,,,,,,,,",
            "[[override]]\norganization = \"us\"\nprovider = \"acme\"\ndiscount_percent = \"12.5\"\n",
        );
        let question =
            Question { provider: Some("acme"), model: Some("m"), organization: Some("us"), ..Question::default() };
        let plan = book.resolve(&question).unwrap();
        let row = book.rows().iter().find(|row| &*row.meter == meter && row.tier_min_tokens == above).unwrap();
        let price = unit_price(&plan, row, 0).unwrap_or_else(|| panic!("{meter} has no price"));
        assert_eq!(format!("{} {}", price.list, price.own), expected, "{meter} above {above}");
    }

    #[test]
    fn what_a_unit_costs_is_what_a_call_pays() {
        check("input", 0, "1.25 1.09375");
        check("input", 200_000, "2.5 2.1875");
        check("output", 0, "10 8.75");
        check("cache_read", 0, "0.125 0.109375");
        check("reasoning", 0, "12 10.5");
        check("audio_in", 0, "40 35");
        check("image_out", 0, "30 26.25");
        check("cache_write_12h", 0, "2 1.75");
        check("cache_read_video", 0, "0.2 0.175");
        check("web_search", 0, "10 8.75");
        check("audio_second", 0, "0.36 0.315");
    }
}
