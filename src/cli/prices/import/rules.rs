//! Rules of the book (`schemas/price_book/README.md`) that no public list knows: applied to a list before it is compared, so
//! that it does not undo them. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use spendstream_schemas::price_book::{PriceBook, PriceRow};

use super::{Offer, merge};

/// How the book marks a price of rule 12.
const SERVED_BY: &str = "rule: served by ";

/// Provider and model of a retired id → since when, and which model answers.
type Served = BTreeMap<(Arc<str>, Arc<str>), (Option<i64>, String)>;

/// Rule 12: lists keep the old prices of an id that its provider retired and still answers. It costs what the model that answers
/// does, and follows it when the list has a new price of that. A list that dates a price of the id after its retirement is believed.
pub fn retired_ids(offer: &mut Offer, book: &PriceBook, date: i64) {
    let mut served = Served::new();
    for row in book.rows().iter().filter(|row| row.in_force(date)) {
        let Some(successor) = row.source.strip_prefix(SERVED_BY) else { continue };
        let told = (row.effective_from, successor.to_owned());
        let known = served.entry((Arc::clone(&row.provider), Arc::clone(&row.model))).or_insert_with(|| told.clone());
        if *known < told {
            *known = told;
        }
    }
    for row in &offer.rows {
        let key = (Arc::clone(&row.provider), Arc::clone(&row.model));
        if served.get(&key).is_some_and(|(since, _)| row.effective_from > *since) {
            served.remove(&key);
        }
    }
    let before = offer.rows.len();
    offer.rows.retain(|row| !served.contains_key(&(Arc::clone(&row.provider), Arc::clone(&row.model))));
    if offer.rows.len() < before {
        let dropped = before - offer.rows.len();
        offer.remarks.push(format!("prices of retired ids, which cost what the model behind them does: {dropped}"));
    }
    // Only what the id has a price of: another list's border of the same step must not stand beside the book's.
    let priced: HashSet<merge::Key> = book.rows().iter().map(merge::key).collect();
    let mut followers = Vec::new();
    for ((provider, model), (_, successor)) in &served {
        let source: Arc<str> = format!("{SERVED_BY}{successor}").into();
        let answers = offer.rows.iter().filter(|row| row.provider == *provider && *row.model == **successor);
        followers.extend(answers.map(|row| PriceRow {
            model: Arc::clone(model),
            source: Arc::clone(&source),
            ..row.clone()
        }));
    }
    followers.retain(|row| priced.contains(&merge::key(row)));
    offer.rows.extend(followers);
}

/// Rule 6a: a zero is often a price that nobody has entered. One without a date gives way to a price above zero that the book has
/// from somewhere else; one for large prompts to a price above zero for smaller ones.
pub fn zeros(offer: &mut Offer, book: &PriceBook, (from, date): (&str, i64)) {
    let paid: HashMap<_, _> = book
        .rows()
        .iter()
        .filter(|row| row.in_force(date) && !row.price.is_zero())
        .map(|row| (merge::key(row), row.source.split_whitespace().next()))
        .collect();
    let gives_way = |row: &PriceRow| {
        let elsewhere = || paid.get(&merge::key(row)).is_some_and(|source| *source != Some(from));
        row.price.is_zero() && row.effective_from.is_none() && elsewhere()
    };
    let before = offer.rows.len();
    offer.rows.retain(|row| !gives_way(row));
    if offer.rows.len() < before {
        let dropped = before - offer.rows.len();
        offer.remarks.push(format!("prices of zero where another source has one above zero, left out: {dropped}"));
    }
    free_steps(offer, book, date);
}

/// No provider charges for a small prompt and nothing for a large one: two spellings of a list were put together, or a figure is missing.
/// The smaller size is the list's, or the book's where the list has no price for small prompts.
fn free_steps(offer: &mut Offer, book: &PriceBook, date: i64) {
    let is_free = |row: &PriceRow| row.tier_min_tokens > 0 && row.price.is_zero();
    if !offer.rows.iter().any(is_free) {
        return;
    }
    let listed: HashSet<Place> = offer.rows.iter().filter(|row| row.tier_min_tokens == 0).map(place).collect();
    let kept = book.rows().iter().filter(|row| row.in_force(date) && !listed.contains(&place(row)));
    let mut paid: HashMap<Place, i64> = HashMap::new();
    for row in offer.rows.iter().chain(kept).filter(|row| !row.price.is_zero()) {
        let smallest = paid.entry(place(row)).or_insert(row.tier_min_tokens);
        *smallest = row.tier_min_tokens.min(*smallest);
    }
    let before = offer.rows.len();
    offer
        .rows
        .retain(|row| !is_free(row) || paid.get(&place(row)).is_none_or(|smallest| *smallest >= row.tier_min_tokens));
    if offer.rows.len() < before {
        let dropped = before - offer.rows.len();
        offer.remarks.push(format!("prices of zero for large prompts where small ones cost more, left out: {dropped}"));
    }
}

/// Provider, model, meter, service tier, region and schedule.
type Place = (Arc<str>, Arc<str>, Arc<str>, Arc<str>, Arc<str>, String);

fn place(row: &PriceRow) -> Place {
    let (provider, model, meter, service_tier, region, schedule, _) = merge::key(row);
    (provider, model, meter, service_tier, region, schedule)
}
