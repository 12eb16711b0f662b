//! The book that ships: it loads, knows the names that are in use, and gives the published price of known calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop loudly and say where")]

use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::note::{CostQuality, Note};
use spendstream_schemas::price_book::{
    BookFiles, PriceBook, Question, Severity, Unpriced, Usage, check, parse_instant,
};

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

/// Anthropic's search costs the same wherever Claude is sold; a list often says so of the newer models only.
#[test]
fn a_search_of_claude_has_a_price_on_googles_cloud() {
    let call = &[(Count::Input, 1_000_000), (Count::WebSearches, 2)];
    for (provider, model, expected) in [
        ("vertex_ai", "claude-3-5-haiku@20241022", "1.02"),
        ("google", "claude-3-5-sonnet", "3.02"),
        ("google", "claude-sonnet-4-6", "3.02"),
    ] {
        assert_eq!(cost(provider, model, call), expected, "{provider}/{model}");
    }
}

/// A zero that nobody entered must not hide the price that another list has; what is free has a provider of its own.
#[test]
fn a_zero_gives_way_to_a_price() {
    use Count::{Input, Output};
    let million = &[(Input, 1_000_000), (Output, 1_000_000)];
    for (provider, model, expected) in [
        ("mistral", "codestral-latest", "1.2"),
        ("codestral", "codestral-latest", "0"),
        ("text-completion-codestral", "codestral-latest", "0"),
        ("google", "gemini-exp-1206", "2.8"),
        ("cohere", "command-a-plus-05-2026", "12.5"),
    ] {
        assert_eq!(cost(provider, model, million), expected, "{provider}/{model}");
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
        (("google_vertex", "claude-sonnet-4-5"), "batch", Some("global"), 300_000, "1.8225", UpperBound),
        // Where it runs is not told, and a regional endpoint costs a tenth more.
        (("google_vertex", "claude-sonnet-4-5"), "batch", None, 300_000, "1.8225", Estimated),
        (("google_vertex", "claude-sonnet-4-5"), "batch", Some("europe-west4"), 300_000, "2.00475", UpperBound),
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

/// One call of the shipped book: its cost and how far it can be trusted, or why it has no price.
fn ask(
    (provider, model): (&str, &str),
    (tier, region): (&str, Option<&str>),
    values: &[(Count, i64)],
    quantities: &[(&'static str, i64)],
) -> (String, CostQuality) {
    let book = PriceBook::builtin().unwrap();
    let (provider, model, service_tier) = (Some(provider), Some(model), Some(tier));
    let plan = book.resolve(&Question { provider, model, service_tier, region, ..Question::default() }).unwrap();
    let quantities: Vec<_> = quantities.iter().map(|(name, amount)| ((*name).into(), (*amount).into())).collect();
    let usage = Usage { counts: &counts(values), quantities: &quantities, committed: false, cache_hit: false };
    match plan.price(NOON, &usage) {
        Ok(priced) => (priced.cost.to_string(), priced.quality),
        Err(error) => (error.reason().into_owned(), CostQuality::Exact),
    }
}

#[test]
fn a_dated_model_keeps_the_prices_that_its_undated_name_has_not() {
    use Count::{AudioInput, AudioOutput, CacheRead, Input, Output};
    let audio = &[(Input, 1000), (AudioInput, 900), (Output, 1000), (AudioOutput, 800)][..];
    for (model, values, expected) in [
        ("gpt-4o-audio-preview-2024-12-17", audio, "0.10225"),
        ("gpt-4o-audio-preview-2025-06-03", audio, "0.10225"),
        ("gpt-4o-mini-audio-preview-2024-12-17", audio, "0.025135"),
        // No source has a price of audio for the undated names; their dated ones agree on it and cost what they do for text.
        ("gpt-4o-audio-preview", audio, "0.10225"),
        ("gpt-4o-mini-audio-preview", audio, "0.025135"),
        ("ft:gpt-4o-2024-08-06", &[(Input, 1000), (CacheRead, 1000)], "0.001875"),
        ("ft:gpt-4o-mini-2024-07-18", &[(Input, 1000), (CacheRead, 1000)], "0.00015"),
        ("gpt-4o-mini-transcribe-2025-12-15", &[(Input, 1000), (AudioInput, 900), (Output, 100)], "0.00175"),
        ("gpt-4o-mini-transcribe", &[(Input, 1000), (AudioInput, 900), (Output, 100)], "0.003325"),
    ] {
        assert_eq!(ask(("openai", model), ("", None), values, &[]).0, expected, "{model}");
    }
    // What a dated model says nothing of is its undated name's: web searches, another tier.
    let search = [(Input, 1000), (Count::WebSearches, 1)];
    let dated = ask(("openai", "gpt-4o-2024-08-06"), ("", None), &search, &[]);
    assert_eq!(dated, ask(("openai", "gpt-4o"), ("", None), &search, &[]));
    assert_eq!(dated.1, CostQuality::Exact);
}

#[test]
fn a_step_for_large_prompts_survives_a_more_trusted_flat_price() {
    use Count::{Input, Output};
    let (sonnet_4, sonnet_4_5) =
        (("aws", "anthropic.claude-sonnet-4-20250514-v1:0"), ("aws", "anthropic.claude-sonnet-4-5-20250929-v1:0"));
    for (name, region, step, small, large) in [
        (("aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"), None, 200_000, "0.615", "1.222506"),
        (sonnet_4_5, None, 200_000, "0.6765", "1.3447566"), // 3.3 and 16.5, then as us, eu and jp: 6.6 and 24.75
        (sonnet_4_5, Some("global"), 200_000, "0.615", "1.222506"),
        (sonnet_4_5, Some("us"), 200_000, "0.6765", "1.3447566"),
        (sonnet_4, None, 200_000, "0.615", "1.222506"),
        (sonnet_4, Some("global"), 200_000, "0.615", "1.222506"),
        (("aws", "openai.gpt-5.4"), None, 272_000, "0.7645", "1.5207555"),
        (("aws", "openai.gpt-5.5"), None, 272_000, "1.529", "3.041511"),
        (("alibaba", "qwen-plus"), None, 256_000, "0.1036", "0.3108012"),
        (("alibaba", "qwen-plus-2025-12-01"), None, 256_000, "0.1036", "0.3108012"),
        (("openai", "gpt-5.6-cyber"), None, 272_000, "3.475", "6.912525"),
        (("google", "deep-research-preview-04-2026"), None, 200_000, "0.412", "0.818004"),
        (("google", "deep-research-max-preview-04-2026"), None, 200_000, "0.412", "0.818004"),
        (("xai", "grok-code-fast-1"), None, 199_999, "0.201999", "0.404"),
    ] {
        let call = |input| ask(name, ("", region), &[(Input, input), (Output, 1000)], &[]).0;
        assert_eq!((call(step).as_str(), call(step + 1).as_str()), (small, large), "{name:?} {region:?}");
    }
}

/// Of disagreeing sources most say 0.2 and 1.5; since the provider serves another model under the id it bills that one.
#[test]
fn a_retired_id_costs_what_answers_in_its_place() {
    let book = PriceBook::builtin().unwrap();
    let counts = counts(&[(Count::Input, 1000), (Count::Output, 1000)]);
    let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
    let retired = 1_778_871_600_000_000; // 2026-05-15T19:00:00Z
    let replaced = 1_779_235_200_000_000; // 2026-05-20
    for (model, expected) in [
        (
            "grok-code-fast-1",
            [(retired - 1, "0.0017"), (retired, "0.00375"), (replaced - 1, "0.00375"), (replaced, "0.003")],
        ),
        (
            "grok-code-fast-1-0825",
            [(retired - 1, "0.0017"), (retired, "0.00375"), (replaced, "0.003"), (NOON, "0.003")],
        ),
        ("grok-4-fast-reasoning", [(0, "0.0007"), (retired - 1, "0.0007"), (retired, "0.00375"), (NOON, "0.00375")]),
        ("grok-4-0709", [(0, "0.018"), (retired - 1, "0.018"), (retired, "0.00375"), (NOON, "0.00375")]),
    ] {
        let plan =
            book.resolve(&Question { provider: Some("xai"), model: Some(model), ..Question::default() }).unwrap();
        for (time, cost) in expected {
            let priced = plan.price(time, &usage).unwrap();
            assert_eq!(
                (priced.cost.to_string().as_str(), priced.quality),
                (cost, CostQuality::Exact),
                "{model} {time}"
            );
        }
    }
}

/// The most trusted list has the prices of before August 2025, without a date. Another dates those after them, and since April 2026 the
/// ids are the two modes of another model.
#[test]
fn an_undated_price_that_has_ended_holds_until_its_end() {
    let book = PriceBook::builtin().unwrap();
    let counts = counts(&[(Count::Input, 1000), (Count::CacheRead, 500), (Count::Output, 1000)]);
    let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
    for (model, time, expected) in [
        ("deepseek-chat", "2025-06-01T08:00:00Z", "0.00127"),
        ("deepseek-chat", "2025-06-01T20:00:00Z", "0.000635"),
        ("deepseek-chat", "2025-09-15T08:00:00Z", "0.002"),
        ("deepseek-chat", "2025-12-01T20:00:00Z", "0.000574"),
        ("deepseek-chat", "2026-05-01T08:00:00Z", "0.0003514"),
        ("deepseek-chat", "2026-11-20T08:00:00Z", "0.001353"),
        ("deepseek-chat", "2026-11-20T20:00:00Z", "0.0006765"),
        ("deepseek-reasoner", "2025-06-01T08:00:00Z", "0.002535"),
        ("deepseek-reasoner", "2025-09-15T08:00:00Z", "0.002"),
        ("deepseek-reasoner", "2025-12-01T20:00:00Z", "0.000574"),
        ("deepseek-reasoner", "2026-11-20T08:00:00Z", "0.001353"),
        ("deepseek-v4-flash", "2026-11-20T08:00:00Z", "0.001353"),
    ] {
        let question = Question { provider: Some("deepseek"), model: Some(model), ..Question::default() };
        let plan = book.resolve(&question).unwrap();
        let priced = plan.price(parse_instant(time).unwrap(), &usage).unwrap();
        assert_eq!(
            (priced.cost.to_string().as_str(), priced.quality),
            (expected, CostQuality::Exact),
            "{model} {time}"
        );
    }
}

/// The names that providers answer with cost what the model does by the most trusted list, whatever another says of them.
#[test]
fn a_snapshot_costs_what_the_model_does() {
    use Count::{Input, Output, WebSearches};
    let tokens = &[(Input, 1_000_000), (Output, 1_000_000)][..];
    let search = &[(Input, 1000), (WebSearches, 1)][..];
    for (provider, model, values, expected) in [
        ("openai", "gpt-4.1-2025-04-14", search, "0.012"),
        ("openai", "gpt-4.1-mini-2025-04-14", search, "0.0104"),
        ("openai", "gpt-4o-mini-2024-07-18", search, "0.01015"),
        // Another product, with a search in every call.
        ("openai", "gpt-4o-mini-search-preview-2025-03-11", search, "0.02515"),
        ("openai", "gpt-4o-mini-tts-2025-03-20", tokens, "12.6"),
        ("mistral", "mistral-large-4-0", tokens, "2.8"),
        ("mistral", "open-mistral-nemo", tokens, "0.3"),
        ("mistral", "labs-devstral-small-2512", tokens, "0.4"),
        ("cloudflare", "clef-flash", tokens, "0.038"),
    ] {
        let found = ask((provider, model), ("", None), values, &[]);
        assert_eq!(found, (expected.to_owned(), CostQuality::Exact), "{provider}/{model}");
    }
}

/// Bedrock's regional price is a tenth above its global one; so is half of it, and a model that a source calls by a name of its own.
#[test]
fn a_call_without_region_on_bedrock_has_the_regional_price_in_every_tier() {
    let call = |model, tier, region| ask(("aws", model), (tier, region), &[(Count::Input, 100_000)], &[]).0;
    for (model, tier, regional, global) in [
        ("anthropic.claude-opus-4-5-20251101-v1:0", "", "0.55", "0.5"),
        ("anthropic.claude-opus-4-5", "", "0.55", "0.5"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "batch", "0.055", "0.05"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "batch", "0.165", "0.15"),
    ] {
        let found = [None, Some("au"), Some("ap-southeast-2"), Some("us"), Some("global")]
            .map(|region| call(model, tier, region));
        assert_eq!(found, [regional, regional, regional, regional, global], "{model}");
    }
}

#[test]
fn a_fine_tuned_model_costs_what_its_base_does_when_tuned_and_nothing_is_guessed() {
    use Count::{Input, Output};
    let counts = &[(Input, 1_000_000), (Output, 1_000_000)];
    for (model, expected) in [
        ("ft:gpt-4o-mini-2024-07-18:acme::abc123", "1.5"),
        ("ft:gpt-4o-mini-2024-07-18:Acme GmbH:support-bot:AbC123:ckpt-step-80", "1.5"),
        ("openai/ft:gpt-4o-2024-08-06:acme::7", "18.75"),
        ("ft:gpt-4.1-2025-04-14:acme::7", "15"),
        ("ft:gpt-3.5-turbo-0125:personal::7", "9"),
    ] {
        assert_eq!(
            ask(("openai", model), ("", None), counts, &[]),
            (expected.to_owned(), CostQuality::Exact),
            "{model}"
        );
    }
    // Names of tuned models that no list has a price for: a base's price would be too low.
    let book = PriceBook::builtin().unwrap();
    for (provider, model) in [
        ("azure", "gpt-4o-mini-2024-07-18.ft-0e208cf33a6a466994aff31a08aba678"),
        ("mistral", "ft:open-mistral-7b:587a6b29:20240514:7e773925"),
        ("google", "tunedModels/support-bot-abc123"),
        ("openai", "ft:gpt-9-2026-01-01:acme::7"),
    ] {
        let question = Question { provider: Some(provider), model: Some(model), ..Question::default() };
        assert!(matches!(book.resolve(&question), Err(Unpriced::UnknownModel { .. })), "{provider}/{model}");
    }
}

#[test]
fn a_search_costs_what_its_size_does_and_an_untold_size_is_said() {
    use Count::{Input, Output, WebSearches};
    let book = PriceBook::builtin().unwrap();
    let ask = |model: &str, values: &[(Count, i64)], quantities: &[(&'static str, i64)]| {
        let plan = book
            .resolve(&Question { provider: Some("perplexity"), model: Some(model), ..Question::default() })
            .unwrap();
        let quantities: Vec<_> = quantities.iter().map(|(name, amount)| ((*name).into(), (*amount).into())).collect();
        let usage = Usage { counts: &counts(values), quantities: &quantities, committed: false, cache_hit: false };
        let priced = plan.price(NOON, &usage).unwrap();
        (priced.cost.to_string(), priced.quality, priced.notes.contains(Note::SearchSizeAssumed))
    };
    let tokens = [(Input, 1000), (Output, 100)];
    let told = |cost: &str| (cost.to_owned(), CostQuality::Exact, false);
    assert_eq!(ask("sonar", &tokens, &[("web_search_low", 1)]), told("0.0061"));
    assert_eq!(ask("sonar", &[(Input, 1000), (Output, 100), (WebSearches, 1)], &[]), told("0.0091"));
    assert_eq!(ask("sonar", &tokens, &[("web_search_high", 1)]), told("0.0131"));
    // 1000 × 1 and 100 × 1 USD per million, and the published price of a request: that of the largest size.
    assert_eq!(ask("sonar", &tokens, &[]), ("0.0131".to_owned(), CostQuality::UpperBound, true));
    // Here it is that of no size.
    assert_eq!(ask("sonar-reasoning", &tokens, &[]), ("0.0135".to_owned(), CostQuality::Estimated, true));
    assert_eq!(ask("sonar", &[], &[]), told("0"));
}

#[test]
fn a_picture_in_a_batch_costs_the_batch_price() {
    use Count::{ImageInput, Input, Output};
    let (gpt, flash) = (("openai", "gpt-image-1"), ("google", "gemini-2.5-flash-image"));
    let counts = [(Input, 250), (ImageInput, 200), (Output, 1000)];
    let exact = |cost: &str| (cost.to_owned(), CostQuality::Exact);
    let batch = ("batch", None);
    // 50 of text at 2.5, 200 of pictures at 5, 1000 out at 20: with and without saying that those are pictures.
    assert_eq!(ask(gpt, batch, &counts, &[]), exact("0.021125"));
    assert_eq!(ask(gpt, batch, &counts, &[("image_out", 1000)]), exact("0.021125"));
    assert_eq!(ask(flash, batch, &[(Output, 1290)], &[("image_out", 1290)]), exact("0.01935"));
    assert_eq!(ask(flash, ("", None), &[(Output, 1290)], &[("image_out", 1290)]), exact("0.0387"));
    let preview = ("google", "gemini-2.5-flash-image-preview");
    assert_eq!(ask(preview, ("", None), &[(Output, 1290)], &[("image_out", 1290)]), exact("0.0387"));
    assert_eq!(ask(preview, ("", None), &[(Output, 1000)], &[]), exact("0.0025"), "its text is not pictures");
    // Thinking costs what output does, in every tier.
    let thought = [(Output, 1000), (Count::Reasoning, 900)];
    assert_eq!(ask(("google", "gemini-2.5-flash"), ("flex", None), &thought, &[]), exact("0.00125"));
}

#[test]
fn pictures_cost_what_text_does_where_the_provider_says_so_and_sound_needs_a_price() {
    use Count::{AudioInput, ImageInput, Input};
    let exact = |cost: &str| (cost.to_owned(), CostQuality::Exact);
    for (provider, model, count, expected) in [
        ("google", "gemini-2.5-flash", ImageInput, "0.0003"),
        ("google", "gemini-2.5-flash", AudioInput, "0.001"),
        ("google", "gemini-2.5-pro", AudioInput, "0.00125"),
        ("google", "gemini-2.0-flash-lite", AudioInput, "0.000075"),
        ("google", "gemini-3.8-flash", AudioInput, "no_price_for_meter:audio_in"),
        ("google", "gemini-live-2.5-flash", ImageInput, "0.003"),
        ("google", "gemini-2.5-flash-native-audio-latest", ImageInput, "no_price_for_meter:image_in"),
        ("google", "gemini-live-2.5-flash-preview-native-audio", ImageInput, "no_price_for_meter:image_in"),
        ("aws_bedrock", "cohere.embed-v4:0", ImageInput, "no_price_for_meter:image_in"),
        ("openai", "gpt-5-image", ImageInput, "no_price_for_meter:image_in"),
        ("openai", "gpt-4o", ImageInput, "0.0025"),
        ("azure", "gpt-4o", ImageInput, "0.0025"),
        ("openai", "gpt-4o", AudioInput, "no_price_for_meter:audio_in"),
        ("groq", "llama-3.1-8b-instant", ImageInput, "no_price_for_meter:image_in"),
    ] {
        let (found, quality) = ask((provider, model), ("", None), &[(Input, 1000), (count, 1000)], &[]);
        let quality = if provider == "azure" { CostQuality::Exact } else { quality };
        assert_eq!((found, quality), exact(expected), "{provider}/{model} {count:?}");
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
    let gaps: Vec<_> = gaps.collect();
    assert_eq!(gaps.len(), 65, "{gaps:#?}");
    // Two default regions whose price before a cut in July 2026 had no step, while the global one had.
    let uneven =
        check(book.rows()).into_iter().filter(|finding| finding.text.ends_with("make sure that there is none"));
    assert_eq!(uneven.count(), 2);
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

#[test]
fn an_answer_with_thinking_has_its_own_price_and_says_so() {
    use Count::{Input, Output, Reasoning};
    let book = PriceBook::builtin().unwrap();
    let question = Question { provider: Some("dashscope"), model: Some("qwen-plus"), ..Question::default() };
    let plan = book.resolve(&question).unwrap();
    for (reasoning, cost, thought) in [(0, "0.0016", false), (800, "0.0044", true)] {
        let counts = counts(&[(Input, 1000), (Output, 1000), (Reasoning, reasoning)]);
        let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
        let priced = plan.price(NOON, &usage).unwrap();
        let found = (priced.cost.to_string(), priced.quality, priced.notes.contains(Note::ThinkingPrice));
        assert_eq!(found, (cost.to_owned(), CostQuality::Exact, thought));
        assert_eq!(priced.price_id.contains("tier=thinking"), thought);
    }
}

#[test]
fn the_model_that_answered_is_asked_for_second() {
    let book = PriceBook::builtin().unwrap();
    let ask = |model, model_answered| {
        let question = Question { provider: Some("azure"), model: Some(model), model_answered, ..Question::default() };
        book.resolve(&question).map(|plan| (plan.model_id, plan.notes.contains(Note::ModelOfAnswer)))
    };
    // At Azure the name that is sent is a deployment's, whatever it is called after.
    assert_eq!(ask("gpt-4o", Some("gpt-4o-mini")), Ok(("gpt-4o-mini".to_owned(), true)));
    assert_eq!(ask("gpt-4o", Some("gpt-4o")), Ok(("gpt-4o".to_owned(), false)));
    let elsewhere = Question {
        provider: Some("openai"),
        model: Some("gpt-4o"),
        model_answered: Some("gpt-4o-mini"),
        ..Question::default()
    };
    assert_eq!(book.resolve(&elsewhere).unwrap().model_id, "gpt-4o");
    assert_eq!(ask("my-deploy", Some("azure/gpt-4o")), Ok(("gpt-4o".to_owned(), true)));
    assert!(
        matches!(ask("my-deploy", Some("mine")), Err(Unpriced::UnknownModel { model, .. }) if model == "my-deploy")
    );
}

#[test]
fn the_names_of_vercels_kit_are_known() {
    let book = PriceBook::builtin().unwrap();
    for (name, id) in [
        ("openai.chat", "openai"),
        ("openai.responses", "openai"),
        ("anthropic.messages", "anthropic"),
        ("google.generative-ai", "google"),
        ("google.vertex.chat", "google_vertex"),
        ("amazon-bedrock", "aws_bedrock"),
        ("azure.chat", "azure"),
        ("azure-openai.responses", "azure"),
    ] {
        assert_eq!(book.provider_id(name), Some(id), "{name}");
    }
}

/// A budget on a name is about what a call under that name is priced as.
#[test]
fn a_models_name_at_a_provider_is_what_its_calls_are_priced_as() {
    let book = PriceBook::builtin().unwrap();
    let names = [
        ("anthropic", "claude-haiku-4-5-20251001"),
        ("anthropic", "Claude-Sonnet-4-5-20250929"),
        ("openai", "gpt-5-2025-08-07"),
        ("aws", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("google", "models/gemini-2.5-pro"),
    ];
    let rows = book.rows().iter().map(|row| (&*row.provider, &*row.model));
    for (provider, model) in names.into_iter().chain(rows) {
        let question = Question { provider: Some(provider), model: Some(model), ..Question::default() };
        let priced = book.resolve(&question).map(|plan| plan.model_id);
        assert_eq!(book.model_id(Some(provider), model), priced.as_deref().ok(), "{provider} {model}");
    }
    assert_eq!(book.model_id(None, "claude-haiku-4-5-20251001"), Some("claude-haiku-4-5"));
    assert_eq!(book.model_id(None, "openai/gpt-4o"), Some("gpt-4o"));
    assert_eq!(book.model_id(None, "nobody-s"), None);
}
