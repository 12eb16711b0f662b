//! Imports as an operator does them: a list's text and a book in, the difference and the new file out.

use spendstream_schemas::price_book::{PriceBook, PriceRow, parse_instant};

use super::super::list::tests::book;
use super::{From, read, replace};

const LITELLM: &str = r#"{
  "sample_spec": {"litellm_provider": "one of", "input_cost_per_token": 0.0},
  "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
    "cache_read_input_token_cost": 1.25e-07, "input_cost_per_token_above_200k_tokens": 2.5e-06,
    "input_cost_per_token_batches": 6.25e-07, "output_cost_per_token_above_200k_tokens_priority": 3e-05,
    "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.01,
      "search_context_size_high": 0.02}, "max_tokens": 5, "vector_store_cost_per_gb_per_day": 0.1,
    "source": "https://example.org/prices"},
  "openai/gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 9e-06},
  "bedrock/us-east-1/1-month-commitment/cohere.command": {"litellm_provider": "bedrock", "input_cost_per_second": 0.01},
  "eu.anthropic.claude-z-4-20250101-v1:0": {"litellm_provider": "bedrock_converse",
    "input_cost_per_token": 3.3000000000000003e-06, "cache_creation_input_token_cost": 4e-06,
    "cache_creation_input_token_cost_above_1hr": 6e-06, "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 12e-06},
  "dashscope/qwen-t": {"litellm_provider": "dashscope", "tiered_pricing": [
    {"input_cost_per_token": 5e-08, "range": [0, 256000.0]}, {"input_cost_per_token": 2.5e-07, "range": [256000.0, 1e6]}]},
  "acme/hear": {"litellm_provider": "acme", "input_cost_per_second": 0.0001}
}"#;

const GENAI: &str = r#"[{"id": "deepseek", "pricing_urls": ["https://example.org"], "models": [
  {"id": "d-1", "prices": [
    {"prices": {"input_mtok": 0.3, "output_mtok": {"base": 1, "tiers": [{"start": 200000, "price": 2}]}}},
    {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 0.5, "web_searches_kcount": 10}},
    {"constraint": {"start_time": "01:00:00Z", "end_time": "04:00:00Z"}, "prices": {"input_mtok": 0.6}},
    {"constraint": {"start_time": "06:00:00Z", "end_time": "10:00:00Z"}, "prices": {"input_mtok": 0.6}}],
   "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 0.15}},
     {"when": {"route": "eu"}, "prices": {"input_mtok": 1}}]},
  {"id": "d-2", "prices": {"input_mtok": 0.18000000000000002, "audio_hours": 0.36, "input_tool_mtok": 1}}]}]"#;

fn text(row: &PriceRow) -> String {
    let mut fields = row.fields();
    // Source and link are looked at apart.
    fields[12].clear();
    fields[13].clear();
    fields.join(",").trim_end_matches(',').to_owned()
}

fn check(from: From, list: &str, expected: &[&str], remarks: &[&str]) {
    let book = book("openai,known,input,1,1,USD,,,,,,,,", "");
    let offer = read(from, list, &book, parse_instant("2026-11-22").unwrap()).unwrap();
    assert_eq!(offer.rows.iter().map(text).collect::<Vec<_>>(), expected);
    assert_eq!((offer.remarks, offer.refused), (remarks.iter().map(|text| (*text).to_owned()).collect(), Vec::new()));
    assert!(offer.rows.iter().all(|row| *row.source == format!("{} 2026-11-22", from.name())));
}

#[test]
fn litellm_fields_become_meters_tiers_and_regions() {
    check(
        From::Litellm,
        LITELLM,
        &[
            "acme,hear,input_second,0.0001,1,USD",
            "alibaba,qwen-t,input,0.05,1000000,USD",
            "alibaba,qwen-t,input,0.25,1000000,USD,,,256000",
            "aws_bedrock,anthropic.claude-z-4-20250101,cache_write,4,1000000,USD,,,,,eu",
            "aws_bedrock,anthropic.claude-z-4-20250101,cache_write_1h,6,1000000,USD,,,,,eu",
            "aws_bedrock,anthropic.claude-z-4-20250101,cache_write_1h,12,1000000,USD,,,200000,,eu",
            "aws_bedrock,anthropic.claude-z-4-20250101,input,3.3,1000000,USD,,,,,eu",
            "openai,gpt-x,cache_read,0.125,1000000,USD",
            "openai,gpt-x,input,1.25,1000000,USD",
            "openai,gpt-x,input,2.5,1000000,USD,,,200000",
            "openai,gpt-x,input,0.625,1000000,USD,,,,batch",
            "openai,gpt-x,output,10,1000000,USD",
            "openai,gpt-x,output,30,1000000,USD,,,200000,priority",
            "openai,gpt-x,web_search,0.01,1,USD",
            "openai,gpt-x,web_search_high,0.02,1,USD",
        ],
        &[
            "figures with the noise of a binary float, repaired: 1",
            "reserved capacity by the hour, which prices no call, left out: 1",
            "fields without a meter in the book, left out: vector_store_cost_per_gb_per_day",
            "prices of other spellings of the same models, left out: 1",
        ],
    );
}

