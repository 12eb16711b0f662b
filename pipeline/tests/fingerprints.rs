//! A restart decides the same: what identifies an event live and what is read back from its row in the lake are equal, for
//! every payload kind, whatever pricing made of tier, region and model on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use spendstream_pipeline::batch::RawMessage;
use spendstream_pipeline::columns::events::{EventColumns, Staged};
use spendstream_pipeline::decode::reject::Reject;
use spendstream_pipeline::decode::{Decoder, Ignored, Sink};
use spendstream_pipeline::dedupe::fingerprint::Fingerprint;
use spendstream_pipeline::dedupe::rebuild;
use spendstream_pipeline::price::engine::{Engine, Lineage};
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::directory::{self, Directory, Precedence};
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::usage_event::UsageRow;

struct Collect {
    engine: Engine,
    columns: EventColumns,
    live: Vec<Fingerprint>,
    offset: i64,
}

impl Sink for Collect {
    fn row(&mut self, index: u32, row: &UsageRow<'_>) {
        let staged = Staged::stage(row, &mut self.engine.interner).unwrap();
        self.live.push(Fingerprint::live(row, &staged));
        self.columns.push(self.offset, index, row, &staged, &mut self.engine.interner);
    }
    fn reject(&mut self, _index: u32, reject: Reject) {
        panic!("{}", reject.detail);
    }
    fn ignore(&mut self, _index: u32, _why: Ignored) {}
}

/// Live fingerprints and those read back, in the order of the messages.
fn both(messages: &[Vec<u8>]) -> (Vec<Fingerprint>, Vec<Fingerprint>) {
    let (live, batches) = rows(messages, "kind,name\n");
    let mut back: Vec<_> = batches.iter().flat_map(|batch| rebuild::fingerprints(batch).unwrap()).collect();
    back.sort_by_key(|(offset, index, _)| (*offset, *index));
    (live, back.into_iter().map(|(_, _, fingerprint)| fingerprint).collect())
}

/// Live fingerprints and the rows, with owners from a directory (CSV).
fn rows(messages: &[Vec<u8>], directory: &str) -> (Vec<Fingerprint>, Vec<RecordBatch>) {
    let mut engine = Engine::new(PriceBook::builtin().unwrap(), 10_000, 1 << 20);
    let entries = directory::read(directory, "directory.csv").unwrap();
    engine.set_directory(&Arc::new(Directory::new(entries, &Precedence::default())));
    let mut collect = Collect { engine, columns: EventColumns::with_capacity(64), live: Vec::new(), offset: 0 };
    let mut decoder = Decoder::new(&DecodeConfig::default());
    for payload in messages {
        decoder.decode(&RawMessage { payload, key: None, headers: None, timestamp_ms: None }, &mut collect);
        collect.offset += 1;
    }
    let Collect { mut engine, columns, live, .. } = collect;
    let source = SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 0 };
    let (batches, _) = engine.price(columns, Lineage { source: &source, ingest_micros: 0 }).unwrap();
    (live, batches.into_iter().map(|(_, batch)| batch).collect())
}

const DIRECTORY: &str = "kind,name,team,department,cost_center,valid_from,valid_until
user,ann,Search,,,,
user,bob,Search,,,,2026-11-22
user,bob,ads,,,2026-11-22,
team,Search,,Product,4711,,
team,ads,,Sales,4712,,
";

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap();
    let shown = |row| arrow::util::display::array_value_to_string(column, row).unwrap();
    (0..batch.num_rows()).map(shown).collect()
}

