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
    ("*", "*", "cache_read_tokens", 8, "that reader looks for no cached tokens; the body is another provider's"),
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
    assert_eq!((equal, whole), (6974, 7388));
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
    let mut whole = 0;
    for (recorded, reader, usage) in pairs(&recorded).filter(|(_, reader, _)| own(reader)) {
        whole += 1;
        let figures = differences(&as_expected(&recorded.decode(&reader.provider).rows[0]), usage);
        if !figures.is_empty() {
            different.push((recorded.file.as_str(), figures));
        }
    }
    assert_eq!(whole, 784);
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
