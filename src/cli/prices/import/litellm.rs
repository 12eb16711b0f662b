//! LiteLLM's `model_prices_and_context_window.json` as rows of a book. Text in, rows and remarks out. No IO, no floats.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::value::RawValue;
use spendstream_schemas::price_book::PriceBook;

use super::Offer;
use super::clean::{self, Draft};

type Fields = BTreeMap<String, Box<RawValue>>;

/// Field without its suffixes → meter.
const METERS: [(&str, &str); 36] = [
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
    ("cache_read_input_token_cost", "cache_read"),
    ("input_cost_per_token_cache_hit", "cache_read"),
    ("cache_creation_input_token_cost", "cache_write"),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h"),
    ("cache_creation_input_token_cost_above_12hr", "cache_write_12h"),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("input_cost_per_audio_token", "audio_in"),
    ("output_cost_per_audio_token", "audio_out"),
    ("input_cost_per_image_token", "image_in"),
    ("output_cost_per_image_token", "image_out"),
    ("input_cost_per_video_token", "video_in"),
    ("output_cost_per_video_token", "video_out"),
    ("cache_read_input_audio_token_cost", "cache_read_audio"),
    ("cache_read_input_image_token_cost", "cache_read_image"),
    ("cache_creation_input_audio_token_cost", "cache_write_audio"),
    ("input_cost_per_character", "input_char"),
    ("output_cost_per_character", "output_char"),
    ("input_cost_per_pixel", "input_pixel"),
    ("output_cost_per_pixel", "output_pixel"),
    ("input_cost_per_image", "image_in_each"),
    ("output_cost_per_image", "image_out_each"),
    ("input_cost_per_second", "input_second"),
    ("output_cost_per_second", "output_second"),
    ("input_cost_per_audio_per_second", "audio_in_second"),
    ("input_cost_per_video_per_second", "video_in_second"),
    ("output_cost_per_video_per_second", "video_out_second"),
    ("input_cost_per_query", "query"),
    ("input_cost_per_request", "request"),
    ("citation_cost_per_token", "citation"),
    ("input_cost_per_text_message", "text_message"),
    ("ocr_cost_per_page", "document_page"),
    ("annotation_cost_per_page", "annotated_document_page"),
    ("google_maps_grounding_cost_per_query", "google_maps_grounding"),
    ("code_interpreter_cost_per_session", "code_interpreter_session"),
];
/// Suffix of a field → service tier.
const TIERS: [(&str, &str); 6] = [
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_ultrafast", "ultrafast"),
    ("_balanced", "balanced"),
    ("_decisions", "decisions"),
];
/// Part of `search_context_cost_per_query` → meter.
const SEARCHES: [(&str, &str); 3] = [
    ("search_context_size_medium", "web_search"),
    ("search_context_size_low", "web_search_low"),
    ("search_context_size_high", "web_search_high"),
];

