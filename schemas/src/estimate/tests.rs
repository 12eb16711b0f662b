//! Estimates are the ledger's arithmetic; token counts say what they rest on.

use super::{Basis, EstimateRequest, OutputBasis, TASK_TYPES, estimate, tokens_of_text};
use crate::price_book::PriceBook;

const NOW: i64 = 1_795_000_000_000_000;

fn check(request: &str, expected: Result<(&str, i64, i64, Basis, OutputBasis), &str>) {
    let book = PriceBook::builtin().unwrap();
    let request: EstimateRequest = serde_json::from_str(request).unwrap();
    match (estimate(&book, &request, NOW), expected) {
        (Ok(found), Ok((cost, input, output, basis, output_basis))) => {
            assert_eq!(found.estimated_cost, cost, "{found:?}");
            assert_eq!((found.input_tokens, found.output_tokens), (input, output));
            assert_eq!((found.basis, found.output_basis), (basis, output_basis));
        }
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    }
}

#[test]
fn tokens_are_priced_as_the_ledger_prices_them() {
    let ok = |cost, input, output, basis| Ok((cost, input, output, Basis::Given, basis));
    let call = |rest: &str| format!(r#"{{"provider": "openai", "model": "gpt-4o", "input_tokens": 1000{rest}}}"#);
    check(&call(r#", "output_tokens": 100"#), ok("0.0035", 1000, 100, OutputBasis::Given));
    check(&call(r#", "max_output_tokens": 100"#), ok("0.0035", 1000, 100, OutputBasis::MaxOutputTokens));
    check(&call(r#", "output_tokens": 0, "cache_read_tokens": 400"#), ok("0.002", 1000, 0, OutputBasis::Given));
    check(&call(r#", "task_type": "classification""#), ok("0.003", 1000, 50, OutputBasis::TaskType));
    check(&call(r#", "task_type": "summarisation""#), ok("0.0075", 1000, 500, OutputBasis::TaskType));
    for task in TASK_TYPES {
        let call: EstimateRequest = serde_json::from_str(&call(&format!(r#", "task_type": "{task}""#))).unwrap();
        let book = PriceBook::builtin().unwrap();
        assert_eq!(estimate(&book, &call, NOW).unwrap().output_basis, OutputBasis::TaskType, "{task}");
    }
    check(&call(""), ok("0.0175", 1000, 1500, OutputBasis::Ratio));
    let unknown = "service tier 'batc' is not in the price book; it has balanced, batch, ";
    check(&call(r#", "output_tokens": 100, "service_tier": "batc""#), Err(unknown));
    check(&call(r#", "output_tokens": 100, "service_tier": "Batch""#), ok("0.00175", 1000, 100, OutputBasis::Given));
    let without_provider = r#"{"model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}"#;
    check(without_provider, ok("0.0035", 1000, 100, OutputBasis::Given));
}

#[test]
fn what_cannot_be_priced_is_an_error() {
    check(r#"{"model": "gpt-4o"}"#, Err("give 'input_tokens' or 'text'"));
    check(r#"{"model": "no-such", "input_tokens": 1}"#, Err("nobody in the price book sells 'no-such'"));
    check(r#"{"input_tokens": 1}"#, Err("'model' is missing"));
    check(r#"{"provider": "openai", "model": "gpt-4o", "input_tokens": -1}"#, Err("'input_tokens' is negative"));
    check(
        r#"{"provider": "openai", "model": "gpt-4o", "input_tokens": 1, "cache_read_tokens": 2}"#,
        Err("the cached tokens (2) are more than all input tokens (1)"),
    );
    check(
        r#"{"provider": "openai", "model": "gpt-4o", "input_tokens": 1, "task_type": "nonsense"}"#,
        Err("task_type 'nonsense' is not known; it is one of classification, summarisation, question_answering, or"),
    );
    check(r#"{"provider": "openai", "model": "no-such", "input_tokens": 1}"#, Err("no price: model 'no-such'"));
}

#[test]
fn texts_are_counted_by_a_real_tokenizer() {
    for (model, text, tokens, basis) in [
        // Published examples of the tokenizers.
        ("gpt-4o", "tiktoken is great!", 6, Basis::Tokenizer),
        ("openai/gpt-4o-mini", "tiktoken is great!", 6, Basis::Tokenizer),
        ("gpt-4-0613", "antidisestablishmentarianism", 6, Basis::Tokenizer),
        ("claude-sonnet-4-5", "tiktoken is great!", 6, Basis::TokenizerApproximation),
        ("gpt-4o", "", 0, Basis::Tokenizer),
    ] {
        let count = tokens_of_text(model, text);
        assert_eq!((count.tokens, count.basis), (tokens, basis), "{model}: {text}");
    }
}

#[test]
fn odd_texts_fall_back_to_characters_and_say_so() {
    for text in ["a".repeat(1_000_000), " ".repeat(1_000_000), "word ".repeat(400_000)] {
        let count = tokens_of_text("gpt-4o", &text);
        assert_eq!(count.basis, Basis::Characters);
        assert_eq!(count.tokens, i64::try_from(text.len().div_ceil(4)).unwrap());
    }
}
