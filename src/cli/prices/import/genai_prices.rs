//! genai-prices' `data.json` as rows of a book. Text in, rows and remarks out. No IO, no floats.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::value::RawValue;
use spendstream_schemas::price_book::{PriceBook, Schedule, parse_instant};

use super::Offer;
use super::clean::{self, Draft};

/// Price key → meter and unit.
const METERS: [(&str, &str, u32); 33] = [
    ("input_mtok", "input", 1_000_000),
    ("output_mtok", "output", 1_000_000),
    ("cache_read_mtok", "cache_read", 1_000_000),
    ("cache_write_mtok", "cache_write", 1_000_000),
    ("cache_write_5m_mtok", "cache_write", 1_000_000),
    ("cache_write_1h_mtok", "cache_write_1h", 1_000_000),
    ("output_reasoning_mtok", "reasoning", 1_000_000),
    ("input_audio_mtok", "audio_in", 1_000_000),
    ("output_audio_mtok", "audio_out", 1_000_000),
    ("cache_audio_read_mtok", "cache_read_audio", 1_000_000),
    ("cache_audio_write_mtok", "cache_write_audio", 1_000_000),
    ("input_image_mtok", "image_in", 1_000_000),
    ("output_image_mtok", "image_out", 1_000_000),
    ("cache_image_read_mtok", "cache_read_image", 1_000_000),
    ("cache_image_write_mtok", "cache_write_image", 1_000_000),
    ("input_video_mtok", "video_in", 1_000_000),
    ("output_video_mtok", "video_out", 1_000_000),
    ("cache_video_read_mtok", "cache_read_video", 1_000_000),
    ("output_citation_mtok", "citation", 1_000_000),
    ("input_mchars", "input_char", 1_000_000),
    ("web_searches_kcount", "web_search", 1000),
    ("storage_searches_kcount", "file_search", 1000),
    ("rerank_searches_kcount", "query", 1000),
    ("requests_kcount", "request", 1000),
    ("input_text_messages_kcount", "text_message", 1000),
    ("input_document_kpages", "document_page", 1000),
    ("input_annotated_document_kpages", "annotated_document_page", 1000),
    ("audio_hours", "audio_second", 3600),
    ("input_audio_hours", "audio_in_second", 3600),
    ("output_audio_hours", "audio_out_second", 3600),
    ("input_text_mtok", "input", 1_000_000),
    ("output_text_mtok", "output", 1_000_000),
    ("cache_text_read_mtok", "cache_read", 1_000_000),
];
/// Keys of a variant's `when` whose value is a service tier.
const TIER_KEYS: [&str; 3] = ["processing", "service_tier", "speed"];

#[derive(Deserialize)]
struct Provider {
    id: String,
    #[serde(default)]
    pricing_urls: Vec<String>,
    /// Read one by one: what is wrong with one says nothing of the others.
    models: Vec<Box<RawValue>>,
}

/// The list's third format: what it counts, beside its providers.
#[derive(Deserialize)]
struct WithUnits {
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    prices: Box<RawValue>,
    #[serde(default)]
    price_variants: Option<Vec<Variant>>,
}

#[derive(Deserialize)]
struct Variant {
    when: BTreeMap<String, String>,
    prices: Prices,
    #[serde(default)]
    constraint: Option<Constraint>,
}

#[derive(Deserialize)]
struct Conditional {
    #[serde(default)]
    constraint: Option<Constraint>,
    prices: Prices,
}

#[derive(Deserialize, Default)]
struct Constraint {
    start_date: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
}

#[derive(Deserialize)]
struct Tiered {
    base: Box<RawValue>,
    tiers: Vec<Tier>,
}

#[derive(Deserialize)]
struct Tier {
    start: Box<RawValue>,
    price: Box<RawValue>,
}

type Prices = BTreeMap<String, Box<RawValue>>;

