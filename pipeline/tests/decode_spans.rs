//! OTLP spans: names old and new, which span of a call is charged, what a rejected one keeps.
#![expect(clippy::cloned_ref_to_slice_refs, reason = "the messages of a case read alike")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use spendstream_pipeline::batch::RawMessage;
use spendstream_pipeline::columns::events::{EventColumns, Staged};
use spendstream_pipeline::decode::reject::Reject;
use spendstream_pipeline::decode::{Decoder, Ignored, Sink};
use spendstream_pipeline::dedupe::fingerprint::{Fingerprint, span_key};
use spendstream_pipeline::dedupe::horizon::{Horizon, Verdict};
use spendstream_pipeline::dedupe::rebuild;
use spendstream_pipeline::price::engine::{Engine, Lineage};
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::count::Count;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::usage_event::UsageRow;
use support::{NOW_MS, check, cost, decode};

fn span(id: &str, parent: &str, attributes: &str) -> String {
    let attributes: Vec<String> = attributes
        .split_whitespace()
        .map(|pair| {
            let (key, value) = pair.split_once('=').expect("key=value");
            let value = if value.parse::<i64>().is_ok() {
                format!(r#"{{"intValue":"{value}"}}"#)
            } else {
                format!(r#"{{"stringValue":"{value}"}}"#)
            };
            format!(r#"{{"key":"{key}","value":{value}}}"#)
        })
        .collect();
    format!(
        r#"{{"traceId":"0000000000000000000000000000000a","spanId":"{id}","parentSpanId":"{parent}","startTimeUnixNano":"1795366800000000000","endTimeUnixNano":"1795366801500000000","attributes":[{}]}}"#,
        attributes.join(",")
    )
}

fn message(spans: &[String]) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[]}},"scopeSpans":[{{"scope":{{"name":"x"}},"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    )
}

fn spans(spans: &[String]) -> support::Decoded {
    decode(message(spans))
}

/// Decodes and judges message by message, as a worker does.
struct Ledger {
    horizon: Horizon,
    engine: Engine,
    columns: EventColumns,
    offset: i64,
    charged: Vec<String>,
    rejected: usize,
}

impl Sink for Ledger {
    fn row(&mut self, index: u32, row: &UsageRow<'_>) {
        let staged = Staged::stage(row, &mut self.engine.interner).unwrap();
        if self.horizon.judge(self.offset, &Fingerprint::live(row, &staged)) == Verdict::New {
            self.columns.push(self.offset, index, row, &staged, &mut self.engine.interner);
            let id = row.texts.get(Text::SpanId).unwrap().trim_start_matches('0');
            self.charged.push(format!("{id}:{}/{}", row.counts.get(Count::Input), row.counts.get(Count::Output)));
        }
    }
    fn reject(&mut self, _index: u32, _reject: Reject) {
        self.rejected += 1;
    }
    fn ignore(&mut self, _index: u32, _why: Ignored) {}
    fn link(&mut self, trace_id: &str, span_id: &str, parent_id: &str) {
        self.horizon.link(self.offset, span_key(trace_id, span_id), span_key(trace_id, parent_id));
    }
}

impl Ledger {
    fn new() -> Self {
        let engine = Engine::new(PriceBook::builtin().unwrap(), 10_000, 1 << 20);
        let (horizon, columns) = (Horizon::new(100, 1_000), EventColumns::with_capacity(64));
        Self { horizon, engine, columns, offset: 0, charged: Vec::new(), rejected: 0 }
    }

    fn take(&mut self, spans: &[String]) {
        let payload = message(spans);
        let message = RawMessage { payload: payload.as_bytes(), key: None, headers: None, timestamp_ms: Some(NOW_MS) };
        Decoder::new(&DecodeConfig::default()).decode(&message, self);
        self.offset += 1;
    }

    /// What was charged until now, as it is read back from the lake.
    fn written(&mut self) -> Vec<(i64, i32, Fingerprint)> {
        let source = SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 0 };
        let columns = std::mem::replace(&mut self.columns, EventColumns::with_capacity(64));
        let (batches, _) = self.engine.price(columns, Lineage { source: &source, ingest_micros: 0 }).unwrap();
        batches.iter().flat_map(|(_, batch)| rebuild::fingerprints(batch).unwrap()).collect()
    }
}

/// What is charged when each of `messages` holds some of the spans, without and with a restart after each.
#[track_caller]
fn in_messages(messages: &[&[String]], expected: &[&str]) {
    for restarts in [false, true] {
        let (mut ledger, mut lake) = (Ledger::new(), Vec::new());
        for spans in messages {
            ledger.take(spans);
            if restarts {
                lake.extend(ledger.written());
                lake.sort_by_key(|(offset, index, _)| (*offset, *index));
                ledger.horizon = Horizon::new(100, 1_000);
                for (offset, _, fingerprint) in &lake {
                    ledger.horizon.remember(*offset, fingerprint);
                }
            }
        }
        assert_eq!(ledger.charged, expected, "restarts: {restarts}");
        assert_eq!(ledger.rejected, 0);
    }
}

/// What is charged when one message holds all of the spans, whatever their order.
#[track_caller]
fn in_one_message(spans: &[String], expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    for turn in 0..spans.len() {
        let mut spans = spans.to_vec();
        spans.rotate_left(turn);
        for _ in 0..2 {
            spans.reverse();
            let mut ledger = Ledger::new();
            ledger.take(&spans);
            ledger.charged.sort_unstable();
            assert_eq!((ledger.charged.as_slice(), ledger.rejected), (expected.as_slice(), 0));
        }
    }
}

fn id(number: u8) -> String {
    if number == 0 { String::new() } else { format!("{number:016x}") }
}

/// A chat span of gpt-4o with more attributes; 0 is no parent.
fn chat(number: u8, parent: u8, more: &str) -> String {
    let more = format!("gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o {more}");
    span(&id(number), &id(parent), &more)
}

fn counted(number: u8, parent: u8, input: i64, output: i64) -> String {
    chat(number, parent, &format!("gen_ai.usage.input_tokens={input} gen_ai.usage.output_tokens={output}"))
}

fn embedding(number: u8, parent: u8) -> String {
    let attributes = "gen_ai.operation.name=embeddings gen_ai.provider.name=openai gen_ai.request.model=text-embedding-3-small gen_ai.usage.input_tokens=10";
    span(&id(number), &id(parent), attributes)
}

#[test]
fn spans_by_old_and_other_names() {
    let one = |attributes: &str| spans(&[span("000000000000000b", "", attributes)]).row().clone();
    check(
        &one(
            "gen_ai.system=anthropic llm.request.type=chat gen_ai.request.model=claude-x gen_ai.usage.prompt_tokens=10 gen_ai.usage.completion_tokens=3 gen_ai.usage.cache_read_input_tokens=400",
        ),
        "input_tokens=410 uncached_input_tokens=10 cache_read_tokens=400 output_tokens=3 notes=input_convention_corrected operation=chat",
    );
    check(
        &one(
            "openinference.span.kind=LLM llm.provider=openai llm.model_name=gpt-4o llm.token_count.prompt=10 llm.token_count.completion=5 llm.token_count.total=15 llm.token_count.prompt_details.cache_read=4 session.id=s1",
        ),
        "input_tokens=10 cache_read_tokens=4 output_tokens=5 session_id=s1 trace_id=0000000000000000000000000000000a",
    );
    check(
        &one(
            "gen_ai.operation.name=chat gen_ai.provider.name=openai server.address=my.openai.azure.com gen_ai.response.model=gpt-4o gen_ai.usage.input_tokens=1 openai.response.service_tier=scale",
        ),
        "provider_sent=azure committed=true",
    );
    let row = one(
        "gen_ai.operation.name=embeddings gen_ai.provider.name=aws.bedrock server.address=bedrock-runtime.eu-west-1.amazonaws.com gen_ai.request.model=titan gen_ai.usage.input_tokens=1 error.type=timeout",
    );
    check(&row, "region=eu-west-1 operation=embeddings status=error error_type=timeout");
    assert_eq!(row.latency_ms, Some(1500));
}

#[track_caller]
fn one(attributes: &str) -> support::Row {
    spans(&[span("000000000000000b", "", attributes)]).row().clone()
}

/// A step of Vercel's AI SDK that asks a model.
fn vercel(provider: &str, model: &str, more: &str) -> support::Row {
    one(&format!(
        "ai.operationId=ai.streamText.doStream gen_ai.system={provider} gen_ai.request.model={model} ai.model.id={model} {more}"
    ))
}

#[test]
fn kits_tell_the_cache_under_names_of_their_own() {
    let totals = "ai.usage.inputTokens=1000 ai.usage.outputTokens=100 gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=100";
    let openai = vercel(
        "openai.responses",
        "gpt-5",
        &format!("{totals} ai.usage.totalTokens=1100 ai.usage.cachedInputTokens=400 ai.usage.reasoningTokens=60"),
    );
    check(
        &openai,
        "input_tokens=1000 cache_read_tokens=400 output_tokens=100 reasoning_tokens=60 notes= quality=exact",
    );
    // 600 × 1.25 + 400 × 0.125 + 100 × 10 per million.
    assert_eq!(cost(&openai).as_deref(), Ok("0.0018"));
    let details = "ai.usage.cachedInputTokens=400 ai.usage.inputTokenDetails.noCacheTokens=400 \
        ai.usage.inputTokenDetails.cacheReadTokens=400 ai.usage.inputTokenDetails.cacheWriteTokens=200";
    let claude = vercel("anthropic.messages", "claude-sonnet-4-5", &format!("{totals} {details}"));
    check(
        &claude,
        "input_tokens=1000 uncached_input_tokens=400 cache_read_tokens=400 cache_write_tokens=200 notes=cache_ttl_assumed",
    );
    // 400 × 3 + 400 × 0.3 + 200 × 3.75 + 100 × 15 per million.
    assert_eq!(cost(&claude).as_deref(), Ok("0.00357"));
    let captured = "gen_ai.usage.input_tokens=650361 gen_ai.usage.output_tokens=369 ai.usage.inputTokens=650361 ai.usage.outputTokens=369 \
        ai.usage.totalTokens=650730 ai.usage.cachedInputTokens=649452 ai.usage.inputTokenDetails.noCacheTokens=2 \
        ai.usage.inputTokenDetails.cacheReadTokens=649452 ai.usage.inputTokenDetails.cacheWriteTokens=907";
    check(
        &vercel("anthropic.messages", "claude-sonnet-4-5", captured),
        "input_tokens=650361 uncached_input_tokens=2 cache_read_tokens=649452 cache_write_tokens=907 output_tokens=369",
    );
    // Before it told what was not cached, the kit copied Anthropic's input, which is without what was.
    check(
        &vercel("anthropic.messages", "claude-sonnet-4-5", &format!("{totals} ai.usage.cachedInputTokens=400")),
        "input_tokens=1400 uncached_input_tokens=1000 cache_read_tokens=400 notes=input_convention_corrected quality=estimated",
    );
    // Google's thoughts are beside its answer.
    check(
        &vercel(
            "google.generative-ai",
            "gemini-2.5-flash",
            &format!("{totals} ai.usage.totalTokens=1150 ai.usage.reasoningTokens=50"),
        ),
        "input_tokens=1000 output_tokens=150 reasoning_tokens=50 notes= quality=exact",
    );
}

#[test]
fn details_of_langsmith_and_pydantic_are_read() {
    let head =
        "gen_ai.operation.name=chat gen_ai.system=openai gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=100";
    for details in [
        r#"gen_ai.usage.input_token_details={\"cache_read\":400}"#,
        "gen_ai.usage.input_token_details.cache_read=400",
        "gen_ai.usage.cache_read.input_tokens=0 gen_ai.usage.details.cached_tokens=400",
    ] {
        let row = one(&format!("{head} gen_ai.request.model=gpt-4o gen_ai.usage.total_tokens=1100 {details}"));
        check(&row, "input_tokens=1000 cache_read_tokens=400 output_tokens=100 notes= quality=exact");
        // 600 × 2.5 + 400 × 1.25 + 100 × 10 per million.
        assert_eq!(cost(&row).as_deref(), Ok("0.003"), "{details}");
    }
    let pydantic = "gen_ai.usage.details.reasoning_tokens=64 gen_ai.usage.details.cached_tokens=400 gen_ai.usage.details.accepted_prediction_tokens=7";
    let row = one(&format!("{head} gen_ai.request.model=gpt-5 {pydantic}"));
    check(&row, "cache_read_tokens=400 reasoning_tokens=64 notes= quality=exact");
    assert_eq!(cost(&row).as_deref(), Ok("0.0018"));
    let anthropic = "gen_ai.operation.name=chat gen_ai.system=anthropic gen_ai.request.model=claude-sonnet-4-5 gen_ai.usage.input_tokens=1000 \
        gen_ai.usage.output_tokens=100 gen_ai.usage.details.cache_read_input_tokens=400 gen_ai.usage.details.cache_creation_input_tokens=200 \
        gen_ai.usage.details.input_tokens=400 gen_ai.usage.details.output_tokens=100";
    check(
        &one(anthropic),
        "uncached_input_tokens=400 cache_read_tokens=400 cache_write_tokens=200 notes=cache_ttl_assumed",
    );
}

#[test]
fn a_count_that_no_reader_knows_is_said() {
    let with = |more: &str| {
        one(&format!(
            "gen_ai.operation.name=chat gen_ai.system=openai gen_ai.request.model=m gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=100 {more}"
        ))
    };
    for unknown in [
        "gen_ai.usage.experimental.reasoning_tokens=50",
        "ai.usage.outputTokenDetails.thinkingTokens=50",
        "llm.usage.cache_hits=400",
        "llm.token_count.prompt_details.image=300",
        r#"gen_ai.usage.input_token_details={\"cache_of_mine\":400}"#,
        // Which of the two is true?
        "gen_ai.usage.cache_read.input_tokens=400 gen_ai.usage.details.cached_tokens=300",
    ] {
        check(&with(unknown), "input_tokens=1000 output_tokens=100 notes=tokens_unexplained quality=estimated");
    }
    for known in [
        "gen_ai.usage.cost=5 llm.usage.token_price=5 gen_ai.usage.max_tokens=50",
        "gen_ai.usage.experimental.reasoning_tokens=0",
        "gen_ai.usage.reasoning_tokens=50 gen_ai.usage.experimental.reasoning_tokens=50",
        "ai.usage.outputTokenDetails.textTokens=70 gen_ai.usage.details.text_prompt_tokens=900",
        "other.usage.cached_tokens=400",
    ] {
        check(&with(known), "input_tokens=1000 output_tokens=100 notes= quality=exact");
    }
    // What is handed on, or kept of a rejected span, tells the same.
    let decoded = spans(&[span(
        "000000000000000b",
        "",
        r#"gen_ai.operation.name=chat gen_ai.system=openai gen_ai.request.model=m gen_ai.usage.input_tokens=-1 gen_ai.usage.my_cached_tokens=400
        gen_ai.usage.my_tokens=SECRET gen_ai.usage.input_token_details={\"cache_read\":300,\"said\":\"SECRET\"}"#,
    )]);
    assert_eq!(decoded.reject().0, "negative_count");
    let kept = decoded.kept();
    assert!(!kept.contains("SECRET"), "{kept}");
    let again = decode(kept.replace("\"-1\"", "\"1000\""));
    check(again.row(), "input_tokens=1000 cache_read_tokens=300 notes=tokens_unexplained");
}

#[test]
fn operations_that_count_what_they_used_are_charged_whatever_they_are_called() {
    let counts = "gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=100";
    for operation in ["chat.completions", "call_llm"] {
        let row = one(&format!(
            "gen_ai.operation.name={operation} gen_ai.system=openai gen_ai.request.model=gpt-4o {counts}"
        ));
        check(&row, "operation=chat input_tokens=1000 output_tokens=100");
    }
    for free in [
        format!("gen_ai.operation.name=invoke_agent gen_ai.system=openai gen_ai.request.model=gpt-4o {counts}"),
        format!("gen_ai.operation.name=execute_tool gen_ai.system=openai gen_ai.request.model=gpt-4o {counts}"),
        "gen_ai.operation.name=call_llm gen_ai.system=openai gen_ai.request.model=gpt-4o".to_owned(),
        format!("gen_ai.operation.name=call_llm {counts}"),
        "ai.operationId=ai.generateText ai.model.provider=openai.chat ai.model.id=gpt-4o ai.usage.inputTokens=1000".to_owned(),
        "ai.operationId=ai.embed ai.model.provider=openai.embedding ai.model.id=text-embedding-3-small ai.usage.tokens=10".to_owned(),
        "langfuse.observation.type=generation langfuse.observation.model.name=gpt-4o".to_owned(),
        "langfuse.observation.type=span langfuse.observation.model.name=gpt-4o gen_ai.usage.input_tokens=9".to_owned(),
    ] {
        let decoded = spans(&[span("000000000000000b", "", &free)]);
        assert_eq!(decoded.ignored, [(0, Ignored::NotBillable)], "{free}");
    }
    let embedding = "ai.operationId=ai.embed.doEmbed ai.model.provider=openai.embedding ai.model.id=text-embedding-3-small ai.usage.tokens=1000";
    check(&one(embedding), "operation=embeddings provider_sent=openai.embedding input_tokens=1000 output_tokens=0");
    let outer = span(&id(1), "", &embedding.replace(".doEmbed", ""));
    in_one_message(&[outer, span(&id(2), &id(1), embedding)], &["2:1000/0"]);
}

#[test]
fn a_generation_of_langfuse_is_a_call() {
    let generation = |more: &str, usage: &str| {
        let usage = usage.replace('"', "\\\"");
        one(&format!(
            "langfuse.observation.type=generation langfuse.observation.model.name=gpt-4o {more} langfuse.observation.usage_details={usage}"
        ))
    };
    for usage in [
        r#"{"input":600,"output":100,"input_cached_tokens":400,"total":1100}"#,
        r#"{"input":1000,"output":100,"input_cached_tokens":400,"total":1100}"#,
        r#"{"input":600,"output":100,"input_cached_tokens":400}"#,
        r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":400}}"#,
    ] {
        let row = generation("", usage);
        check(
            &row,
            "provider_sent=openai operation=chat input_tokens=1000 cache_read_tokens=400 output_tokens=100 quality=exact",
        );
        assert_eq!(cost(&row).as_deref(), Ok("0.003"), "{usage}");
    }
    let reasons = generation("", r#"{"input":10,"output":40,"output_reasoning_tokens":60,"total":110}"#);
    check(&reasons, "input_tokens=10 output_tokens=100 reasoning_tokens=60");
    check(
        &generation("langfuse.observation.metadata.ls_provider=azure", r#"{"input":10,"output":4}"#),
        "provider_sent=azure",
    );
    check(&generation("", r#"{"input":10,"output":4,"mine":3}"#), "notes=tokens_unexplained quality=estimated");
}

#[test]
fn of_nested_spans_the_innermost_is_charged() {
    let chat = "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m gen_ai.usage.input_tokens=10 gen_ai.usage.output_tokens=1";
    let decoded = spans(&[
        span("0000000000000001", "", "gen_ai.operation.name=invoke_agent gen_ai.usage.input_tokens=10"),
        span("0000000000000002", "0000000000000001", chat),
        span("0000000000000003", "0000000000000002", "http.method=POST"),
        span("0000000000000004", "0000000000000003", chat),
        span("0000000000000005", "0000000000000004", "gen_ai.operation.name=chat gen_ai.request.model=m"),
    ]);
    assert_eq!(
        decoded.rows.iter().map(|row| (row.index, row.text("span_id"))).collect::<Vec<_>>(),
        [(3, "0000000000000004")]
    );
    let (free, nested, none) = (Ignored::NotBillable, Ignored::NestedSpan, Ignored::NoUsage);
    assert_eq!(decoded.ignored, [(0, free), (1, nested), (2, free), (4, none)]);
}

#[test]
fn a_span_that_is_wrong_is_rejected_with_known_attributes_only() {
    let decoded = spans(&[span(
        "0000000000000001",
        "",
        "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m gen_ai.usage.input_tokens=-1 gen_ai.input.messages=SECRET-PROMPT",
    )]);
    assert_eq!(decoded.reject(), ("negative_count", "'gen_ai.usage.input_tokens' is -1; a count is never negative"));
    assert!(!decoded.kept().contains("SECRET"));
    assert_eq!(decode(decoded.kept().replace("\"-1\"", "\"1\"")).row().text("span_id"), "0000000000000001");
}

#[test]
fn a_failed_attempt_without_counts_does_not_hide_the_span_around_it() {
    let (outer, failed) = (counted(1, 0, 1_000, 100), chat(2, 1, "error.type=timeout"));
    in_one_message(&[outer.clone(), failed.clone()], &["1:1000/100"]);
    in_messages(&[&[outer.clone()], &[failed.clone()]], &["1:1000/100"]);
    // The failed one is in the ledger when the outer one comes, and costs nothing.
    in_messages(&[&[failed], &[outer]], &["2:0/0", "1:1000/100"]);
}

#[test]
fn an_inner_span_with_fewer_counts_does_not_replace_the_outer_one() {
    let outer = counted(1, 0, 1_000, 100);
    let output = chat(2, 1, "gen_ai.usage.output_tokens=100");
    for inner in [counted(2, 1, 0, 0), output.clone()] {
        in_one_message(&[outer.clone(), inner.clone()], &["1:1000/100"]);
        in_messages(&[&[outer.clone()], &[inner]], &["1:1000/100"]);
    }
    in_messages(&[&[counted(2, 1, 0, 0)], &[outer.clone()]], &["2:0/0", "1:1000/100"]);
    // Documented: what was charged stays, so 100 output tokens are twice in the ledger.
    in_messages(&[&[output.clone()], &[outer]], &["2:0/100", "1:1000/100"]);
    // Of different kinds, neither is in the other.
    let input = chat(1, 0, "gen_ai.usage.input_tokens=1000");
    in_one_message(&[input.clone(), output.clone()], &["1:1000/0", "2:0/100"]);
    in_messages(&[&[output.clone()], &[input.clone()]], &["2:0/100", "1:1000/0"]);
    in_messages(&[&[input], &[output]], &["1:1000/0", "2:0/100"]);
}

#[test]
fn a_call_of_another_model_inside_a_call_is_charged_beside_it() {
    let (outer, inner) = (counted(1, 0, 5_000, 500), embedding(2, 1));
    in_one_message(&[outer.clone(), inner.clone()], &["1:5000/500", "2:10/0"]);
    in_messages(&[&[outer.clone()], &[inner.clone()]], &["1:5000/500", "2:10/0"]);
    in_messages(&[&[inner], &[outer]], &["2:10/0", "1:5000/500"]);
}

#[test]
fn other_names_of_one_model_are_one_call() {
    let counts = "gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=100";
    let outer = counted(1, 0, 1_000, 100);
    let dated = chat(2, 1, &format!("gen_ai.response.model=gpt-4o-2024-08-06 {counts}"));
    let deployed = chat(2, 1, &format!("gen_ai.response.model=our-deployment {counts}"));
    let more = "gen_ai.response.model=our-deployment gen_ai.response.id=r1 gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=90";
    let response = [chat(1, 0, &format!("gen_ai.response.id=r1 {counts}")), chat(2, 1, more)];
    for (outer, inner) in [(outer.clone(), dated), (outer, deployed)] {
        in_one_message(&[outer.clone(), inner.clone()], &["2:1000/100"]);
        in_messages(&[&[inner.clone()], &[outer.clone()]], &["2:1000/100"]);
        in_messages(&[&[outer], &[inner]], &["1:1000/100"]);
    }
    in_one_message(&response, &["2:1000/90"]);
    in_messages(&[&response[1..], &response[..1]], &["2:1000/90"]);
}

#[test]
fn a_span_that_sums_up_several_calls_is_not_charged_beside_them() {
    let (sum, one, two) = (counted(1, 0, 3_000, 300), counted(2, 1, 1_000, 100), counted(3, 1, 2_000, 200));
    in_one_message(&[sum.clone(), one.clone(), two.clone()], &["2:1000/100", "3:2000/200"]);
    in_messages(&[&[one.clone()], &[two.clone()], &[sum.clone()]], &["2:1000/100", "3:2000/200"]);
    in_messages(&[&[one.clone()], &[sum.clone()], &[two.clone()]], &["2:1000/100", "3:2000/200"]);
    in_messages(&[&[one.clone(), sum.clone()], &[two.clone()]], &["2:1000/100", "3:2000/200"]);
    in_messages(&[&[sum], &[one], &[two]], &["1:3000/300"]);
}

#[test]
fn spans_between_others_link_them() {
    let (outer, middle, inner) = (counted(1, 0, 10, 1), counted(2, 1, 10, 1), counted(4, 3, 10, 1));
    let free = span(&id(3), &id(2), "http.method=POST");
    in_one_message(&[outer.clone(), middle.clone(), free.clone(), inner.clone()], &["4:10/1"]);
    // Live; a restart forgets what was not charged.
    let mut ledger = Ledger::new();
    ledger.take(&[inner, free, middle]);
    ledger.take(&[outer]);
    assert_eq!(ledger.charged, ["4:10/1"]);
}

#[test]
fn of_spans_in_a_circle_one_is_charged() {
    let itself = counted(1, 1, 10, 1);
    in_one_message(&[itself.clone()], &["1:10/1"]);
    in_messages(&[&[itself.clone()], &[itself]], &["1:10/1"]);
    let (one, two, three) = (counted(1, 2, 10, 1), counted(2, 1, 10, 1), counted(3, 2, 10, 1));
    // The circle is cut above the first, so the innermost is the last.
    in_one_message(&[one.clone(), two.clone()], &["2:10/1"]);
    in_one_message(&[one.clone(), two.clone(), three.clone()], &["3:10/1"]);
    in_messages(&[&[one.clone()], &[two.clone()]], &["1:10/1"]);
    // Live; a restart forgets the second, which was not charged.
    let mut ledger = Ledger::new();
    for span in [one, two, three] {
        ledger.take(&[span]);
    }
    assert_eq!(ledger.charged, ["1:10/1"]);
    let other_model = [counted(1, 2, 10, 1), embedding(2, 1)];
    in_one_message(&other_model, &["1:10/1", "2:10/0"]);
}

#[test]
fn one_response_id_of_two_calls_is_two_calls() {
    let in_trace = |trace: char, id: &str, more: &str, counts: (i64, i64)| {
        let more = format!(
            "gen_ai.response.id=chatcmpl-417 {more} gen_ai.usage.input_tokens={} gen_ai.usage.output_tokens={}",
            counts.0, counts.1
        );
        let attributes =
            format!("gen_ai.operation.name=chat gen_ai.provider.name=ollama gen_ai.request.model=llama3 {more}");
        span(id, "", &attributes).replace("000000000a\"", &format!("000000000{trace}\""))
    };
    let one = in_trace('a', "0000000000000001", "organization=acme", (1_000, 100));
    for (other, charged) in [
        (in_trace('b', "0000000000000002", "organization=globex", (1_000, 100)), "2:1000/100"),
        (
            in_trace('b', "0000000000000002", "organization=acme gen_ai.response.model=gpt-4o", (1_000, 100)),
            "2:1000/100",
        ),
        (in_trace('b', "0000000000000002", "organization=acme", (2_000, 900)), "2:2000/900"),
    ] {
        in_one_message(&[one.clone(), other.clone()], &["1:1000/100", charged]);
        in_messages(&[&[one.clone()], &[other.clone()]], &["1:1000/100", charged]);
        in_messages(&[&[other], &[one.clone()]], &[charged, "1:1000/100"]);
    }
    let again = in_trace('b', "0000000000000002", "organization=acme", (1_000, 100));
    in_messages(&[&[one.clone(), again.clone()]], &["1:1000/100"]);
    in_messages(&[&[one.clone()], &[again.clone()]], &["1:1000/100"]);
    in_messages(&[&[again], &[one]], &["2:1000/100"]);
}
