//! From the rows of one model to a timetable of [`Rates`]: which price of which meter holds when, in which schedule and
//! from how many prompt tokens on. Rows and overrides come in, segments go out; nothing here looks at a call.
//!
//! The stacking order of modifiers: the base price of tier, region, schedule and context size → a fixed price of an override
//! replaces it → a discount multiplies it → the exchange rate converts it (at the call, see [`super::plan`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::instant;
use super::overrides::Override;
use super::rates::{Found, Rates};
use super::ratio::Ratio;
use super::row::PriceRow;
use super::schedule::Schedule;
use super::steps;
use crate::meter::Token;
use crate::note::CostQuality;

/// What selects among the rows of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection<'a> {
    /// `provider/model` for price ids.
    pub name: &'a str,
    /// Empty for standard.
    pub tier: &'a str,
    /// Empty for the default.
    pub region: &'a str,
    pub free_meters: &'a [String],
    /// Meters that cost what their parent does where they have no price of their own, because the catalogue says so.
    pub alike: &'a [Token],
}

/// A stretch of time without a change of price.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Microseconds, inclusive.
    pub from: i64,
    /// Those of more schedules first; the last has none.
    pub variants: Vec<Variant>,
}

#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// Holds while each of these does: two meters may have windows of their own.
    pub schedules: Schedules,
    /// By rising prompt size; the first is the base.
    pub bands: Vec<Band>,
}

/// The prices of a call whose prompt tokens exceed `above`.
#[derive(Clone, Debug)]
pub(super) struct Band {
    pub above: i64,
    pub list: Rates,
    /// `None`: no override is in force, the list price is what is paid.
    pub own: Option<Rates>,
}

/// The schedules that hold at one time.
pub(super) type Schedules = Vec<Arc<Schedule>>;

/// The timetable of a selection; `None` when its figures do not fit together in 128 bits. A stretch without any price has
/// no variants.
pub(super) fn segments(rows: &[&PriceRow], overrides: &[&Override], selection: &Selection<'_>) -> Option<Vec<Segment>> {
    let rows: Vec<&PriceRow> = rows
        .iter()
        .copied()
        .filter(|row| row.service_tier.is_empty() || *row.service_tier == *selection.tier)
        .filter(|row| row.region.is_empty() || *row.region == *selection.region)
        .collect();
    let ends = rows.iter().flat_map(|row| [row.effective_from, row.effective_until]);
    let own_ends = overrides.iter().flat_map(|entry| [entry.effective_from, entry.effective_until]);
    let mut starts: BTreeSet<i64> = ends.chain(own_ends).flatten().collect();
    starts.insert(i64::MIN);
    starts.into_iter().map(|from| segment(&rows, overrides, selection, from)).collect()
}

fn segment(rows: &[&PriceRow], overrides: &[&Override], selection: &Selection<'_>, from: i64) -> Option<Segment> {
    let rows: Vec<&PriceRow> = rows.iter().copied().filter(|row| row.in_force(from)).collect();
    let overrides: Vec<&Override> = overrides.iter().copied().filter(|entry| entry.in_force(from)).collect();
    let priced = rows.iter().any(|row| &*row.model != "*") || overrides.iter().any(|entry| !entry.prices.is_empty());
    let variants = at_once(&rows).into_iter().filter(|_| priced);
    let variants = variants
        .map(|schedules| Some(Variant { bands: bands(&rows, &overrides, selection, &schedules, from)?, schedules }))
        .collect::<Option<_>>()?;
    Some(Segment { from, variants })
}

/// Every set of schedules that hold together at some minute of the week, larger sets first, none last: the first of which all
/// hold at a moment is what holds at it.
fn at_once(rows: &[&PriceRow]) -> Vec<Schedules> {
    let all: BTreeSet<&Arc<Schedule>> = rows.iter().filter_map(|row| row.schedule.as_ref()).collect();
    let edges: BTreeSet<u16> = all.iter().flat_map(|schedule| schedule.edges()).collect();
    let held = |minute: u16| -> Schedules {
        all.iter().filter(|schedule| schedule.has_minute(minute)).map(|one| Arc::clone(one)).collect()
    };
    let mut sets: BTreeSet<Schedules> = edges.into_iter().map(held).collect();
    sets.insert(Vec::new());
    let mut sets: Vec<Schedules> = sets.into_iter().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    sets
}