/// # Errors
/// When the text is not such a list. A model with a price that cannot be read is refused alone.
pub fn read(text: &str, book: &PriceBook, source: &str) -> anyhow::Result<Offer> {
    let providers = providers(text).context("not a JSON list of providers")?;
    let mut offer = Offer::default();
    let (mut left_out, mut repaired) = (BTreeSet::new(), 0);
    for listed in &providers {
        let provider = book.provider_id(&listed.id).unwrap_or(&listed.id).to_owned();
        let link = listed.pricing_urls.first().map_or("", String::as_str);
        for (position, entry) in listed.models.iter().enumerate() {
            let entry: Model = match serde_json::from_str(entry.get()).context("not a model with prices") {
                Ok(entry) => entry,
                Err(error) => {
                    offer.refuse(&format!("model {} of '{}'", position + 1, listed.id), &error);
                    continue;
                }
            };
            let (model, region) = match provider.as_str() {
                // What its Agent API calls `perplexity/sonar` is another product than `sonar`; this list has both as they are.
                "perplexity" => (entry.id.clone(), String::new()),
                _ => clean::model(&provider, &listed.id, &entry.id),
            };
            match drafts(&entry, &mut left_out) {
                Ok(drafts) => {
                    offer.rows.extend(clean::rows((&provider, &model, &region), drafts, (source, link), &mut repaired));
                }
                Err(error) => offer.refuse(&format!("model '{}' of '{}'", entry.id, listed.id), &error),
            }
        }
    }
    if repaired > 0 {
        offer.remarks.push(format!("figures with the noise of a binary float, repaired: {repaired}"));
    }
    if !left_out.is_empty() {
        let names: Vec<_> = left_out.into_iter().collect();
        offer.remarks.push(format!("what has no meter or tier in the book, left out: {}", names.join(", ")));
    }
    Ok(offer)
}

fn providers(text: &str) -> serde_json::Result<Vec<Provider>> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map(|list: WithUnits| list.providers);
    }
    serde_json::from_str(text)
}

fn drafts(model: &Model, left_out: &mut BTreeSet<String>) -> anyhow::Result<Vec<Draft>> {
    let conditional: Vec<Conditional> = if model.prices.get().trim_start().starts_with('[') {
        serde_json::from_str(model.prices.get()).context("prices")?
    } else {
        vec![Conditional { constraint: None, prices: serde_json::from_str(model.prices.get()).context("prices")? }]
    };
    let mut drafts = timeline(&conditional, "", left_out)?;
    let mut variants: BTreeMap<&str, Vec<Conditional>> = BTreeMap::new();
    for variant in model.price_variants.iter().flatten() {
        match variant.when.iter().collect::<Vec<_>>()[..] {
            [(key, tier)] if TIER_KEYS.contains(&key.as_str()) => {
                let tier = if tier == "default" { "" } else { tier };
                let constraint = variant.constraint.as_ref().map(|constraint| Constraint {
                    start_date: constraint.start_date.clone(),
                    start_time: constraint.start_time.clone(),
                    end_time: constraint.end_time.clone(),
                });
                let prices = variant.prices.iter().map(|(key, raw)| (key.clone(), raw.clone())).collect();
                variants.entry(tier).or_default().push(Conditional { constraint, prices });
            }
            _ => {
                left_out.insert(format!("variant {:?}", variant.when));
            }
        }
    }
    for (tier, conditional) in &variants {
        // `default` repeats the plain prices; where both are given, the plain ones stay.
        drafts.extend(timeline(conditional, tier, left_out)?);
    }
    Ok(drafts)
}

