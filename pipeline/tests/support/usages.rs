//! The recorded usage bodies with what genai-prices reads from them, ready to be decoded or priced.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use spendstream_schemas::count::Count;

use super::{Decoded, Row, decode, fixture};

/// One reader of genai-prices: a provider and the flavour of its API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reader {
    pub provider: String,
    pub flavour: String,
    /// What genai-prices says input and output cost, where it knows the model.
    pub input_price: Option<String>,
    pub output_price: Option<String>,
}

/// One body, and what one group of readers makes of it.
#[derive(Clone, Debug)]
pub struct Expected {
    pub usage: BTreeMap<String, i64>,
    pub readers: Vec<Reader>,
}

#[derive(Clone, Debug)]
pub struct Recorded {
    /// The recorded test it comes from.
    pub file: String,
    pub model: Option<String>,
    pub body: Value,
    pub expected: Vec<Expected>,
}

/// All 784 bodies.
pub fn all() -> Vec<Recorded> {
    let text = String::from_utf8(fixture("usage/provider_usages.jsonl")).unwrap();
    text.lines().map(|line| recorded(&serde_json::from_str(line).unwrap())).collect()
}

fn recorded(line: &Value) -> Recorded {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let reader = |reader: &Value| Reader {
        provider: text(&reader[0]).unwrap(),
        flavour: text(&reader[1]).unwrap(),
        input_price: text(&reader[2]),
        output_price: text(&reader[3]),
    };
    let group = |group: &Value| Expected {
        usage: serde_json::from_value(group["usage"].clone()).unwrap(),
        readers: group["readers"].as_array().unwrap().iter().map(reader).collect(),
    };
    Recorded {
        file: text(&line["file"]).unwrap(),
        model: text(&line["model"]),
        body: line["body"].clone(),
        expected: line["expected"].as_array().unwrap().iter().map(group).collect(),
    }
}

/// The shapes in which a usage body comes, and which a reader expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Chat,
    Embeddings,
    Responses,
    Anthropic,
    Gemini,
    Converse,
    Cohere,
    CohereTokens,
}

impl Recorded {
    /// The shape of the body.
    pub fn shape(&self) -> Shape {
        let usage = &self.body["usage"];
        if self.body.get("usageMetadata").is_some() {
            Shape::Gemini
        } else if self.body.get("meta").is_some() || usage.get("billed_units").is_some() {
            Shape::Cohere
        } else if usage.get("inputTokens").is_some() {
            Shape::Converse
        } else if usage.get("completion_tokens").is_some() {
            Shape::Chat
        } else if usage.get("prompt_tokens").is_some() {
            Shape::Embeddings
        } else if usage.get("cache_creation_input_tokens").is_some() {
            Shape::Anthropic
        } else {
            Shape::Responses
        }
    }

    /// The event v1 that carries the body as `provider`'s.
    pub fn event(&self, provider: &str) -> Value {
        let model = self.model.as_deref().unwrap_or("unknown");
        json!({"id": self.file, "time": "2026-08-15T12:00:00Z", "provider": provider, "model": model, "usage": self.body})
    }

    pub fn decode(&self, provider: &str) -> Decoded {
        decode(self.event(provider).to_string())
    }
}

impl Reader {
    /// The shape that the reader is made for.
    pub fn shape(&self) -> Shape {
        match (self.provider.as_str(), self.flavour.as_str()) {
            ("cohere", "tokens") => Shape::CohereTokens,
            ("cohere", _) => Shape::Cohere,
            ("google", "default") => Shape::Gemini,
            ("aws", "default") => Shape::Converse,
            ("anthropic" | "minimax", "default") | (_, "anthropic") => Shape::Anthropic,
            (_, "responses") => Shape::Responses,
            (_, "embeddings") => Shape::Embeddings,
            _ => Shape::Chat,
        }
    }
}

/// Our figures under genai-prices' names, without zeros.
pub fn as_expected(row: &Row) -> BTreeMap<String, i64> {
    let quantity = |meter: &str| i64::try_from(row.quantity(meter)).unwrap();
    let figures = [
        ("input_tokens", row.count(Count::Input)),
        ("cache_read_tokens", row.count(Count::CacheRead)),
        ("cache_write_tokens", row.count(Count::CacheWrite) + row.count(Count::CacheWrite1h)),
        ("cache_write_5m_tokens", row.count(Count::CacheWrite)),
        ("input_audio_tokens", row.count(Count::AudioInput)),
        ("input_image_tokens", row.count(Count::ImageInput)),
        ("input_video_tokens", quantity("video_in")),
        ("cache_image_read_tokens", quantity("cache_read_image")),
        ("output_tokens", row.count(Count::Output)),
        ("output_reasoning_tokens", row.count(Count::Reasoning)),
        ("output_audio_tokens", row.count(Count::AudioOutput)),
        ("output_image_tokens", quantity("image_out")),
        ("web_searches", row.count(Count::WebSearches)),
    ];
    figures.into_iter().filter(|(_, value)| *value != 0).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Where our figures and the expected ones differ: name, ours, theirs. Text parts are left out: they are the rest of a total
/// and have no price of their own; tool-use tokens likewise.
pub fn differences(ours: &BTreeMap<String, i64>, theirs: &BTreeMap<String, i64>) -> Vec<(String, i64, i64)> {
    let skipped = |name: &str| name.contains("text") || name == "input_tool_tokens";
    let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    names
        .into_iter()
        .filter(|name| !skipped(name))
        // Only Anthropic's own reader tells lifetimes apart.
        .filter(|name| *name != "cache_write_5m_tokens" || theirs.contains_key(*name))
        .map(|name| (name.clone(), ours.get(name).copied().unwrap_or(0), theirs.get(name).copied().unwrap_or(0)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .collect()
}