fn bands(
    rows: &[&PriceRow],
    overrides: &[&Override],
    selection: &Selection<'_>,
    schedules: &[Arc<Schedule>],
    from: i64,
) -> Option<Vec<Band>> {
    let own_tiers = overrides.iter().flat_map(|entry| entry.prices.iter().map(|price| price.tier_min_tokens));
    let mut tiers: BTreeSet<i64> = rows.iter().map(|row| row.tier_min_tokens).chain(own_tiers).collect();
    tiers.insert(0);
    let band = |above: i64| {
        let mut list = list_prices(rows, selection, schedules, above);
        let mut currency = rows.first().map_or_else(|| Arc::from("USD"), |row| Arc::clone(&row.currency));
        let mut id = price_id(selection, schedules, above, from);
        let own = own_prices(&mut list, overrides, &currency, (selection.tier, above));
        if list.is_empty()
            && let Some((_, own_currency, _)) = &own
        {
            currency = Arc::clone(own_currency);
        }
        add_free(&mut list, selection.free_meters);
        let own = match own {
            None => None,
            Some((mut prices, currency, ids)) => {
                add_free(&mut prices, selection.free_meters);
                id = format!("{id};override={}", ids.join("+"));
                Some(Rates::new(id.clone(), currency, &prices, selection.alike)?)
            }
        };
        Some(Band { above, list: Rates::new(id, currency, &list, selection.alike)?, own })
    };
    tiers.into_iter().map(band).collect()
}

type Prices = Vec<(Arc<str>, Found)>;

/// A meter whose price an override fixed: which entry, which meter, in which currency.
type Fixed<'a> = (usize, &'a Arc<str>, Option<&'a Arc<str>>);

/// The list price of every meter: the row that fits best by tier, region, schedule and prompt size, in that order. Where that
/// row's own place knows no price for a large prompt and another does, [`steps::found`] decides.
fn list_prices(rows: &[&PriceRow], selection: &Selection<'_>, schedules: &[Arc<Schedule>], above: i64) -> Prices {
    let best = fitting(rows, selection.tier, selection.region, schedules, above);
    let standard = fitting(rows, "", selection.region, schedules, above);
    let price = |row: &PriceRow| {
        if *row.service_tier == *selection.tier {
            return steps::found(row, rows, above);
        }
        if let Some(parent) = parent_in_tier(row, &best, &standard, selection.tier) {
            return steps::found(parent, rows, above);
        }
        Some(Found { tier: CostQuality::Estimated, ..steps::found(row, rows, above)? })
    };
    best.iter().filter_map(|row| Some((Arc::clone(&row.meter), price(row)?))).collect()
}

/// The row of every meter that fits best.
fn fitting<'a>(
    rows: &[&'a PriceRow],
    tier: &str,
    region: &str,
    schedules: &[Arc<Schedule>],
    above: i64,
) -> Vec<&'a PriceRow> {
    let mut best: Vec<(&PriceRow, _)> = Vec::new();
    for &row in rows.iter().filter(|row| row.tier_min_tokens <= above) {
        if row.schedule.as_ref().is_some_and(|schedule| !schedules.contains(schedule)) {
            continue;
        }
        let rank = (
            &*row.model != "*",
            *row.service_tier == *tier,
            *row.region == *region,
            row.schedule.is_some(),
            row.tier_min_tokens,
            row.effective_from,
        );
        match best.iter_mut().find(|(known, _)| known.meter == row.meter) {
            Some(known) if known.1 < rank => *known = (row, rank),
            Some(_) => {}
            None => best.push((row, rank)),
        }
    }
    best.into_iter().map(|(row, _)| row).collect()
}

