//! The book that ships: it loads, knows the names that are in use, and gives the published price of known calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop loudly and say where")]

use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::note::{CostQuality, Note};
use spendstream_schemas::price_book::{BookFiles, PriceBook, Question, Severity, Unpriced, Usage, check};

const NOON: i64 = 1_795_348_800_000_000; // 2026-11-22T12:00:00Z

fn counts(values: &[(Count, i64)]) -> Counts {
    let mut counts = Counts::default();
    for (count, value) in values {
        counts.set(*count, *value);
    }
    let cached =
        [Count::CacheRead, Count::CacheWrite, Count::CacheWrite1h].map(|count| counts.get(count)).iter().sum::<i64>();
    counts.set(Count::UncachedInput, counts.get(Count::Input) - cached);
    counts
}

fn cost(provider: &str, model: &str, values: &[(Count, i64)]) -> String {
    let book = PriceBook::builtin().unwrap();
    let plan = book.resolve(&Question { provider: Some(provider), model: Some(model), ..Question::default() }).unwrap();
    let counts = counts(values);
    let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
    plan.price(NOON, &usage).unwrap().cost.to_string()
}

#[test]
fn known_calls_cost_what_the_provider_publishes() {
    use Count::{CacheRead, CacheWrite, CacheWrite1h, Input, Output, Reasoning};
    for (provider, model, values, expected) in [
        ("openai", "gpt-4o", &[(Input, 1200), (CacheRead, 1024), (Output, 80), (Reasoning, 32)][..], "0.00252"),
        ("openai", "gpt-4o-2024-08-06", &[(Input, 1200), (CacheRead, 1024), (Output, 80)], "0.00252"),
        ("openai", "gpt-4o", &[(Input, 1200), (Output, 80)], "0.0038"),
        ("openai", "gpt-4o-mini", &[(Input, 1200), (CacheRead, 1024), (Output, 80), (Reasoning, 32)], "0.0001512"),
        ("openai", "text-embedding-3-small", &[(Input, 300)], "0.000006"),
        ("openai", "gpt-5", &[(Input, 900), (CacheRead, 512), (Output, 60), (Reasoning, 16)], "0.001149"),
        (
            "anthropic",
            "claude-sonnet-4-5",
            &[(Input, 5050), (CacheRead, 3000), (CacheWrite, 500), (CacheWrite1h, 1500), (Output, 70)],
            "0.012975",
        ),
        ("anthropic", "claude-sonnet-4-5", &[(Input, 200_000), (Output, 100)], "0.6015"),
        ("anthropic", "claude-sonnet-4-5", &[(Input, 200_001), (Output, 100)], "1.202256"),
        ("openai", "gpt-4o", &[], "0"),
    ] {
        assert_eq!(cost(provider, model, values), expected, "{provider}/{model} {values:?}");
    }
}