#[test]
fn genai_prices_become_dates_schedules_and_tiers() {
    check(
        From::GenaiPrices,
        GENAI,
        &[
            "deepseek,d-1,input,0.3,1000000,USD,,2026-03-13",
            "deepseek,d-1,output,1,1000000,USD,,2026-03-13",
            "deepseek,d-1,output,2,1000000,USD,,2026-03-13,200000",
            "deepseek,d-1,input,0.5,1000000,USD,2026-03-13",
            "deepseek,d-1,web_search,10,1000,USD,2026-03-13",
            "deepseek,d-1,input,0.6,1000000,USD,,,,,,01:00-04:00 06:00-10:00",
            "deepseek,d-1,input,0.15,1000000,USD,,,,batch",
            "deepseek,d-2,audio_second,0.36,3600,USD",
            "deepseek,d-2,input,0.18,1000000,USD",
        ],
        &[
            "figures with the noise of a binary float, repaired: 1",
            "what has no meter or tier in the book, left out: input_tool_mtok, variant {\"route\": \"eu\"}",
        ],
    );
}

#[test]
fn a_large_prompt_is_not_free_where_a_small_one_costs() {
    check(
        From::Litellm,
        r#"{"gem-x": {"litellm_provider": "gemini", "input_cost_per_token": 3e-07},
            "gemini/gem-x": {"litellm_provider": "gemini", "input_cost_per_token": 0, "input_cost_per_token_above_128k_tokens": 0},
            "gemini/gem-y": {"litellm_provider": "gemini", "input_cost_per_token": 0, "input_cost_per_token_above_128k_tokens": 0},
            "known": {"litellm_provider": "openai", "input_cost_per_token_above_128k_tokens": 0, "output_cost_per_token": 1e-06}}"#,
        &[
            "google,gem-x,input,0.3,1000000,USD",
            "google,gem-y,input,0,1000000,USD",
            "google,gem-y,input,0,1000000,USD,,,128000",
            "openai,known,output,1,1000000,USD",
        ],
        &[
            "prices of other spellings of the same models, left out: 1",
            "prices of zero for large prompts where small ones cost more, left out: 2",
            "prices of zero (free, or unknown to the list; look before applying): 2",
        ],
    );
}

#[test]
fn our_own_format_keeps_its_source() {
    let list = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,\
                schedule,source,source_ref\nacme,m,input,2,1000,EUR,2026-12-01,,,,,,contract 7,\n";
    let book = book("openai,known,input,1,1,USD,,,,,,,,", "");
    let offer = read(From::Spendstream, list, &book, 0).unwrap();
    assert_eq!((offer.rows.len(), &*offer.rows[0].source), (1, "contract 7"));
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_taken() {
    let book = book("openai,known,input,1,1,USD,,,,,,,,", "");
    for (from, list, expected) in [
        (
            From::Litellm,
            r#"{"bad": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": -1},
                "good": {"litellm_provider": "openai", "input_cost_per_token": 1e-6}}"#,
            "model 'bad': field 'output_cost_per_token': price -1 is negative",
        ),
        (
            From::GenaiPrices,
            r#"[{"id": "openai", "models": [{"id": "bad", "prices": {"input_mtok": "x"}}, {"id": "good", "prices": {"input_mtok": 1}}]}]"#,
            "model 'bad' of 'openai': input_mtok: price x is not a decimal of at most 28 digits",
        ),
        (
            From::Spendstream,
            "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,schedule,\
             source,source_ref\nopenai,bad,tokens,1,1000000,USD,,,,,,,,\nopenai,good,input,1,1000000,USD,,,,,,,,\n",
            "prices.csv:2: meter 'tokens' is not in the vocabulary",
        ),
    ] {
        let offer = read(from, list, &book, 0).unwrap();
        assert_eq!(offer.rows.iter().map(text).collect::<Vec<_>>(), ["openai,good,input,1,1000000,USD"]);
        assert_eq!(offer.refused, [expected]);
    }
}

