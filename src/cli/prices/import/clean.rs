//! Names and figures of a public list brought to the book's: the same rules that made the book that ships
//! (`schemas/price_book/README.md`). Texts come in, words and decimals go out. No IO.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::bail;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use spendstream_schemas::meter::Token;
use spendstream_schemas::note::Note;
use spendstream_schemas::price_book::{PriceBook, PriceRow, Question, Schedule};

use super::{Offer, merge};

/// Published figures have at most this many significant digits; more is the noise of a binary float.
const DIGITS: u32 = 14;
/// What a noisy figure is rounded to.
const REPAIRED_DIGITS: u32 = 12;

/// A price as read, before it is a row.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub meter: String,
    pub price: Decimal,
    pub per: u32,
    pub tier_min_tokens: i64,
    pub service_tier: String,
    pub schedule: Option<Schedule>,
    pub effective_from: Option<i64>,
    pub effective_until: Option<i64>,
    /// The figure was repaired while it was read.
    pub mended: bool,
}

/// Reads a JSON number exactly, exponent included; negative prices and what does not fit are refused.
pub fn number(text: &str) -> anyhow::Result<Decimal> {
    let text = text.trim().trim_matches('"');
    let parsed = if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str_exact(text) };
    match parsed {
        Ok(price) if price.is_sign_negative() && !price.is_zero() => bail!("price {text} is negative"),
        Ok(price) => Ok(price),
        Err(_) => bail!("price {text} is not a decimal of at most 28 digits"),
    }
}

/// The published figure behind a noisy one, and whether it was mended: the hourly price where a price per second is that
/// divided, else rounded half-even to 12 significant digits.
pub fn published(price: Decimal, per: u32, meter: &str) -> (Decimal, u32, bool) {
    let price = price.normalize();
    if price.mantissa().unsigned_abs() < 10_u128.pow(DIGITS) {
        return (price, per, false);
    }
    if per == 1 && meter.ends_with("_second") {
        let hour = (price * Decimal::from(3600)).round_dp(6);
        let off = (hour / Decimal::from(3600) - price).abs();
        if !hour.is_zero() && off <= price * Decimal::new(1, 12) {
            return (hour.normalize(), 3600, true);
        }
    }
    let rounded = price.round_sf_with_strategy(REPAIRED_DIGITS, RoundingStrategy::MidpointNearestEven);
    (rounded.unwrap_or(price).normalize(), per, true)
}

/// Token meters are given per million, everything else per one.
pub fn usual_unit(meter: &str) -> u32 {
    let small = Token::from_name(meter).is_some()
        || matches!(meter, "input_char" | "output_char" | "input_pixel" | "output_pixel" | "citation");
    if small { 1_000_000 } else { 1 }
}

/// What lists put before the ids of a provider, besides their own name of it.
const PREFIXES: [(&str, &[&str]); 16] = [
    ("alibaba", &["dashscope"]),
    ("aws_bedrock", &["bedrock", "bedrock_mantle", "bedrock_converse"]),
    ("azure", &["azure_ai"]),
    ("codestral", &["text-completion-codestral"]),
    ("cohere", &["cohere_chat"]),
    ("fireworks", &["fireworks_ai", "accounts/fireworks/models"]),
    ("google", &["gemini"]),
    ("google_vertex", &["vertex_ai", "vertex_ai_beta"]),
    ("inception", &["text-completion-inception"]),
    ("lambda", &["lambda_ai"]),
    ("meta", &["meta_llama"]),
    ("moonshotai", &["moonshot"]),
    ("openai", &["text-completion-openai"]),
    ("together", &["together_ai"]),
    ("voyage", &["voyageai"]),
    ("zhipuai", &["bigmodel"]),
];

/// The id that the provider's API takes, and the region that the spelling names. Each prefix goes once: what LiteLLM calls
/// `perplexity/perplexity/sonar` is the model `perplexity/sonar`.
pub fn model(provider: &str, listed_provider: &str, listed: &str) -> (String, String) {
    let known = PREFIXES.iter().find(|(id, _)| *id == provider).map_or(&[][..], |(_, prefixes)| prefixes);
    let mut prefixes = vec![provider];
    prefixes.extend(known);
    if !prefixes.contains(&listed_provider) {
        prefixes.push(listed_provider);
    }
    let mut model = listed;
    for prefix in prefixes {
        model = model.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
    }
    match provider {
        "aws_bedrock" => bedrock(model),
        "azure" => match model.split_once('/') {
            Some(("standard" | "global-standard", rest)) => (rest.to_owned(), String::new()),
            Some((region @ ("us" | "eu" | "apac" | "global" | "datazone" | "data-zone"), rest)) => {
                (rest.to_owned(), region.to_owned())
            }
            _ => (model.to_owned(), String::new()),
        },
        "google_vertex" => (model.trim_end_matches("@default").to_owned(), String::new()),
        _ => (model.to_owned(), String::new()),
    }
}