#[test]
fn names_in_use_find_their_price() {
    let book = PriceBook::builtin().unwrap();
    for (provider, model, provider_id, model_id, region, notes) in [
        (
            Some("aws.bedrock"),
            "us.anthropic.claude-sonnet-4-6",
            "aws_bedrock",
            "anthropic.claude-sonnet-4-6",
            Some("us"),
            &[][..],
        ),
        (
            Some("aws"),
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws_bedrock",
            "anthropic.claude-sonnet-4-5-20250929",
            None,
            &[Note::RegionAssumed],
        ),
        (
            Some("bedrock"),
            "arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-sonnet-4-6",
            "aws_bedrock",
            "anthropic.claude-sonnet-4-6",
            Some("global"),
            &[],
        ),
        (
            Some("aws_bedrock"),
            "claude-sonnet-4-6",
            "aws_bedrock",
            "anthropic.claude-sonnet-4-6",
            None,
            &[Note::RegionAssumed],
        ),
        (Some("gcp.gemini"), "models/gemini-2.5-pro", "google", "gemini-2.5-pro", None, &[]),
        (Some("vertex_ai"), "gemini-2.5-flash", "google_vertex", "gemini-2.5-flash", None, &[]),
        (Some("azure.ai.openai"), "gpt-4o", "azure", "gpt-4o", None, &[Note::RegionAssumed]),
        (None, "openai/gpt-4o", "openai", "gpt-4o", None, &[]),
        (Some("my-proxy"), "anthropic/claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5", None, &[]),
        (Some("anthropic"), "claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5", None, &[]),
        (
            Some("anthropic"),
            "claude-sonnet-4-5@20250929",
            "anthropic",
            "claude-sonnet-4-5",
            None,
            &[Note::ModelSuffixDropped],
        ),
        (
            Some("anthropic"),
            "claude-sonnet-4-5-20991231",
            "anthropic",
            "claude-sonnet-4-5",
            None,
            &[Note::ModelSuffixDropped],
        ),
        (Some("x-ai"), "grok-3", "xai", "grok-3", None, &[]),
    ] {
        let plan = book.resolve(&Question { provider, model: Some(model), ..Question::default() }).unwrap();
        let found = (plan.provider_id.as_str(), plan.model_id.as_str(), plan.region.as_deref());
        assert_eq!(found, (provider_id, model_id, region), "{provider:?} {model}");
        assert_eq!(plan.notes.iter().collect::<Vec<_>>(), notes, "{provider:?} {model}");
    }
}

#[test]
fn what_is_not_in_the_book_is_never_free() {
    let book = PriceBook::builtin().unwrap();
    let ask = |provider, model| {
        let error = book.resolve(&Question { provider, model: Some(model), ..Question::default() }).unwrap_err();
        (error.word(), error.to_string())
    };
    assert_eq!(
        ask(Some("acme"), "gpt-4o"),
        ("unknown_provider", "provider 'acme' is not in the price book".to_owned())
    );
    assert_eq!(ask(None, "gpt-4o").0, "unknown_provider");
    assert_eq!(
        ask(Some("openai"), "gpt-99"),
        ("unknown_model", "model 'gpt-99' of provider 'openai' is not in the price book".to_owned())
    );
    let plan =
        book.resolve(&Question { provider: Some("openai"), model: Some("gpt-4o"), ..Question::default() }).unwrap();
    let quantities = [("document_page".into(), 2.into())];
    let usage = Usage { counts: &Counts::default(), quantities: &quantities, committed: false, cache_hit: false };
    let error = plan.price(NOON, &usage).unwrap_err();
    assert!(matches!(&error, Unpriced::NoPriceForMeter { .. }), "{error}");
    assert_eq!(error.reason(), "no_price_for_meter:document_page");
}

#[test]
fn a_batch_call_costs_half_and_an_unknown_tier_is_standard_and_says_so() {
    let book = PriceBook::builtin().unwrap();
    let counts = counts(&[(Count::Input, 1000), (Count::Output, 100)]);
    for (sent, tier, cost, quality) in [
        (Some("auto"), "standard", "0.0035", CostQuality::Exact),
        (Some("BATCH"), "batch", "0.00175", CostQuality::Exact),
        (Some("priority"), "priority", "0.00595", CostQuality::Exact),
        (Some("platinum"), "standard", "0.0035", CostQuality::Estimated),
    ] {
        let question =
            Question { provider: Some("openai"), model: Some("gpt-4o"), service_tier: sent, ..Question::default() };
        let plan = book.resolve(&question).unwrap();
        let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
        let priced = plan.price(NOON, &usage).unwrap();
        assert_eq!(
            (plan.service_tier.as_str(), priced.cost.to_string().as_str(), priced.quality),
            (tier, cost, quality)
        );
        assert_eq!(plan.notes.contains(Note::TierAssumed), quality == CostQuality::Estimated);
    }
}

