//! Real usage bodies: what the decoder counts equals what genai-prices extracts.
//!
//! genai-prices runs every reader over every body that has the reader's keys; only a reader of the body's own shape says what
//! the body means (Anthropic's reader over a Responses body finds no cache, because it looks for other names).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use std::collections::BTreeMap;

use support::usages::{Reader, Recorded, all, as_expected, differences};
use support::{Row, check, cost, decode};

/// (provider, flavour, the figure that differs, how many, why ours is right). `*` stands for every provider not named before.
const EXCEPTIONS: [(&str, &str, &str, usize, &str); 9] = [
    (
        "x-ai",
        "chat",
        "output_tokens",
        31,
        "bodies of other providers: their own total says that reasoning is within the completion",
    ),
    (
        "cohere",
        "tokens",
        "input_tokens",
        8,
        "Cohere bills `billed_units` (its other reader); `tokens` is what the model saw",
    ),
    (
        "*",
        "*",
        "input_video_tokens",
        31,
        "`video_tokens` of OpenRouter has no reader; we name the part, the total is the same",
    ),
    (
        "*",
        "*",
        "cache_write_tokens",
        69,
        "`cache_write_tokens` is newer than that reader; OpenAI and OpenRouter send and bill it",
    ),
    (
        "*",
        "*",
        "cache_read_tokens",
        411,
        "that reader looks for no cached tokens; the body is another provider's, 13 times Mistral's with `num_cached_tokens`",
    ),
    ("*", "*", "input_audio_tokens", 28, "that reader looks for no audio tokens; the body is OpenAI's"),
    ("*", "*", "output_reasoning_tokens", 223, "that reader does not tell reasoning apart; the total is the same"),
    ("*", "*", "web_searches", 16, "only Anthropic's own reader looks for server tools; a cloud relays the same body"),
    ("*", "*", "other", 0, "nothing else differs"),
];

fn exception(reader: &Reader, figures: &[(String, i64, i64)]) -> usize {
    let matches = |(provider, flavour, figure, ..): &(&str, &str, &str, usize, &str)| {
        (*provider == "*" || *provider == reader.provider)
            && (*flavour == "*" || *flavour == reader.flavour)
            && figures.iter().any(|(name, ..)| name == figure)
    };
    EXCEPTIONS.iter().position(matches).unwrap_or(EXCEPTIONS.len() - 1)
}

/// Every (body, reader of its shape).
fn pairs(recorded: &[Recorded]) -> impl Iterator<Item = (&Recorded, &Reader, &BTreeMap<String, i64>)> {
    recorded.iter().flat_map(|recorded| {
        let readers = recorded
            .expected
            .iter()
            .flat_map(|expected| expected.readers.iter().map(|reader| (reader, &expected.usage)));
        readers
            .filter(|(reader, _)| {
                reader.shape() == recorded.shape()
                    || (reader.provider == "cohere" && recorded.body["usage"].get("tokens").is_some())
            })
            .map(move |(reader, usage)| (recorded, reader, usage))
    })
}

#[test]
fn extraction_equals_that_of_genai_prices() {
    let recorded = all();
    let (mut equal, mut whole) = (0, 0);
    let mut exceptions = [0; EXCEPTIONS.len()];
    for (recorded, reader, usage) in pairs(&recorded) {
        whole += 1;
        let decoded = recorded.decode(&reader.provider);
        // Of several rows the first is the message; the others are iterations outside its totals.
        assert!(decoded.rejects.is_empty(), "{}: {:?}", recorded.file, decoded.rejects);
        let figures = differences(&as_expected(&decoded.rows[0]), usage);
        if figures.is_empty() {
            equal += 1;
        } else {
            let at = exception(reader, &figures);
            assert!(
                at + 1 < EXCEPTIONS.len(),
                "{} by {}:{}: {figures:?}",
                recorded.file,
                reader.provider,
                reader.flavour
            );
            exceptions[at] += 1;
        }
    }
    println!("{equal} of {whole} (body, reader) pairs equal");
    for ((provider, flavour, figure, _, why), count) in EXCEPTIONS.iter().zip(exceptions) {
        println!("{count:5} {provider}:{flavour} {figure}: {why}");
    }
    assert_eq!(exceptions, EXCEPTIONS.map(|(_, _, _, count, _)| count));
    assert_eq!((equal, whole), (6571, 7388));
}

