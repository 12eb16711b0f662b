//! Every rejection reason that a decoder gives: its word, its message, and what is kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use spendstream_schemas::config::{DecodeConfig, MappingConfig, Text};
use spendstream_schemas::count::Count;
use support::{Decoded, decode, decode_with};

const HEAD: &str = r#""id":"e1","time":"2026-11-22T17:59:58Z","provider":"openai","model":"gpt-4o""#;

fn event(rest: &str) -> Decoded {
    decode(format!("{{{HEAD},{rest}}}"))
}

#[track_caller]
fn check(decoded: &Decoded, reason: &str, detail: &str) {
    assert_eq!(decoded.reject(), (reason, detail));
    assert!(!detail.contains('\n'), "one line");
}

#[test]
fn not_json() {
    check(
        &decode("{\"id\": "),
        "not_json",
        "the message of 7 bytes is not JSON: EOF while parsing a value at line 1 column 7; send one JSON object, an array, JSON lines or OTLP",
    );
    let decoded = decode(b"\xff\xfe");
    assert_eq!(decoded.reject().0, "not_json");
    assert_eq!(decoded.rejects[0].1.payload, None, "unparsable bytes go as they came");
}

#[test]
fn a_text_cut_within_a_character_spoils_no_event() {
    let cut = r#""litellm_call_id":"call-1","call_type":"acompletion","custom_llm_provider":"openai","model":"gpt-4o","endTime":1795370399.5,"prompt_tokens":10,"completion_tokens":5,"messages":[{"content":"SECRET \ud83d"}]"#;
    let decoded = decode(format!("{{{cut}}}"));
    support::check(decoded.row(), "event_id=call-1 input_tokens=10 output_tokens=5");
    // In a text that is kept it stays as its escape, on either way through.
    support::check(
        event(r#""usage":{"input_tokens":1},"note":"\ud83d","team":"a\ud83d""#).row(),
        r"event_id=e1 team=a\ud83d",
    );
    let broken = decode(format!("{{{cut},}}"));
    assert!(broken.reject().1.contains("key must be a string at line 1 column 208"), "{}", broken.reject().1);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(decode(deep).reject().1.contains("nested too deeply"));
}

#[test]
fn one_bad_line_is_rejected_alone() {
    let good = format!("{{{HEAD},\"usage\":{{\"input_tokens\":1}}}}");
    let decoded = decode(format!("{good}\nnot json\n{good}\n"));
    assert_eq!(decoded.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(decoded.rejects[0].0, 1);
    assert_eq!(decoded.rejects[0].1.detail, "a line is not JSON: expected ident at line 1 column 2");
    assert_eq!(decoded.rejects[0].1.payload.as_deref(), Some(b"not json".as_slice()));
}

#[test]
fn unknown_shape() {
    let decoded = decode(r#"{"hello":"world","prompt":"SECRET-PROMPT"}"#);
    check(
        &decoded,
        "unknown_shape",
        "no known envelope or usage was recognised; send event v1, a provider's response, CloudEvents, OTLP spans or LiteLLM's payload, or configure [[decode.mappings]]",
    );
    assert_eq!(decoded.kept(), r#"{"hello":"world"}"#, "a word may be a name, a prompt is none");
    assert_eq!(decode("[1]").reject().0, "unknown_shape");
}

#[test]
fn missing_field() {
    let usage = r#""usage":{"input_tokens":1}"#;
    check(
        &decode(format!(r#"{{"time":1795370400000,"provider":"openai","model":"m",{usage}}}"#)),
        "missing_field",
        "'id' is missing; send a text that is unique per call",
    );
    check(
        &decode(format!(r#"{{"id":"e1","provider":"openai","model":"m",{usage}}}"#)),
        "missing_field",
        "'time' is missing; send when the call ended",
    );
    check(
        &decode(format!(r#"{{"id":"e1","time":1795370400000,"model":"m",{usage}}}"#)),
        "missing_field",
        "'provider' is missing; send the provider's name, such as openai or anthropic",
    );
    check(
        &decode(format!(r#"{{"id":"e1","time":1795370400000,"provider":"openai",{usage}}}"#)),
        "missing_field",
        "'model' is missing; send the model's name as the provider knows it",
    );
    check(
        &decode(format!("{{{HEAD}}}")),
        "missing_field",
        "'usage' is missing; send the provider's usage object, or the plain names",
    );
    check(
        &event(r#""usage":{"something":1}"#),
        "missing_field",
        "'usage' has no count that is known; send the provider's usage object, or the plain names such as input_tokens and output_tokens",
    );
    for (usage, sent, meant) in [
        (r#"{"input_token":1000,"output_tokens":10}"#, "input_token", "input_tokens"),
        (r#"{"input_tokens":1000,"ouput_tokens":10}"#, "ouput_tokens", "output_tokens"),
        (r#"{"prompt_token":1000,"completion_tokens":10}"#, "prompt_token", "prompt_tokens"),
        (
            r#"{"input_tokens":1000,"output_tokens":10,"cache_reed_tokens":900}"#,
            "cache_reed_tokens",
            "cache_read_tokens",
        ),
        (r#"{"inputTokens":1000,"outputToken":10}"#, "outputToken", "outputTokens"),
    ] {
        check(
            &event(&format!(r#""usage":{usage}"#)),
            "missing_field",
            &format!("'usage.{meant}' is missing, but '{sent}' is there; send the figure as '{meant}'"),
        );
    }
}

#[test]
fn names_that_say_nothing_more_are_no_mistakes() {
    for usage in [
        r#"{"input_tokens":1000,"output_tokens":10,"input_token":0}"#,
        r#"{"input_tokens":1000,"output_tokens":10,"output_token":10}"#,
        r#"{"input_tokens":1000,"output_tokens":10,"queue_tokens":5,"something":1}"#,
    ] {
        assert_eq!(event(&format!(r#""usage":{usage}"#)).row().count(Count::Input), 1000, "{usage}");
    }
}

#[test]
fn wrong_type() {
    for (rest, detail) in [
        (r#""usage":{"input_tokens":"12"}"#, "'input_tokens' is a text; send a whole number"),
        (r#""usage":{"input_tokens":12.5}"#, "'input_tokens' is a fractional number; send a whole number below 2^63"),
        (r#""usage":{"input_tokens":1},"latency_ms":"fast""#, "'latency_ms' is a text; send a whole number"),
        (r#""usage":{"input_tokens":1},"team":7"#, "'team' is a number; send a text"),
        (r#""usage":{"input_tokens":1},"tags":{"a":1}"#, "'tags' is an object with a number; send an object of texts"),
        (r#""usage":{"input_tokens":1},"cache_hit":"yes""#, "'cache_hit' is a text; send true or false"),
        (r#""usage":{"input_tokens":1},"status":"fine""#, "'status' is another word; send ok or error"),
        (r#""usage":[1]"#, "'usage' is an array; send an object"),
        (
            r#""usage":{"input_tokens":1},"reported_cost":{"amount":"x","currency":"USD"}"#,
            "'reported_cost.amount' is a text; send a decimal as a text, such as \"0.0123\"",
        ),
    ] {
        check(&event(rest), "wrong_type", detail);
    }
    let decoded =
        decode(r#"{"id":"e1","time":"yesterday","provider":"openai","model":"m","usage":{"input_tokens":1}}"#);
    check(
        &decoded,
        "wrong_type",
        "'time' is a text that is no time; send an RFC 3339 time such as 2026-01-31T12:00:00Z, or epoch milliseconds",
    );
}

#[test]
fn negative_count() {
    check(
        &event(r#""usage":{"input_tokens":-5}"#),
        "negative_count",
        "'input_tokens' is -5; a count is never negative",
    );
    check(
        &event(r#""usage":{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":-1}}"#),
        "negative_count",
        "'prompt_tokens_details.cached_tokens' is -1; a count is never negative",
    );
    check(
        &event(r#""usage":{"audio_second":-1.5}"#),
        "negative_count",
        "'audio_second' is -1.5; a quantity is never negative",
    );
}

#[test]
fn part_exceeds_total() {
    check(
        &event(r#""usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":11}}"#),
        "part_exceeds_total",
        "cache reads 11 + cache writes 0 + 1 h cache writes 0 exceed input_tokens 10",
    );
    check(
        &event(r#""usage":{"input_tokens":10,"output_tokens":2,"reasoning_tokens":3}"#),
        "part_exceeds_total",
        "reasoning 3 + audio 0 + image 0 + video 0 output exceed output_tokens 2",
    );
}

#[test]
fn time_too_old_and_in_future() {
    let at = |time: &str| {
        decode(format!(r#"{{"id":"e1","time":{time},"provider":"p","model":"m","usage":{{"input_tokens":1}}}}"#))
    };
    check(
        &at("1577836799999"),
        "time_too_old",
        "'time' is 2019-12-31T23:59:59Z, before 2020; send when the call ended",
    );
    assert_eq!(at("1577836800000").row().time_micros, 1_577_836_800_000_000);
    check(
        &at("\"2026-11-23T18:00:00.000001Z\""),
        "time_in_future",
        "'time' is 2026-11-23T18:00:00Z, more than a day after the message's timestamp 2026-11-22T18:00:00Z; check the producer's clock and unit (milliseconds)",
    );
    assert_eq!(at("\"2026-11-23T18:00:00Z\"").rows.len(), 1);
}

#[test]
fn too_large_keeps_its_beginning_and_its_hash() {
    let config = DecodeConfig { max_message_bytes: 70_000, ..DecodeConfig::default() };
    let decoded = decode_with(&config, &vec![b'a'; 70_001], &[]);
    check(
        &decoded,
        "too_large",
        "the message has 70001 bytes, more than decode.max_message_bytes = 70000; send usage without content",
    );
    let reject = &decoded.rejects[0].1;
    assert_eq!(reject.payload.as_ref().map(Vec::len), Some(65_536));
    // head -c 70001 /dev/zero | tr '\0' a | sha256sum
    assert_eq!(
        reject.truncated_sha256.as_deref(),
        Some("2436690488a611141ba76ceedabac3ae39a99536fe551bb8b59251b3f46495ab")
    );
}

#[test]
fn text_too_long() {
    let long = "x".repeat(1025);
    check(
        &event(&format!(r#""usage":{{"input_tokens":1}},"team":"{long}""#)),
        "text_too_long",
        "'team' has 1025 bytes, more than decode.max_text_bytes = 1024; left out of what is kept, so a replay lacks it: team",
    );
    check(
        &event(&format!(r#""usage":{{"input_tokens":1}},"tags":{{"a":"{long}"}}"#)),
        "text_too_long",
        "'tags' has 1025 bytes, more than decode.max_text_bytes = 1024; left out of what is kept, so a replay lacks it: a",
    );
}

#[test]
fn too_many_tags() {
    let tags: Vec<String> = (0..65).map(|number| format!("\"k{number}\":\"v\"")).collect();
    check(
        &event(&format!(r#""usage":{{"input_tokens":1}},"tags":{{{}}}"#, tags.join(","))),
        "too_many_tags",
        "'tags' has 65 entries, more than decode.max_tags = 64",
    );
}

#[test]
fn too_many_rows() {
    let config = DecodeConfig { max_rows_per_message: 2, ..DecodeConfig::default() };
    let one = format!("{{{HEAD},\"usage\":{{\"input_tokens\":1}},\"messages\":\"SECRET-PROMPT\"}}");
    for payload in [format!("[{one},{one},{one}]"), format!("{one}\n{one}\n{one}")] {
        let decoded = decode_with(&config, payload.as_bytes(), &[]);
        check(
            &decoded,
            "too_many_rows",
            "the message holds 3 items, more than decode.max_rows_per_message = 2; send smaller messages",
        );
        assert!(!decoded.kept().contains("SECRET"));
    }
}

#[test]
fn a_kept_reject_can_be_sent_again_and_gives_no_secret_away() {
    let rest = r#""usage":{"input_tokens":-1,"output_tokens":2},"messages":[{"content":"SECRET-PROMPT"}],"response":"SECRET-COMPLETION","api_key":"sk-SECRET-KEY","tags":{"team":"a"}"#;
    let decoded = event(rest);
    let kept = decoded.kept();
    assert_eq!(
        kept,
        r#"{"id":"e1","time":"2026-11-22T17:59:58Z","provider":"openai","model":"gpt-4o","usage":{"input_tokens":-1,"output_tokens":2},"tags":{"team":"a"}}"#
    );
    let again = decode(kept.replace(":-1", ":1"));
    assert_eq!(again.row().tags["team"], "a");
}

#[test]
fn a_reject_that_a_mapping_reads_can_be_sent_again_once_it_is_mended() {
    let mapping = |tokens: &str| MappingConfig {
        name: "theirs".into(),
        when: [("kind".to_owned(), Text("llm".into()))].into(),
        fields: [
            ("id", "call.ident"),
            ("time", "call.ended"),
            ("provider", "=openai"),
            ("model", "call.engine"),
            ("team", "call.squad"),
            ("input_tokens", tokens),
            ("output_tokens", "call.n_out"),
        ]
        .map(|(field, path)| (field.to_owned(), path.to_owned()))
        .into(),
    };
    let config = |tokens: &str| DecodeConfig { mappings: vec![mapping(tokens)], ..DecodeConfig::default() };
    let call = r#"{"ident":"c 1","ended":"2026-11-22T17:59:58Z","engine":"gpt-4o","squad":"Team A","n_in":12,"n_out":3,"said":"SECRET-PROMPT"}"#;
    let payload = format!(r#"{{"kind":"llm","call":{call}}}"#);
    let decoded = decode_with(&config("call.engine"), payload.as_bytes(), &[]);
    assert_eq!(decoded.reject().0, "wrong_type");
    assert!(!decoded.kept().contains("SECRET"), "{}", decoded.kept());
    // What the mended mapping reads beside is not known yet; a figure that no mapping names is not kept.
    let again = decode_with(&config("call.n_out"), decoded.kept().as_bytes(), &[]);
    let row = again.row();
    assert_eq!((row.text("event_id"), row.text("team"), row.text("model")), ("c 1", "Team A", "gpt-4o"));
}