/// `us.anthropic.claude-…-v1:0`, `us-east-1/…`: the region first; an Anthropic model's version last.
fn bedrock(listed: &str) -> (String, String) {
    const GEOGRAPHIES: [&str; 9] = ["us", "eu", "apac", "ap", "au", "jp", "ca", "global", "us-gov"];
    let mut region = String::new();
    let mut model = listed;
    if let Some((head, rest)) = model.split_once('/')
        && is_aws_region(head)
    {
        (region, model) = (head.to_owned(), rest);
    }
    if let Some((head, rest)) = model.split_once('.')
        && rest.contains('.')
    {
        if GEOGRAPHIES.contains(&head) {
            (region, model) = (head.to_owned(), rest);
        } else if head == "regional" {
            model = rest;
        }
    }
    if !model.starts_with("anthropic.") {
        return (model.to_owned(), region);
    }
    let model = model.split_once('@').map_or(model, |(model, _)| model);
    let stem = model.rsplit_once("-v").filter(|(stem, version)| {
        stem.ends_with(|c: char| c.is_ascii_digit())
            && version.starts_with(|c: char| c.is_ascii_digit())
            && version.chars().all(|c| c.is_ascii_digit() || c == ':')
    });
    (stem.map_or(model, |(stem, _)| stem).to_owned(), region)
}

/// `us-east-1`, `us-gov-west-1`; not `1024-x-1024`.
fn is_aws_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [country, .., number] = parts[..] else { return false };
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase());
    (3..=4).contains(&parts.len())
        && country.len() == 2
        && parts[..parts.len() - 1].iter().all(|part| letters(part))
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Rows of one model from its drafts; equal keys: the first stays. Says in `repaired` how many figures were mended.
pub fn rows(
    (provider, model, region): (&str, &str, &str),
    drafts: Vec<Draft>,
    (source, source_ref): (&str, &str),
    repaired: &mut usize,
) -> Vec<PriceRow> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for draft in drafts {
        let key = (
            draft.meter.clone(),
            draft.service_tier.clone(),
            draft.tier_min_tokens,
            draft.schedule.clone(),
            draft.effective_from,
        );
        if !seen.insert(key) {
            continue;
        }
        let (price, per, mended) = published(draft.price, draft.per, &draft.meter);
        *repaired += usize::from(mended || draft.mended);
        rows.push(PriceRow {
            line: 0,
            provider: provider.into(),
            model: model.into(),
            meter: draft.meter.into(),
            price,
            per,
            currency: "USD".into(),
            effective_from: draft.effective_from,
            effective_until: draft.effective_until,
            tier_min_tokens: draft.tier_min_tokens,
            service_tier: draft.service_tier.into(),
            region: region.into(),
            schedule: draft.schedule.map(Arc::new),
            source: source.into(),
            source_ref: source_ref.into(),
        });
    }
    rows
}

/// Provider, model of the book, region.
type Id = (Arc<str>, Arc<str>, Arc<str>);

