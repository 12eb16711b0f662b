//! A row as an event: what it says again.

use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::note::CostQuality;
use spendstream_schemas::usage_event::UsageRow;

use super::event_json;
use crate::batch::RawMessage;
use crate::decode::reject::Reject;
use crate::decode::{Decoder, Ignored, Sink};

/// Of each row: its event, what it says, and how far it can be trusted.
#[derive(Default)]
struct Rows(Vec<(String, String, CostQuality)>);

impl Sink for Rows {
    fn row(&mut self, _index: u32, row: &UsageRow<'_>) {
        let event = String::from_utf8(event_json(row)).unwrap();
        let mut row = row.clone();
        row.texts.set(Text::PayloadKind, "");
        row.tags.sort();
        row.quantities.sort();
        self.0.push((event, format!("{row:?}"), row.quality));
    }

    fn reject(&mut self, _index: u32, reject: Reject) {
        panic!("{reject:?}");
    }

    fn ignore(&mut self, _index: u32, why: Ignored) {
        panic!("{why:?}");
    }
}

fn rows(payload: &str) -> Vec<(String, String, CostQuality)> {
    let mut rows = Rows::default();
    // 2026-11-22T18:00:00Z.
    let message =
        RawMessage { payload: payload.as_bytes(), key: None, headers: None, timestamp_ms: Some(1_795_370_400_000) };
    Decoder::new(&DecodeConfig::default()).decode(&message, &mut rows);
    rows.0
}

fn event(provider: &str, rest: &str) -> String {
    format!(r#"{{"id":"e1","time":1795370399123,"provider":"{provider}","model":"m",{rest}}}"#)
}

#[test]
fn the_event_of_a_row_says_the_row_again() {
    let everything = r#""team":"a \"b\"","tags":{"z":"1","a":"2"},"latency_ms":7,"cache_hit":false,"service_tier":"reserved","region":"eu",
        "reported_cost":{"amount":"0.10","currency":"EUR"},"usage":{"input_tokens":100,"cache_read_tokens":10,"cache_write_tokens":20,
        "cache_write_1h_tokens":5,"cache_write_12h":7,"audio_input_tokens":3,"output_tokens":9,"reasoning_tokens":2,"image_out":1,"web_searches":2,
        "requests":1,"audio_second":1.25,"images":3,"characters":12}"#;
    let overlap = r#""usage":{"input_tokens":100,"cache_read_tokens":80,"audio_input_tokens":60,"cache_read_audio":50,"output_tokens":1}"#;
    let assumed = r#""usage":{"input_tokens":100,"cache_read_tokens":80,"audio_input_tokens":60,"output_tokens":1}"#;
    let told = r#""usage":{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":40,"audio_tokens":20,"cached_tokens_details":{"audio_tokens":0}}}"#;
    let nothing = r#""usage":{"input_tokens":0}"#;
    let failed = r#""usage":{},"status":"error","error_type":"Timeout""#;
    let unexplained = r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":20}"#;
    let tools = r#""usage":{"input_tokens":10,"output_tokens":5,"num_sources_used":4,"server_side_tool_usage_details":{"x_search_calls":2}}"#;
    let answer = r#""usage":{"object":"response","model":"another","output":[{"type":"code_interpreter_call","container_id":"a"},
        {"type":"code_interpreter_call","container_id":"b"}],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}"#;
    for rest in [everything, overlap, assumed, told, nothing, failed, unexplained, tools, answer] {
        let first = rows(&event("openai", rest));
        let again = rows(&first[0].0);
        assert_eq!(again, first, "{rest}");
    }
}

#[test]
fn what_was_not_exact_is_not_exact_again() {
    let usage = r#""usage":{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":9}"#;
    let first = rows(&event("anthropic", usage));
    let again = rows(&first[0].0);
    assert_eq!((first[0].2, again[0].2), (CostQuality::Estimated, CostQuality::Estimated));
}
