//! OTLP spans: names old and new, which span of a call is charged, what a rejected one keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use spendstream_pipeline::decode::Ignored;
use support::{check, decode};

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

fn spans(spans: &[String]) -> support::Decoded {
    decode(format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[]}},"scopeSpans":[{{"scope":{{"name":"x"}},"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    ))
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
