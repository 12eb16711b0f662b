//! Every recorded usage body, decoded and priced by the book that ships, against the price that genai-prices expects of it.
//!
//! A body counts for a provider when our reading of it is the expected one (whether it is, is the decoder's own test). What is
//! priced differently is named in [`EXCEPTIONS`] with its reason; anything else fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop loudly and say where")]

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use spendstream_pipeline::batch::RawMessage;
use spendstream_pipeline::decode::reject::Reject;
use spendstream_pipeline::decode::{Decoder, Ignored, Sink};
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::meter::Token;
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{PriceBook, Question, Usage};
use spendstream_schemas::usage_event::UsageRow;

/// The list of its date: the expectations are of August 2026.
const TIME: &str = "2026-08-15T12:00:00Z";

/// (provider, model, reason): who is priced differently on purpose.
const EXCEPTIONS: [(&str, &str, &str); 16] = [
    ("aws", "claude-opus-4-6", GLOBAL),
    ("aws", "claude-opus-4-7", GLOBAL),
    ("aws", "claude-sonnet-4-5-20250929", LARGE),
    ("aws", "claude-sonnet-4-6", GLOBAL),
    ("aws", "claude-sonnet-5", GLOBAL),
    ("aws", "openai.gpt-5.6-luna", LATER),
    ("azure", "gpt-4o-audio-preview-2024-12-17", AUDIO),
    ("azure", "gpt-5.6-sol", "the source for Azure is undated: the price after the cut of 2026-08-21"),
    ("azure", "gpt-oss-120b", "Azure's published price; the expectation borrows another provider's"),
    ("cerebras", "qwen-3-coder-480b", GONE),
    ("deepseek", "deepseek-r1-distill-llama-70b", GONE),
    ("google", "claude-sonnet-4-5-20250929", LARGE),
    ("mistral", "mistral-large-latest", "the name stands for Mistral Large 3 now, which is cheaper"),
    ("mistral", "mistral-medium-latest", LATER),
    ("mistral", "mistral-small-latest", LATER),
    ("openai", "gpt-4o-audio-preview-2024-12-17", AUDIO),
];

const GLOBAL: &str =
    "the body names inference_geo global, for which Bedrock has a price; the expectation takes the regional one";
const LARGE: &str = "above 200 000 prompt tokens: the expectation knows no such tier for this provider yet";
const AUDIO: &str = "audio tokens have a price of their own; the expectation charges them as text";
const LATER: &str = "a price change before August 2026 that the expectation had not learnt yet";
const GONE: &str = "no source has a price of it any more";

fn lines() -> impl Iterator<Item = Value> {
    include_str!("../../tests/fixtures/usage/provider_usages.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// A row's counts, and its cost or why it has none.
type CountsAndCost = (Counts, Result<Amount, String>);

/// What the decoder made of one message: the single row, or why there is none.
#[derive(Default)]
struct Seen {
    outcome: Option<Result<CountsAndCost, String>>,
}

impl Sink for Seen {
    fn row(&mut self, _: u32, row: &UsageRow<'_>) {
        let text = |text| row.texts.get(text);
        let book = PriceBook::builtin().unwrap();
        let question = Question {
            provider: text(Text::ProviderSent),
            model: text(Text::Model),
            service_tier: text(Text::ServiceTier),
            region: text(Text::Region),
            ..Question::default()
        };
        // The expectation is of tokens alone, and of the call itself: an advisor's or compaction's tokens are rows of their own.
        let mut counts = row.counts;
        counts.set(Count::WebSearches, 0);
        let quantities: Vec<_> =
            row.quantities.iter().filter(|(name, _)| Token::from_name(name).is_some()).cloned().collect();
        let usage = Usage { counts: &counts, quantities: &quantities, committed: false, cache_hit: false };
        let cost = book.resolve(&question).map_err(|error| error.to_string()).and_then(|plan| {
            let priced = plan.price(row.time_micros, &usage).map_err(|error| error.to_string())?;
            Ok(priced.cost - priced.other_cost)
        });
        self.outcome.get_or_insert(Ok((counts, cost)));
    }

    fn reject(&mut self, _: u32, reject: Reject) {
        self.outcome = Some(Err(format!("rejected: {}", reject.detail)));
    }

    fn ignore(&mut self, _: u32, why: Ignored) {
        self.outcome = Some(Err(format!("ignored: {why:?}")));
    }
}

fn price(provider: &str, line: &Value) -> Result<(Counts, Result<Amount, String>), String> {
    let mut event = json!({"id": "1", "time": TIME, "provider": provider, "usage": line["body"]});
    if let Some(model) = line["model"].as_str() {
        event["model"] = model.into();
    }
    let payload = serde_json::to_vec(&event).unwrap();
    let message = RawMessage { payload: &payload, key: None, headers: None, timestamp_ms: None };
    let mut seen = Seen::default();
    Decoder::new(&DecodeConfig::default()).decode(&message, &mut seen);
    seen.outcome.unwrap_or_else(|| Err("nothing".to_owned()))
}

/// Whether our counts are the expected ones, as far as money goes.
fn reads_as(counts: &Counts, expected: &Value) -> bool {
    let is = |count: Count, name: &str| counts.get(count) == expected[name].as_i64().unwrap_or_default();
    let writes = counts.get(Count::CacheWrite) + counts.get(Count::CacheWrite1h);
    is(Count::Input, "input_tokens")
        && is(Count::Output, "output_tokens")
        && is(Count::CacheRead, "cache_read_tokens")
        && writes == expected["cache_write_tokens"].as_i64().unwrap_or_default()
}

#[test]
fn recorded_usage_costs_what_is_expected() {
    let (mut all, mut other_reading, mut equal) = (0, 0, 0);
    let mut exceptions: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for line in lines() {
        let model = line["model"].as_str().unwrap_or_default().to_owned();
        for group in line["expected"].as_array().unwrap() {
            for reader in group["readers"].as_array().unwrap() {
                let text = |at: usize| reader[at].as_str();
                let (Some(provider), Some(input), Some(output)) = (text(0), text(2), text(3)) else { continue };
                all += 1;
                let decimal = |text: &str| Decimal::from_scientific(text).or_else(|_| text.parse()).unwrap();
                let expected = Amount::from_decimal(decimal(input) + decimal(output)).unwrap();
                let different = match price(provider, &line) {
                    Ok((counts, _)) if !reads_as(&counts, &group["usage"]) => {
                        other_reading += 1;
                        continue;
                    }
                    Err(reason) | Ok((_, Err(reason))) => reason,
                    Ok((_, Ok(cost))) if cost == expected => {
                        equal += 1;
                        continue;
                    }
                    Ok((_, Ok(cost))) => format!("{cost} instead of {expected}"),
                };
                *exceptions.entry((provider.to_owned(), model.clone(), different)).or_default() += 1;
            }
        }
    }
    println!(
        "{equal} of {} prices are equal ({all} in all, {other_reading} of them read by another API's convention)",
        all - other_reading
    );
    let mut unexplained = Vec::new();
    for ((provider, model, different), count) in &exceptions {
        let known = EXCEPTIONS.iter().find(|(p, m, _)| p == provider && m == model);
        println!("{count:4} {provider} {model}: {different} ({})", known.map_or("?", |(_, _, reason)| reason));
        if known.is_none() {
            unexplained.push(format!("{provider} {model}: {different}"));
        }
    }
    assert_eq!((all, all - other_reading, equal), (1750, 1542, 1495), "of every recorded price, read our way, equal");
    assert!(unexplained.is_empty(), "{} without a reason:\n{}", unexplained.len(), unexplained.join("\n"));
}
