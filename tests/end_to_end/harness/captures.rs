//! What real emitters sent (`tests/fixtures/captures`) and what each call really was.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::events::{Femto, femto};
use super::instance::Setup;
use super::lake::{Lake, text};
use super::{broker, topics};

/// Words that are in the inputs and must be nowhere afterwards.
pub const SECRETS: [&str; 3] = ["SECRET-PROMPT", "SECRET-COMPLETION", "sk-SECRET-KEY"];

/// A charged call: model, input, cache read and output tokens, cost.
pub type Call = (String, u64, u64, u64, Femto);

/// The calls of `expected.json` by its names, sorted.
pub fn expected(names: &[&str]) -> Vec<Call> {
    let book: Value = serde_json::from_slice(&file("expected.json")).expect("expected.json is JSON");
    let call = |name: &&str| {
        let call = &book["calls"][*name];
        let count = |key: &str| call[key].as_u64().unwrap_or(0);
        // "gpt-5 (responses)" is the model and how it was called.
        let model = name.split(' ').next().unwrap().to_owned();
        let cost = femto(call["cost"].as_str().unwrap_or_else(|| panic!("expected.json has no '{name}'")));
        (model, count("input_tokens"), count("cache_read_tokens"), count("output_tokens"), cost)
    };
    let mut calls: Vec<_> = names.iter().map(call).collect();
    calls.sort();
    calls
}

/// The calls that a lake charges, sorted.
pub fn charged(lake: &Lake) -> Vec<Call> {
    let rows = lake.rows("SELECT model, input_tokens, cache_read_tokens, output_tokens, cost, status FROM usage");
    let count = |value: Option<&Value>| value.map_or(0, |value| text(value).parse().unwrap_or(0));
    let call = |row: &super::lake::Row| {
        let count = |name: &str| count(row.get(name));
        let cost = femto(&text(&row["cost"]));
        (text(&row["model"]), count("input_tokens"), count("cache_read_tokens"), count("output_tokens"), cost)
    };
    let mut calls: Vec<_> = rows.iter().map(call).collect();
    calls.sort();
    calls
}

/// The bytes of a capture.
pub fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/captures"));
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("tests/fixtures/captures/{name}: {error}"))
}

/// No secret is in the table, in any file of the lake, in a dead letter, or in a log.
pub fn assert_no_secrets(setup: &Setup, lake: &Lake) {
    let mut places: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    // Parquet is compressed, so the values are read as a table too.
    places.insert("usage".into(), format!("{:?}", lake.rows("SELECT * FROM usage")).into_bytes());
    places.insert("the logs".into(), setup.logs().into_bytes());
    for file in lake.files() {
        places.insert(file.display().to_string(), std::fs::read(&file).unwrap());
    }
    for letter in topics::read(broker::shared(), &setup.dead) {
        places.insert(format!("dead letter {}", letter.offset), format!("{letter:?}").into_bytes());
        places.insert(format!("dead letter {} (payload)", letter.offset), letter.payload);
    }
    for secret in SECRETS {
        for (place, bytes) in &places {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} is in {place}");
        }
    }
}