/// # Errors
/// When the text is not such a list. A model with a price that cannot be read is refused alone.
pub fn read(text: &str, book: &PriceBook, source: &str) -> anyhow::Result<Offer> {
    let models: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).context("not a JSON object of models")?;
    let mut offer = Offer::default();
    let (mut left_out, mut repaired, mut reserved) = (BTreeSet::new(), 0, 0);
    // `azure/gpt-4o` before `azure/global-standard/gpt-4o`: where both mean one price, the plain name speaks.
    let mut models: Vec<_> = models.iter().collect();
    models.sort_by_key(|(listed, _)| listed.matches('/').count());
    for (listed, fields) in models {
        let fields: Fields = match serde_json::from_str(fields.get()).context("not a JSON object") {
            Ok(fields) => fields,
            Err(error) => {
                offer.refuse(&format!("model '{listed}'"), &error);
                continue;
            }
        };
        let Some(listed_provider) = fields.get("litellm_provider").and_then(|raw| string(raw)) else { continue };
        if listed == "sample_spec" {
            continue;
        }
        if listed.contains("-month-commitment/") {
            reserved += 1;
            continue;
        }
        // LiteLLM has several names for the parts of one provider: `vertex_ai-language-models`.
        let base = listed_provider.split_once('-').map_or(listed_provider.as_str(), |(base, _)| base);
        let provider = book.provider_id(&listed_provider).or_else(|| book.provider_id(base));
        let provider = provider.unwrap_or(&listed_provider).to_owned();
        let (model, region) = clean::model(&provider, &listed_provider, listed);
        let drafts = match drafts(&fields, &mut left_out) {
            Ok(drafts) => drafts,
            Err(error) => {
                offer.refuse(&format!("model '{listed}'"), &error);
                continue;
            }
        };
        let link = fields.get("source").and_then(|raw| string(raw)).unwrap_or_default();
        offer.rows.extend(clean::rows((&provider, &model, &region), drafts, (source, &link), &mut repaired));
    }
    if repaired > 0 {
        offer.remarks.push(format!("figures with the noise of a binary float, repaired: {repaired}"));
    }
    if reserved > 0 {
        offer.remarks.push(format!("reserved capacity by the hour, which prices no call, left out: {reserved}"));
    }
    if !left_out.is_empty() {
        let names: Vec<_> = left_out.into_iter().collect();
        offer.remarks.push(format!("fields without a meter in the book, left out: {}", names.join(", ")));
    }
    Ok(offer)
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn drafts(fields: &Fields, left_out: &mut BTreeSet<String>) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    for (name, raw) in fields.iter().filter(|(_, raw)| raw.get() != "null") {
        match name.as_str() {
            "tiered_pricing" => {
                let tiers: Vec<Fields> = serde_json::from_str(raw.get()).context("tiered_pricing")?;
                for tier in &tiers {
                    tiered(tier, &mut drafts).context("tiered_pricing")?;
                }
            }
            "search_context_cost_per_query" => {
                let sizes: Fields = serde_json::from_str(raw.get()).context("search_context_cost_per_query")?;
                for (size, meter) in SEARCHES {
                    if let Some(raw) = sizes.get(size) {
                        drafts.push(draft(meter, raw, 1)?);
                    }
                }
            }
            "file_search_cost_per_1k_calls" => drafts.push(draft("file_search", raw, 1000)?),
            _ => match field(name) {
                Some((meter, service_tier, tier_min_tokens)) => {
                    let draft = draft(meter, raw, 1).with_context(|| format!("field '{name}'"))?;
                    drafts.push(Draft { service_tier: service_tier.to_owned(), tier_min_tokens, ..draft });
                }
                None if name.contains("cost") || name.contains("pricing") => {
                    left_out.insert(name.clone());
                }
                None => {}
            },
        }
    }
    drop_equal_searches(&mut drafts);
    Ok(drafts)
}

/// One element of `tiered_pricing`: its prices hold above the start of its range.
fn tiered(fields: &Fields, drafts: &mut Vec<Draft>) -> anyhow::Result<()> {
    let range: Vec<Box<RawValue>> =
        fields.get("range").map_or(Ok(Vec::new()), |raw| serde_json::from_str(raw.get()))?;
    let Some(start) = range.first().and_then(|start| clean::tokens(start.get())) else { return Ok(()) };
    for (name, raw) in fields {
        if let Some((meter, service_tier, 0)) = field(name) {
            let draft = draft(meter, raw, 1)?;
            drafts.push(Draft { service_tier: service_tier.to_owned(), tier_min_tokens: start, ..draft });
        }
    }
    Ok(())
}

/// Meter, service tier and border of prompt tokens that a field's name means.
fn field(name: &str) -> Option<(&'static str, &'static str, i64)> {
    let (name, tier) =
        TIERS.iter().find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, *tier))).unwrap_or((name, ""));
    let border = name.strip_suffix("k_tokens").and_then(|head| {
        let (head, number) = head.rsplit_once("_above_")?;
        Some((head, number.parse::<i64>().ok()?.checked_mul(1_000)?))
    });
    let (name, border) = border.unwrap_or((name, 0));
    let (_, meter) = METERS.iter().find(|(field, _)| *field == name)?;
    Some((meter, tier, border))
}

/// LiteLLM's figures are per one; tokens are kept per million, as providers publish them.
fn draft(meter: &str, raw: &RawValue, per: u32) -> anyhow::Result<Draft> {
    let price = clean::number(raw.get())?;
    let unit = if per == 1 { clean::usual_unit(meter) } else { per };
    let (price, per, mended) = if per == unit { (price, per, false) } else { scaled(price, unit, meter) };
    Ok(Draft { meter: meter.to_owned(), price, per, mended, ..Draft::default() })
}

/// The figure for `unit`; kept per one when that would not fit.
fn scaled(price: rust_decimal::Decimal, unit: u32, meter: &str) -> (rust_decimal::Decimal, u32, bool) {
    let (price, per, mended) = clean::published(price, 1, meter);
    match price.checked_mul(unit.into()) {
        Some(scaled) if per == 1 => (scaled.normalize(), unit, mended),
        _ => (price, per, mended),
    }
}

/// The size of a search is only worth a row where it changes the price.
fn drop_equal_searches(drafts: &mut Vec<Draft>) {
    let medium = drafts.iter().find(|draft| draft.meter == "web_search").map(|draft| draft.price);
    drafts.retain(|draft| !draft.meter.starts_with("web_search_") || Some(draft.price) != medium);
}