#[test]
fn a_large_prompt_is_never_priced_as_a_small_one_silently() {
    use CostQuality::{Estimated, Exact, UpperBound};
    let book = PriceBook::builtin().unwrap();
    let (google, openai, anthropic) =
        (("google", "gemini-2.5-pro"), ("openai", "gpt-5.5"), ("anthropic", "claude-opus-4-6"));
    for ((provider, model), tier, region, input, expected, quality) in [
        // flex: 0.625 and 5 for small prompts only; standard: 1.25 and 10, above 200 000 tokens 2.5 and 15.
        (google, "flex", None, 200_000, "0.13", Exact),
        (google, "flex", None, 300_000, "0.765", UpperBound),
        (google, "batch", None, 300_000, "0.3825", Exact),
        // priority: 12.5 and 75 for small prompts only, dearer than standard's 10 and 45 for large ones.
        (openai, "priority", None, 300_000, "3.825", Estimated),
        // batch: 1.5 and 7.5 for small prompts only; standard: 6 and 22.5 for large ones.
        (("google_vertex", "claude-sonnet-4-5"), "batch", None, 300_000, "1.8225", UpperBound),
        // The dearer price for large prompts ended in March 2026: nothing is assumed since.
        (anthropic, "batch", Some("us"), 300_000, "0.83875", Exact),
        // 3.6 and 18 for small prompts only, dearer than the default's 3 and 15; the default's 6 and 22.5 for large ones.
        (("aws_bedrock", "claude-sonnet-4-5-20250929-v1:0"), "", Some("us-gov-east-1"), 300_000, "1.8225", Estimated),
    ] {
        let question = Question {
            provider: Some(provider),
            model: Some(model),
            service_tier: Some(tier),
            region,
            ..Question::default()
        };
        let plan = book.resolve(&question).unwrap();
        let counts = counts(&[(Count::Input, input), (Count::Output, 1000)]);
        let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
        let priced = plan.price(NOON, &usage).unwrap();
        assert_eq!((priced.cost.to_string().as_str(), priced.quality), (expected, quality), "{question:?} {input}");
        assert_eq!(priced.notes.contains(Note::TierAssumed), quality != Exact, "{question:?} {input}");
    }
}

#[test]
fn inference_in_the_us_only_costs_a_tenth_more() {
    let book = PriceBook::builtin().unwrap();
    let counts = counts(&[(Count::Input, 1000), (Count::Output, 100)]);
    for (region, cost) in
        [(None, "0.0075"), (Some("global"), "0.0075"), (Some("not_available"), "0.0075"), (Some("us"), "0.00825")]
    {
        let question =
            Question { provider: Some("anthropic"), model: Some("claude-opus-4-7"), region, ..Question::default() };
        let plan = book.resolve(&question).unwrap();
        let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
        assert_eq!(plan.price(NOON, &usage).unwrap().cost.to_string(), cost, "{region:?}");
        assert!(plan.notes.is_empty(), "{region:?}");
    }
}

#[test]
fn the_book_has_no_errors_and_keeps_every_price_apart() {
    let book = PriceBook::builtin().unwrap();
    assert_eq!(book.date(), "2026-11-22");
    assert!(book.rows().len() > 20_000, "{}", book.rows().len());
    let errors: Vec<_> = check(book.rows()).into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert_eq!(errors, Vec::new());
    // Tiers and regions that have, or once had, prices for small prompts only.
    let gaps = check(book.rows()).into_iter().filter(|finding| finding.text.ends_with("tier_assumed; add the price"));
    assert_eq!(gaps.count(), 53);
}

#[test]
fn a_kept_book_prices_again_and_has_the_same_version() {
    let files = BookFiles {
        currency: "EUR",
        overrides: "[[override]]\norganization = \"acme\"\ndiscount_percent = \"10\"\n",
        ..BookFiles::builtin()
    };
    let book = PriceBook::load(&files).unwrap();
    let again = PriceBook::from_archive(&book.to_archive()).unwrap();
    assert_eq!(again.version(), book.version());
    assert_eq!(again.to_archive(), book.to_archive());
    assert_eq!(again.currency(), "EUR");
    assert_eq!(book.version().len(), 32);
    assert_ne!(book.version(), PriceBook::builtin().unwrap().version());
    assert!(PriceBook::from_archive(b"not gzip").unwrap_err().to_string().contains("not a kept price book"));
}