fn owned(user: &str, team: &str, time: &str) -> Vec<u8> {
    let team = if team.is_empty() { String::new() } else { format!(r#""team":"{team}","#) };
    format!(
        r#"{{"id":"{user}{team_id}","time":"{time}","provider":"openai","model":"gpt-4o","user":"{user}",{team}"usage":{{"input_tokens":1,"output_tokens":1}}}}"#,
        team_id = team.len()
    )
    .into_bytes()
}

#[test]
fn owners_are_filled_in_at_the_time_of_the_event_and_what_was_sent_is_kept() {
    let (before, after) = ("2026-11-21T23:59:59.999999Z", "2026-11-22T00:00:00Z");
    let sent = [
        owned("ann", "", after),
        owned("bob", "", after),
        owned("ann", "search", after),
        owned("ANN", "serch", after),
        owned("eve", "", after),
        owned("eve", "Labs", after),
    ];
    let (live, batches) = rows(&sent, DIRECTORY);
    let batch = &batches[0];
    let columns = ["team", "department", "cost_center", "dimensions_filled"].map(|name| texts(batch, name));
    let row = |row: usize| columns.each_ref().map(|column| column[row].as_str()).join("|");
    let found: Vec<String> = (0..sent.len()).map(row).collect();
    assert_eq!(
        found,
        [
            "Search|Product|4711|[team, department, cost_center]",
            "ads|Sales|4712|[team, department, cost_center]",
            "Search|Product|4711|[team, department, cost_center]",
            "Search|Product|4711|[team, department, cost_center]",
            "|||[]",
            "Labs|||[]",
        ]
    );
    let kept = texts(batch, "pricing_inputs");
    assert!(kept[0].contains("team_sent: ,") && kept[2].contains("team_sent: search"), "{kept:?}");
    let back: Vec<_> = rebuild::fingerprints(batch).unwrap().into_iter().map(|(_, _, print)| print).collect();
    assert_eq!(live, back, "a restart tells repeats as before, whatever the directory said");
    let (_, earlier) = rows(&[owned("bob", "", before)], DIRECTORY);
    assert_eq!(texts(&earlier[0], "team"), ["Search"]);
}

fn check(messages: &[&str]) {
    let messages: Vec<Vec<u8>> = messages.iter().map(|text| text.as_bytes().to_vec()).collect();
    let (live, back) = both(&messages);
    assert!(!live.is_empty());
    assert_eq!(live, back);
}

#[test]
fn words_that_pricing_changes_are_read_back_as_sent() {
    let event = |more: &str| {
        format!(
            r#"{{"id":"a","time":"2026-11-22T10:00:00.123456Z","provider":"openai","model":"gpt-4o-2024-08-06",
               "usage":{{"input_tokens":10,"output_tokens":2}}{more}}}"#
        )
    };
    for more in [
        "",
        r#","service_tier":"default""#,
        r#","service_tier":"standard""#,
        r#","service_tier":"flex","region":"nowhere-1""#,
        r#","service_tier":"batch","region":"eu""#,
        r#","model":"unheard-of","service_tier":"priority","region":"mars""#,
        r#","tags":{"b":"2","a":"1"},"latency_ms":5,"cache_hit":true,"organization":"acme""#,
    ] {
        check(&[&event(more)]);
    }
    check(&[
        r#"{"id":"b","time":1795342000123,"provider":"aws","model":"eu.anthropic.claude-haiku-4-5-20251001-v1:0","usage":{"inputTokens":5,"outputTokens":2,"totalTokens":7}}"#,
        r#"{"id":"c","time":1795342000123,"provider":"anthropic","model":"claude-opus-4-6","usage":{"input_tokens":5,"output_tokens":2,"inference_geo":"us","service_tier":"batch"}}"#,
        r#"{"id":"d","time":1795342000123,"provider":"openai","model":"gpt-image-1","usage":{"input_tokens":50,"output_tokens":20,"image_out":20,"images":2}}"#,
    ]);
}

#[test]
fn a_deployment_keeps_its_name_and_the_model_that_answered() {
    let event = |model: &str| {
        format!(
            r#"{{"id":"{model}","time":1795342000123,"provider":"azure","model":"my-deploy","usage":{{"id":"x","object":"chat.completion",
               "model":"{model}","choices":[],"usage":{{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}}}}}"#
        )
        .into_bytes()
    };
    let (live, batches) = rows(&[event("gpt-4o-2024-08-06"), event("unheard-of")], "kind,name\n");
    let batch = &batches[0];
    let columns = ["model", "model_id", "cost", "price_notes", "unpriced_reason", "pricing_inputs"];
    let columns = columns.map(|name| texts(batch, name));
    let row = |row: usize| columns.each_ref().map(|column| column[row].as_str()).join("|");
    assert_eq!(
        [row(0), row(1)],
        [
            "my-deploy|gpt-4o-2024-08-06|0.003500000000000|[region_assumed, model_of_answer]||{model_answered: gpt-4o-2024-08-06}",
            "my-deploy|||[]|unknown_model|{model_answered: unheard-of}",
        ]
    );
    let back: Vec<_> = rebuild::fingerprints(batch).unwrap().into_iter().map(|(_, _, print)| print).collect();
    assert_eq!(live, back);
}

#[test]
fn spans_are_read_back_as_they_came() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/captures");
    for name in ["otel_openai.otlp.json", "otel_openai.otlp.pb", "traceloop.otlp.json", "litellm_generic_api.json"] {
        let payload = std::fs::read(format!("{file}/{name}")).unwrap();
        let (live, back) = both(&[payload]);
        assert!(!live.is_empty(), "{name}");
        assert_eq!(live, back, "{name}");
    }
}

proptest! {
    #[test]
    fn any_event_is_read_back_as_it_came(
        input in 0u32..1000, output in 0u32..1000, cached in 0u32..1000,
        team in prop::option::of("[a-zé ]{1,8}"), tier in prop::option::of("standard|default|batch|flex|odd"),
        region in prop::option::of("eu|us-east-1|odd"), time in 1_700_000_000_000i64..1_790_000_000_000,
    ) {
        let mut event = serde_json::json!({
            "id": "x", "time": time, "provider": "openai", "model": "gpt-4o",
            "usage": { "input_tokens": input + cached, "cache_read_tokens": cached, "output_tokens": output },
        });
        for (name, value) in [("team", team), ("service_tier", tier), ("region", region)] {
            if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
                event[name] = value.into();
            }
        }
        event["user"] = "ann".into();
        for directory in ["kind,name\n", DIRECTORY] {
            let (live, batches) = rows(&[event.to_string().into_bytes()], directory);
            let back: Vec<_> = batches.iter().flat_map(|batch| rebuild::fingerprints(batch).unwrap()).collect();
            prop_assert_eq!(live, back.into_iter().map(|(_, _, print)| print).collect::<Vec<_>>());
        }
    }
}
