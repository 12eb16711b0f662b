//! Decodes bytes and keeps everything that came out, owned: for tests that look at exact figures.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod usages;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use rust_decimal::Decimal;
use spendstream_pipeline::batch::{Headers, RawMessage};
use spendstream_pipeline::decode::reject::Reject;
use spendstream_pipeline::decode::{Decoder, Ignored, Sink};
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::note::{CostQuality, Notes};
use spendstream_schemas::price_book::{PriceBook, Question, Usage};
use spendstream_schemas::usage_event::UsageRow;

/// 2026-11-22T18:00:00Z: when every test message was written to Kafka.
pub const NOW_MS: i64 = 1_795_370_400_000;

/// A row that outlives its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub index: u32,
    pub time_micros: i64,
    /// By column name; absent ones are not there.
    pub texts: BTreeMap<&'static str, String>,
    pub model_answered: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub latency_ms: Option<i64>,
    pub cache_hit: Option<bool>,
    pub counts: Counts,
    pub quantities: BTreeMap<String, Decimal>,
    /// Amount and currency.
    pub reported_cost: Option<(String, String)>,
    pub committed: bool,
    pub notes: Notes,
    pub quality: CostQuality,
}

impl Row {
    pub fn text(&self, column: &str) -> &str {
        self.texts.get(column).map(String::as_str).unwrap_or_default()
    }

    pub fn count(&self, count: Count) -> i64 {
        self.counts.get(count)
    }

    pub fn quantity(&self, meter: &str) -> Decimal {
        self.quantities.get(meter).copied().unwrap_or_default()
    }

    pub fn notes(&self) -> Vec<&'static str> {
        self.notes.iter().map(spendstream_schemas::note::Note::name).collect()
    }

    /// The counts that are not zero, by column.
    pub fn counted(&self) -> BTreeMap<&'static str, i64> {
        let all = Count::ALL.into_iter().map(|count| (count.column(), self.count(count)));
        all.filter(|(_, value)| *value != 0).collect()
    }
}

/// Everything that came out of one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    pub rows: Vec<Row>,
    pub rejects: Vec<(u32, Reject)>,
    pub ignored: Vec<(u32, Ignored)>,
}

impl Decoded {
    /// The only thing that came out, a row.
    #[track_caller]
    pub fn row(&self) -> &Row {
        assert!(self.rejects.is_empty() && self.rows.len() == 1, "not one row: {}", self.told());
        &self.rows[0]
    }

    /// The only thing that came out, a reject: its word and its detail.
    #[track_caller]
    pub fn reject(&self) -> (&'static str, &str) {
        assert!(self.rejects.len() == 1 && self.rows.is_empty(), "not one reject: {}", self.told());
        (self.rejects[0].1.reason.as_str(), &self.rejects[0].1.detail)
    }

    /// What came out, for messages.
    fn told(&self) -> String {
        let rejects: Vec<&str> = self.rejects.iter().map(|(_, reject)| reject.detail.as_str()).collect();
        format!("rejects {rejects:?}, ignored {:?}, rows {:#?}", self.ignored, self.rows)
    }

    /// What the reject keeps, as text.
    #[track_caller]
    pub fn kept(&self) -> String {
        assert_eq!(self.rejects.len(), 1);
        String::from_utf8_lossy(self.rejects[0].1.payload.as_deref().unwrap_or_default()).into_owned()
    }
}

impl Sink for Decoded {
    fn row(&mut self, index: u32, row: &UsageRow<'_>) {
        self.rows.push(Row {
            index,
            time_micros: row.time_micros,
            texts: row.texts.iter().filter_map(|(text, value)| Some((text.column(), value?.to_owned()))).collect(),
            model_answered: row.model_answered.as_ref().map(ToString::to_string),
            tags: row.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            latency_ms: row.latency_ms,
            cache_hit: row.cache_hit,
            counts: row.counts,
            quantities: row.quantities.iter().map(|(meter, amount)| (meter.to_string(), *amount)).collect(),
            reported_cost: row.reported_cost.as_ref().map(|cost| (cost.amount.to_string(), cost.currency.to_string())),
            committed: row.committed,
            notes: row.notes,
            quality: row.quality,
        });
        assert_eq!(
            self.rows.last().map(|row| row.quantities.len()),
            Some(row.quantities.len()),
            "names of quantities are unique"
        );
    }

    fn reject(&mut self, index: u32, reject: Reject) {
        self.rejects.push((index, reject));
    }

    fn ignore(&mut self, index: u32, why: Ignored) {
        self.ignored.push((index, why));
    }
}

