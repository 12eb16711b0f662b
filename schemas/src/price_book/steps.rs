//! Prices for large prompts where a service tier, region or schedule has none of its own. Rows come in; the price to use, how
//! far it can be trusted, and what to tell whoever keeps the book go out. Nothing is invented: no price is scaled.
//!
//! A source often lists `flex` with one price and the standard tier with two. To charge a large prompt by the one would be too
//! low, silently. The dearer of the one and the standard price for that size is used and marked.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::rates::Found;
use super::ratio::Ratio;
use super::row::PriceRow;
use crate::note::CostQuality;

/// The price of the meter of `best`, the row that fits a call of more than `above` prompt tokens best. `rows` are those in force
/// for the call's tier and region, their fallbacks included. `None` when a figure does not fit 128 bits.
pub(super) fn found(best: &PriceRow, rows: &[&PriceRow], above: i64) -> Option<Found> {
    let price = Ratio::of(best.price, best.per)?;
    let own = Found { price, tier: CostQuality::Exact };
    if above == 0 || best.tier_min_tokens > 0 || rows.iter().any(|row| same_place(row, best) && row.tier_min_tokens > 0)
    {
        return Some(own);
    }
    let steps = rows.iter().filter(|row| (1..=above).contains(&row.tier_min_tokens) && stands_in(row, best));
    let Some(step) = steps.max_by_key(|row| (likeness(row, best), row.tier_min_tokens)) else { return Some(own) };
    let base = rows.iter().find(|row| row.tier_min_tokens == 0 && same_place(row, step));
    // A tier that is no dearer than its stand-in for small prompts is taken to be no dearer for large ones.
    let cheaper = base.is_some_and(|base| !dearer(best, base));
    let tier = if cheaper { CostQuality::UpperBound } else { CostQuality::Estimated };
    let price = if dearer(step, best) { Ratio::of(step.price, step.per)? } else { price };
    Some(Found { price, tier })
}

/// A place in the book whose prices are listed for small prompts only, although others have larger steps.
#[derive(Debug)]
pub(super) struct Gap<'a> {
    /// The first of its rows in the book.
    pub row: &'a PriceRow,
    /// One that has a step.
    pub other: &'a PriceRow,
    /// From how many prompt tokens on.
    pub above: i64,
    /// By name.
    pub meters: Vec<&'a str>,
}

/// Places without a step among the rows of one model where what stands in for them has one: large prompts pay the dearer of both.
/// One per service tier, region and schedule.
pub(super) fn gaps<'a>(group: &[&'a PriceRow]) -> Vec<Gap<'a>> {
    places(group, stands_in)
}

/// Places without a step among the rows of models that share a name, where nothing that stands in for them has one but another
/// region or another spelling of the model does: large prompts pay the price of small ones, rightly or not.
pub(super) fn uneven<'a>(group: &[&'a PriceRow]) -> Vec<Gap<'a>> {
    let gaps = places(group, stands_in);
    let mut uneven = places(group, beside);
    uneven.retain(|place| gaps.iter().all(|gap| !same_tariff(gap.row, place.row)));
    uneven
}

/// The places without a step that are in this relation to a row with one.
fn places<'a>(group: &[&'a PriceRow], related: impl Fn(&PriceRow, &PriceRow) -> bool) -> Vec<Gap<'a>> {
    let mut gaps: BTreeMap<_, Gap<'a>> = BTreeMap::new();
    for &row in group.iter().filter(|row| row.tier_min_tokens == 0) {
        let at_once = |other: &&&PriceRow| other.tier_min_tokens > 0 && overlap(other, row);
        if group.iter().filter(at_once).any(|other| same_place(other, row)) {
            continue;
        }
        let steps = group.iter().filter(at_once).filter(|other| related(other, row));
        let Some(other) = steps.min_by_key(|step| (step.tier_min_tokens, step.line)) else { continue };
        let above = other.tier_min_tokens;
        let place = (&row.model, &row.service_tier, &row.region, &row.schedule);
        let gap = gaps.entry(place).or_insert_with(|| Gap { row, other, above, meters: Vec::new() });
        gap.above = gap.above.min(above);
        if row.line < gap.row.line {
            gap.row = row;
        }
        if let Err(position) = gap.meters.binary_search(&&*row.meter) {
            gap.meters.insert(position, &row.meter);
        }
    }
    gaps.into_values().collect()
}

/// Whether both price one meter of one model in one tier, region and schedule.
fn same_place(one: &PriceRow, two: &PriceRow) -> bool {
    (&one.model, &one.meter, &one.service_tier, &one.region, &one.schedule)
        == (&two.model, &two.meter, &two.service_tier, &two.region, &two.schedule)
}

/// Whether both are of one model, tier, region and schedule.
fn same_tariff(one: &PriceRow, two: &PriceRow) -> bool {
    (&one.model, &one.service_tier, &one.region, &one.schedule)
        == (&two.model, &two.service_tier, &two.region, &two.schedule)
}

/// Whether `other` prices the same meter in the same tier and schedule, in another region or under another name of the model.
fn beside(other: &PriceRow, row: &PriceRow) -> bool {
    (&other.meter, &other.service_tier, &other.schedule) == (&row.meter, &row.service_tier, &row.schedule)
        && !same_place(other, row)
        && !stands_in(other, row)
}

/// Whether a call that `row` fits is one that `other` would price if `row` were not there.
fn stands_in(other: &PriceRow, row: &PriceRow) -> bool {
    (&other.model, &other.meter) == (&row.model, &row.meter)
        && !same_place(other, row)
        && (other.service_tier.is_empty() || other.service_tier == row.service_tier)
        && (other.region.is_empty() || other.region == row.region)
        && (other.schedule.is_none() || other.schedule == row.schedule)
}

/// Nearest first by tier, then region, then schedule, as prices are chosen.
fn likeness(other: &PriceRow, row: &PriceRow) -> [bool; 3] {
    [other.service_tier == row.service_tier, other.region == row.region, other.schedule == row.schedule]
}

/// Whether both are in force at some time.
pub(super) fn overlap(one: &PriceRow, two: &PriceRow) -> bool {
    let before = |first: &PriceRow, second: &PriceRow| {
        first.effective_until.is_some_and(|until| second.effective_from.is_some_and(|from| until <= from))
    };
    !before(one, two) && !before(two, one)
}

/// Exact: units have at most seven digits, prices fourteen.
pub(super) fn dearer(one: &PriceRow, two: &PriceRow) -> bool {
    one.price * Decimal::from(two.per) > two.price * Decimal::from(one.per)
}