/// Gives each model the id under which the book knows it. Where several spellings of a list are one model of the book, the
/// one that is spelt as in the book stays, else the first.
pub fn one_spelling(offer: &mut Offer, book: &PriceBook) {
    let known: HashSet<(&str, &str)> = book.rows().iter().map(|row| (&*row.provider, &*row.model)).collect();
    let mut ids: HashMap<(Arc<str>, Arc<str>), Arc<str>> = HashMap::new();
    for row in &offer.rows {
        let key = (Arc::clone(&row.provider), Arc::clone(&row.model));
        ids.entry(key).or_insert_with(|| known_id(row, book, &known));
    }
    // Which spelling speaks for an id in a region.
    let mut speaker: HashMap<Id, Arc<str>> = HashMap::new();
    for row in &offer.rows {
        let id = &ids[&(Arc::clone(&row.provider), Arc::clone(&row.model))];
        let spoken = speaker.entry((Arc::clone(&row.provider), Arc::clone(id), Arc::clone(&row.region)));
        let spoken = spoken.or_insert_with(|| Arc::clone(&row.model));
        if row.model == *id {
            *spoken = Arc::clone(&row.model);
        }
    }
    let before = offer.rows.len();
    offer.rows.retain_mut(|row| {
        let id = Arc::clone(&ids[&(Arc::clone(&row.provider), Arc::clone(&row.model))]);
        let speaks = speaker[&(Arc::clone(&row.provider), Arc::clone(&id), Arc::clone(&row.region))] == row.model;
        row.model = id;
        speaks
    });
    let mut seen = HashSet::new();
    offer.rows.retain(|row| seen.insert((merge::key(row), row.effective_from)));
    offer.rows.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
    if offer.rows.len() < before {
        let dropped = before - offer.rows.len();
        offer.remarks.push(format!("prices of other spellings of the same models, left out: {dropped}"));
    }
}

fn known_id(row: &PriceRow, book: &PriceBook, known: &HashSet<(&str, &str)>) -> Arc<str> {
    if known.contains(&(&*row.provider, &*row.model)) {
        return Arc::clone(&row.model);
    }
    let question = Question { provider: Some(&row.provider), model: Some(&row.model), ..Question::default() };
    match book.resolve(&question) {
        Ok(plan)
            if !plan.notes.contains(Note::ModelSuffixDropped) && known.contains(&(&*row.provider, &*plan.model_id)) =>
        {
            plan.model_id.into()
        }
        _ => Arc::clone(&row.model),
    }
}

/// A number of tokens as lists write it: `200000`, `256000.0`.
pub fn tokens(text: &str) -> Option<i64> {
    number(text).ok().filter(|number| number.fract().is_zero()).and_then(|number| number.to_i64())
}

#[cfg(test)]
mod tests {
    use super::{model, number, published};

    #[test]
    fn numbers_are_read_exactly_and_noise_is_repaired_by_rule() {
        for (text, per, meter, expected) in [
            ("2.5e-06", 1, "input", "0.0000025 per 1"),
            ("1.8000000000000002e-07", 1, "input", "0.00000018 per 1"),
            ("0.18000000000000002", 1_000_000, "input", "0.18 per 1000000"),
            ("0.0001666666666666667", 1, "audio_second", "0.6 per 3600"),
            ("12", 1000, "web_search", "12 per 1000"),
        ] {
            let (price, per, _) = published(number(text).unwrap(), per, meter);
            assert_eq!(format!("{price} per {per}"), expected, "{text}");
        }
        assert_eq!(number("-1").unwrap_err().to_string(), "price -1 is negative");
        assert!(number("NaN").is_err());
    }

    #[test]
    fn spellings_are_brought_to_the_ids_that_the_api_takes() {
        for (provider, listed_provider, listed, expected) in [
            ("openai", "openai", "openai/gpt-4o", "gpt-4o|"),
            (
                "aws_bedrock",
                "bedrock",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "anthropic.claude-sonnet-4-5-20250929|us",
            ),
            ("aws_bedrock", "bedrock", "bedrock/us-east-1/anthropic.claude-v2:1", "anthropic.claude-v2:1|us-east-1"),
            ("aws_bedrock", "bedrock", "1024-x-1024/50-steps/stability.x-v1", "1024-x-1024/50-steps/stability.x-v1|"),
            ("aws_bedrock", "bedrock_converse", "amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0|"),
            ("azure", "azure", "azure/eu/gpt-4o-2024-08-06", "gpt-4o-2024-08-06|eu"),
            ("azure", "azure", "azure/global-standard/gpt-4o", "gpt-4o|"),
            ("openrouter", "openrouter", "openrouter/openai/gpt-4o", "openai/gpt-4o|"),
            ("perplexity", "perplexity", "perplexity/sonar", "sonar|"),
            ("perplexity", "perplexity", "perplexity/perplexity/sonar", "perplexity/sonar|"),
            ("watsonx", "watsonx", "watsonx/ibm/granite-3-8b-instruct", "ibm/granite-3-8b-instruct|"),
            ("google_vertex", "vertex_ai-language-models", "vertex_ai/claude-3@default", "claude-3|"),
        ] {
            let (id, region) = model(provider, listed_provider, listed);
            assert_eq!(format!("{id}|{region}"), expected, "{listed}");
        }
    }
}