/// The parent's price in the tier, for a meter that has none there and costs exactly what its parent does in the standard tier:
/// who bills both alike at the one price does so at the other.
fn parent_in_tier<'a>(
    row: &PriceRow,
    best: &[&'a PriceRow],
    standard: &[&PriceRow],
    tier: &str,
) -> Option<&'a PriceRow> {
    let token = Token::from_name(&row.meter)?;
    let parent = Some(token.parent()).filter(|parent| *parent != token)?.name();
    let twin = standard.iter().find(|other| *other.meter == *parent && other.service_tier.is_empty())?;
    let equal = row.price * Decimal::from(twin.per) == twin.price * Decimal::from(row.per);
    best.iter().copied().find(|other| equal && *other.meter == *parent && *other.service_tier == *tier)
}

/// Prices after overrides, their currency, and the ids of the entries used; `None` when no entry applies. A meter that only
/// an override prices is listed at that price.
fn own_prices(
    list: &mut Prices,
    overrides: &[&Override],
    list_currency: &Arc<str>,
    (tier, above): (&str, i64),
) -> Option<(Prices, Arc<str>, Vec<String>)> {
    let mut own = list.clone();
    let mut used = BTreeSet::new();
    let mut fixed: Vec<Fixed<'_>> = Vec::new();
    for (position, entry) in overrides.iter().enumerate() {
        // Of an entry's prices for several prompt sizes, the largest that this band reaches.
        let mut prices: Vec<_> = entry.prices_for(tier).iter().filter(|price| price.tier_min_tokens <= above).collect();
        prices.sort_by_key(|price| price.tier_min_tokens);
        for price in prices {
            let found = Found { price: price.price, tier: CostQuality::Exact };
            match own.iter_mut().find(|(meter, _)| *meter == price.meter) {
                Some(known) => known.1 = found,
                None => own.push((Arc::clone(&price.meter), found)),
            }
            fixed.retain(|(_, meter, _)| **meter != price.meter);
            fixed.push((position, &price.meter, price.currency.as_ref()));
        }
    }
    used.extend(fixed.iter().map(|(position, _, _)| *position));
    let currency = fixed.iter().find_map(|(_, _, currency)| *currency).unwrap_or(list_currency).clone();
    if currency == *list_currency {
        for (meter, found) in &own {
            if list.iter().all(|(known, _)| known != meter) {
                list.push((Arc::clone(meter), *found));
            }
        }
    } else {
        // A figure in another currency cannot be added to one in this: only what was agreed in it has a price.
        own.retain(|(meter, _)| {
            fixed.iter().any(|(_, known, own)| *known == meter && own.unwrap_or(list_currency) == &currency)
        });
    }
    for (meter, found) in &mut own {
        let discount =
            overrides.iter().enumerate().rev().find(|(_, entry)| entry.factor.is_some() && entry.discounts(meter));
        if let Some((position, factor)) = discount.and_then(|(position, entry)| Some((position, entry.factor?))) {
            found.price = found.price.times(factor)?;
            used.insert(position);
        }
    }
    if used.is_empty() {
        return None;
    }
    let ids = used.into_iter().filter_map(|position| overrides.get(position).map(|entry| entry.id.clone())).collect();
    Some((own, currency, ids))
}

fn add_free(prices: &mut Prices, free_meters: &[String]) {
    for meter in free_meters {
        if prices.iter().all(|(known, _)| **known != **meter) {
            let price = Ratio { numerator: 0, denominator: 1 };
            prices.push((Arc::from(meter.as_str()), Found { price, tier: CostQuality::Exact }));
        }
    }
}

/// `openai/gpt-5;from=2026-10-12;tier=flex;above=272000`: where in the book the price stands.
fn price_id(selection: &Selection<'_>, schedules: &[Arc<Schedule>], above: i64, from: i64) -> String {
    let mut id = selection.name.to_owned();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            id.extend([";", key, "=", value]);
        }
    };
    add("from", &if from == i64::MIN { String::new() } else { instant::show(from) });
    add("tier", selection.tier);
    add("region", selection.region);
    add("schedule", &schedules.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"));
    add("above", &if above == 0 { String::new() } else { above.to_string() });
    id
}