/// Decodes with the given limits and headers. What is kept of the same items as dead letters must say the same.
#[track_caller]
pub fn decode_with(config: &DecodeConfig, payload: &[u8], headers: &[(&str, &str)]) -> Decoded {
    let decoded = decode_at(config, payload, headers, NOW_MS);
    let is_span = |row: &Row| row.text("payload_kind").contains("otlp");
    // Spans are kept attribute by attribute. The last chunk of a stream is the call because of the others, which are not kept with it.
    if decoded.rejects.is_empty() && decoded.ignored.is_empty() && !decoded.rows.iter().any(is_span) {
        letters_say_the_same(config, payload, headers, &decoded);
    }
    decoded
}

/// 2019-06-01: to a message of that time whatever is counted is in the future, or too old, and is kept as a letter.
const BEFORE_ALL_MS: i64 = 1_559_347_200_000;

/// Sends the letters of a message again: every name and figure that a reader reads must be kept.
#[track_caller]
fn letters_say_the_same(config: &DecodeConfig, payload: &[u8], headers: &[(&str, &str)], decoded: &Decoded) {
    let letters = decode_at(config, payload, headers, BEFORE_ALL_MS);
    assert!(letters.rows.is_empty(), "{letters:#?}");
    let mut again = Vec::new();
    for (_, letter) in &letters.rejects {
        let kept = letter.payload.as_deref().unwrap_or(payload);
        let replayed = decode_at(config, kept, headers, NOW_MS);
        let told = (letter.reason.as_str(), String::from_utf8_lossy(kept), &replayed.rejects, &replayed.ignored);
        assert!(replayed.rejects.is_empty() && replayed.ignored.is_empty(), "a letter that lost too much: {told:#?}");
        again.extend(replayed.rows);
    }
    let unplaced = |rows: &[Row]| rows.iter().map(|row| Row { index: 0, ..row.clone() }).collect::<Vec<_>>();
    let kept: Vec<_> = letters.rejects.iter().filter_map(|(_, letter)| letter.payload.as_deref()).collect();
    let kept: Vec<_> = kept.into_iter().map(String::from_utf8_lossy).collect();
    assert_eq!(unplaced(&again), unplaced(&decoded.rows), "what is kept: {kept:#?}");
}

/// Decodes a message that was written to Kafka then.
pub fn decode_at(config: &DecodeConfig, payload: &[u8], headers: &[(&str, &str)], timestamp_ms: i64) -> Decoded {
    let headers = Headers(headers.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect());
    let message = RawMessage {
        payload,
        key: None,
        headers: (!headers.0.is_empty()).then_some(&headers),
        timestamp_ms: Some(timestamp_ms),
    };
    let mut decoded = Decoded::default();
    Decoder::new(config).decode(&message, &mut decoded);
    decoded
}

/// Decodes with the default limits.
#[track_caller]
pub fn decode(payload: impl AsRef<[u8]>) -> Decoded {
    decode_with(&DecodeConfig::default(), payload.as_ref(), &[])
}

/// A file below `tests/fixtures` of the repository.
pub fn fixture(path: &str) -> Vec<u8> {
    let whole = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(path);
    std::fs::read(&whole).unwrap_or_else(|error| panic!("{}: {error}", whole.display()))
}

/// Checks columns given as `name=value`: texts, counts and quantities alike.
#[track_caller]
pub fn check(row: &Row, expected: &str) {
    for pair in expected.split_whitespace() {
        let (name, value) = pair.split_once('=').expect("name=value");
        let count = Count::ALL.into_iter().find(|count| count.column() == name);
        let found = match (count, row.texts.get(name), row.quantities.get(name)) {
            (Some(count), _, _) => row.count(count).to_string(),
            (_, Some(text), _) => text.clone(),
            (_, _, Some(amount)) => amount.to_string(),
            _ if name == "notes" => row.notes().join(","),
            _ if name == "quality" => row.quality.name().to_owned(),
            _ if name == "committed" => row.committed.to_string(),
            _ if name == "cost" => row.reported_cost.as_ref().map(|cost| cost.0.clone()).unwrap_or_default(),
            _ if name == "time" => row.time_micros.to_string(),
            _ => "absent".to_owned(),
        };
        assert_eq!(found, value, "{name} of {row:#?}");
    }
}

/// The cost by the book that ships, or why there is none.
pub fn cost(row: &Row) -> Result<String, String> {
    let question = Question {
        provider: Some(row.text("provider_sent")),
        model: Some(row.text("model")),
        operation: Some(row.text("operation")),
        model_answered: row.model_answered.as_deref(),
        ..Question::default()
    };
    let quantities: Vec<_> =
        row.quantities.iter().map(|(meter, amount)| (Cow::Borrowed(meter.as_str()), *amount)).collect();
    let usage = Usage {
        counts: &row.counts,
        quantities: &quantities,
        committed: row.committed,
        cache_hit: row.cache_hit == Some(true),
    };
    let plan = PriceBook::builtin().unwrap().resolve(&question).map_err(|unpriced| unpriced.reason())?;
    plan.price(row.time_micros, &usage)
        .map(|priced| priced.cost.to_string())
        .map_err(|unpriced| unpriced.reason().into_owned())
}