#[test]
fn two_prices_at_one_time_are_both_left_out() {
    const HEADER: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,\
                          schedule,source,source_ref\n";
    let book = book("openai,known,input,1,1,USD,,,,,,,,", "");
    for (lines, taken, refused) in [
        (
            "openai,a,input,1,1,USD,,,,,,,,\nopenai,b,input,1,1,USD,,,,,,,,\nopenai,a,input,2,1,USD,,,,,,,,\n",
            1,
            [2, 4].as_slice(),
        ),
        ("openai,a,input,1,1,USD,2026-12-01,,,,,,,\nopenai,a,input,2,1,USD,2026-12-15,,,,,,,\n", 0, &[2, 3]),
        ("openai,a,input,1,1,USD,2026-12-01,2026-12-15,,,,,,\nopenai,a,input,2,1,USD,2026-12-15,,,,,,,\n", 2, &[]),
    ] {
        let list = format!("{HEADER}openai,other,input,1,1,USD,,,,,,,,\n{lines}");
        let offer = read(From::Spendstream, &list, &book, 0).unwrap();
        let expected: Vec<_> = refused.iter().map(|line| format!("prices.csv:{}: line ", line + 1)).collect();
        assert_eq!(offer.rows.len(), taken + 1, "{lines}");
        assert_eq!(offer.refused.len(), expected.len(), "{:?}", offer.refused);
        for (line, expected) in offer.refused.iter().zip(&expected) {
            assert!(line.starts_with(expected.as_str()), "{line}");
        }
    }
}

#[test]
fn a_list_with_its_units_is_read_like_one_without() {
    let book = book("openai,known,input,1,1,USD,,,,,,,,", "");
    let with_units = format!(r#"{{"units": {{"input_tokens": {{"per": 1000000}}}}, "providers": {GENAI}}}"#);
    let [plain, units] = [GENAI, &with_units].map(|list| read(From::GenaiPrices, list, &book, 0).unwrap().rows);
    assert_eq!((plain.len(), &plain), (9, &units));
}

#[test]
fn a_list_does_not_undo_the_rules_of_the_book() {
    let book = PriceBook::builtin().unwrap();
    let date = parse_instant("2026-12-01").unwrap();
    let list = r#"[{"id": "x-ai", "models": [{"id": "grok-3", "prices": {"input_mtok": 3}}, {"id": "grok-4.3", "prices": {"input_mtok": 1.5}},
        {"id": "grok-code-fast-1", "prices": {"input_mtok": 0.2}},
        {"id": "grok-4-0709", "prices": [{"prices": {"input_mtok": 3}}, {"constraint": {"start_date": "2026-11-30"}, "prices": {"input_mtok": 4}}]}]},
        {"id": "perplexity", "models": [{"id": "perplexity/sonar", "prices": {"input_mtok": 0.25}}, {"id": "sonar", "prices": {"input_mtok": 1}}]}]"#;
    let offer = read(From::GenaiPrices, list, &book, date).unwrap();
    let rows: Vec<_> = offer.rows.iter().map(|row| format!("{} {} {}", row.model, row.price, row.source)).collect();
    for expected in ["grok-3 1.5 rule: served by grok-4.3", "perplexity/sonar 0.25 genai-prices 2026-12-01"] {
        assert!(rows.iter().any(|row| row == expected), "{expected} in {rows:?}");
    }
    assert!(!rows.iter().any(|row| row.starts_with("grok-3 3") || row.starts_with("grok-code-fast-1")), "{rows:?}");
    assert!(
        rows.iter().any(|row| row == "grok-4-0709 4 genai-prices 2026-12-01"),
        "dated after the retirement: {rows:?}"
    );
}

#[test]
fn a_list_that_cannot_be_read_says_where() {
    let book = PriceBook::builtin().unwrap();
    for (from, list, expected) in [
        (From::Litellm, "[]", "not a JSON object of models"),
        (From::Litellm, "{}", "no price found; is it a litellm file?"),
        (
            From::Litellm,
            r#"{"m": {"litellm_provider": "openai", "input_cost_per_token": -1e-6}}"#,
            "no price in it can be read: model 'm': field 'input_cost_per_token': price -1e-6 is negative",
        ),
        (From::GenaiPrices, "{}", "not a JSON list of providers"),
        (
            From::GenaiPrices,
            r#"[{"id": "p", "models": [{"id": "m", "prices": {"input_mtok": "x"}}]}]"#,
            "no price in it can be read: model 'm' of 'p': input_mtok: price x is not a decimal of at most 28 digits",
        ),
        (From::Spendstream, "a,b\n", "no price in it can be read: prices.csv:1: the columns must be provider"),
    ] {
        let message = crate::cli::one_line(&read(from, list, &book, 0).unwrap_err());
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_file_is_replaced_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.csv");
    std::fs::write(&path, "old").unwrap();
    replace(&path, b"new").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