/// A later `start_date` ends what held before; daily windows are schedules beside the plain price.
fn timeline(list: &[Conditional], tier: &str, left_out: &mut BTreeSet<String>) -> anyhow::Result<Vec<Draft>> {
    let mut dated: Vec<(Option<i64>, &Prices)> = Vec::new();
    let mut windows: Vec<(String, &Prices)> = Vec::new();
    for entry in list {
        let constraint = entry.constraint.as_ref();
        match (constraint.and_then(|c| c.start_date.as_deref()), constraint.and_then(window).transpose()?) {
            (Some(date), None) => {
                let from = parse_instant(date).with_context(|| format!("start_date '{date}'"))?;
                dated.push((Some(from), &entry.prices));
            }
            (None, Some(window)) => windows.push((window, &entry.prices)),
            (None, None) if constraint.is_none() => dated.push((None, &entry.prices)),
            _ => {
                left_out.insert("a constraint of another kind".to_owned());
            }
        }
    }
    dated.sort_by_key(|(from, _)| *from);
    let mut drafts = Vec::new();
    for (position, (from, prices)) in dated.iter().enumerate() {
        let until = dated.get(position + 1).and_then(|(next, _)| *next);
        for draft in set(prices, tier, left_out)? {
            drafts.push(Draft { effective_from: *from, effective_until: until, ..draft });
        }
    }
    for (schedule, prices) in joined(&windows) {
        let schedule = Schedule::parse(&schedule).with_context(|| format!("window '{schedule}'"))?;
        for draft in set(prices, tier, left_out)? {
            drafts.push(Draft { schedule: Some(schedule.clone()), ..draft });
        }
    }
    Ok(drafts)
}

/// `00:30-16:30` from `00:30:00Z` and `16:30:00Z`.
fn window(constraint: &Constraint) -> Option<anyhow::Result<String>> {
    let (start, end) = (constraint.start_time.as_deref()?, constraint.end_time.as_deref()?);
    let minutes = |text: &str| -> anyhow::Result<String> {
        let utc = text.ends_with('Z') || text.ends_with("+00:00") || text.len() <= 8;
        match text.get(..5) {
            Some(minutes) if utc => Ok(minutes.to_owned()),
            _ => bail!("time of day '{text}' is not in UTC"),
        }
    };
    Some(minutes(start).and_then(|start| Ok(format!("{start}-{}", minutes(end)?))))
}

/// Windows with the same prices are one schedule.
fn joined<'a>(windows: &[(String, &'a Prices)]) -> Vec<(String, &'a Prices)> {
    let mut joined: Vec<(String, &Prices)> = Vec::new();
    let same = |a: &Prices, b: &Prices| {
        a.len() == b.len() && a.iter().zip(b).all(|((k, v), (l, w))| k == l && v.get() == w.get())
    };
    for (window, prices) in windows {
        match joined.iter_mut().find(|(_, known)| same(known, prices)) {
            Some((schedule, _)) => {
                schedule.push(' ');
                schedule.push_str(window);
            }
            None => joined.push((window.clone(), prices)),
        }
    }
    joined
}

/// One set of prices.
fn set(prices: &Prices, tier: &str, left_out: &mut BTreeSet<String>) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    for (key, raw) in prices.iter().filter(|(_, raw)| raw.get() != "null") {
        let Some((_, meter, per)) = METERS.iter().find(|(name, _, _)| name == key) else {
            left_out.insert(key.clone());
            continue;
        };
        let draft = |raw: &RawValue, above: i64| -> anyhow::Result<Draft> {
            let price = clean::number(raw.get()).with_context(|| key.clone())?;
            Ok(Draft {
                meter: (*meter).to_owned(),
                price,
                per: *per,
                tier_min_tokens: above,
                service_tier: tier.to_owned(),
                ..Draft::default()
            })
        };
        if !raw.get().starts_with('{') {
            drafts.push(draft(raw, 0)?);
            continue;
        }
        let tiered: Tiered = serde_json::from_str(raw.get()).with_context(|| key.clone())?;
        drafts.push(draft(&tiered.base, 0)?);
        for step in &tiered.tiers {
            let start = clean::tokens(step.start.get()).with_context(|| format!("{key}: start of a tier"))?;
            drafts.push(draft(&step.price, start)?);
        }
    }
    Ok(drafts)
}