/// The reader that belongs to the provider whose body it is.
#[test]
fn every_body_is_read_as_its_own_provider_reads_it() {
    let own = |reader: &Reader| {
        matches!(
            (reader.provider.as_str(), reader.flavour.as_str()),
            ("anthropic" | "google" | "aws" | "cohere", "default")
                | ("openai", "chat" | "responses" | "embeddings")
                | ("cohere", "embeddings")
        )
    };
    let recorded = all();
    let mut different = Vec::new();
    let (mut whole, mut cached_by_mistral) = (0, 0);
    for (recorded, reader, usage) in pairs(&recorded).filter(|(_, reader, _)| own(reader)) {
        whole += 1;
        // The reader of OpenAI's chat completions does not know Mistral's cached tokens.
        if recorded.body["usage"]["num_cached_tokens"].as_i64().is_some_and(|cached| cached > 0) {
            cached_by_mistral += 1;
            continue;
        }
        let figures = differences(&as_expected(&recorded.decode(&reader.provider).rows[0]), usage);
        if !figures.is_empty() {
            different.push((recorded.file.as_str(), figures));
        }
    }
    assert_eq!((whole, cached_by_mistral), (784, 13));
    let video = vec![("input_video_tokens".to_owned(), 258, 0)];
    assert_eq!(
        different,
        [("models/cassettes/test_openrouter/test_openrouter_binary_content_video_public_api.yaml", video)]
    );
}

#[test]
fn the_notice_names_every_folder_of_data() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let notice = std::fs::read_to_string(root.join("NOTICE")).unwrap();
    let fixtures = std::fs::read_dir(root.join("tests/fixtures")).unwrap();
    let fixtures = fixtures.map(|entry| format!("tests/fixtures/{}", entry.unwrap().file_name().display()));
    for folder in fixtures.chain(["schemas/price_book", "src/demo/data"].map(str::to_owned)) {
        assert!(notice.contains(&format!("\n{folder}/  ")), "NOTICE says nothing of {folder}/");
        assert!(root.join(&folder).join("README.md").is_file(), "{folder}/ has no README.md with its source");
    }
}

fn gpt(usage: &str) -> Row {
    let event = format!(r#"{{"id":"e1","time":1795370399000,"provider":"openai","model":"gpt-4o","usage":{usage}}}"#);
    decode(event).row().clone()
}

#[test]
fn requests_are_counted_where_no_price_is_by_the_request() {
    let row = gpt(r#"{"input_tokens":10,"output_tokens":5,"requests":1}"#);
    check(&row, "request=1 input_tokens=10 output_tokens=5");
    assert_eq!(cost(&row).as_deref(), Ok("0.000075"));
    assert_eq!(cost(&gpt(r#"{"requests":1}"#)), Err("no_price_for_meter:request".to_owned()));
}

#[test]
fn a_total_that_leaves_out_the_cache_proves_that_the_input_holds_it() {
    let head = r#"{"input_tokens":1000,"output_tokens":100,"cache_read_input_tokens":600"#;
    let detailed = gpt(&format!(r#"{head},"total_tokens":1100,"input_tokens_details":{{"cached_tokens":600}}}}"#));
    check(
        &detailed,
        "input_tokens=1000 uncached_input_tokens=400 cache_read_tokens=600 output_tokens=100 notes= quality=exact",
    );
    assert_eq!(cost(&detailed).as_deref(), Ok("0.00275"));
    let summed = gpt(&format!(r#"{head},"total_tokens":1100}}"#));
    check(&summed, "uncached_input_tokens=400 notes=input_convention_corrected quality=estimated");
    assert_eq!(cost(&summed).as_deref(), Ok("0.00275"));
    // Without a total, or with one that counts the cache on top, the name is Anthropic's and so is what it means.
    for total in ["", r#","total_tokens":1700"#] {
        let apart = gpt(&format!("{head}{total}}}"));
        check(&apart, "input_tokens=1600 uncached_input_tokens=1000 cache_read_tokens=600 notes= quality=exact");
        assert_eq!(cost(&apart).as_deref(), Ok("0.00425"));
    }
}

#[test]
fn two_names_of_one_count_are_one_count() {
    let same =
        gpt(r#"{"input_tokens":10,"web_searches":3,"web_search":3,"web_search_requests":3,"requests":2,"request":2}"#);
    check(&same, "web_searches=3 request=2 web_search_requests=absent");
    for (usage, detail) in [
        (
            r#"{"input_tokens":10,"web_searches":2,"web_search":3}"#,
            "'web_searches' is 2 and 'web_search' is 3, but both name one count; send one of them",
        ),
        (
            r#"{"input_tokens":10,"cache_read":4,"cache_read_tokens":0}"#,
            "'cache_read' is 4 and 'cache_read_tokens' is 0, but both name one count; send one of them",
        ),
    ] {
        let event =
            format!(r#"{{"id":"e1","time":1795370399000,"provider":"openai","model":"gpt-4o","usage":{usage}}}"#);
        assert_eq!(decode(event).reject(), ("wrong_type", detail));
    }
}

#[test]
fn paid_speech_that_was_not_counted_is_not_free() {
    let speech = |rest: &str| {
        decode(format!(
            r#"{{"litellm_call_id":"call-1","call_type":"aspeech","custom_llm_provider":"openai","model":"tts-1","endTime":1795370399.5,"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,{rest}}}"#
        ))
    };
    let paid = speech(r#""status":"success","response_cost":0.0035"#);
    check(
        paid.row(),
        "request=1 input_tokens=0 cost=0.0035 notes=tokens_unexplained quality=estimated operation=audio",
    );
    assert_eq!(cost(paid.row()), Err("no_price_for_meter:request".to_owned()));
    let free = speech(r#""status":"success","response_cost":0"#);
    check(free.row(), "request=absent notes= quality=exact");
    let cached = speech(r#""status":"success","response_cost":0.0035,"cache_hit":true"#);
    check(cached.row(), "request=absent notes=response_cache_hit");
}

#[test]
fn a_search_that_is_charged_by_the_call_is_counted() {
    let event = |provider: &str, model: &str, usage: &str| {
        let head = r#"{"id":"1","time":"2026-11-22T10:00:00Z""#;
        decode(format!(r#"{head},"provider":"{provider}","model":"{model}","usage":{{{usage}}}}}"#)).rows.remove(0)
    };
    let tokens = r#""prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100"#;
    // 1000 × 1 + 100 × 1 USD per million, and the fee of the size.
    for (size, expected) in [("low", "0.0061"), ("medium", "0.0091"), ("high", "0.0131")] {
        let row = event("perplexity", "sonar", &format!(r#"{tokens},"search_context_size":"{size}""#));
        assert_eq!(cost(&row).as_deref(), Ok(expected), "{size}");
    }
    // Nothing is said of the size: the published fee of a request, which is that of the largest.
    assert_eq!(cost(&event("perplexity", "sonar", tokens)).as_deref(), Ok("0.0131"));
    let preview = event("openai", "gpt-4o-mini-search-preview", tokens);
    assert_eq!(cost(&preview).as_deref(), Ok("0.02521"), "1000 × 0.15 + 100 × 0.60 USD per million, and one search");
}
