//! Counts under the names that libraries, gateways and models use beside the providers' own: what is known is counted to the last
//! token, and what is not known never passes for exact. Figures are those of the price book that ships.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use spendstream_pipeline::decode::Ignored;
use support::{Row, check, cost, decode};

fn event(provider: &str, model: &str, usage: &str) -> Row {
    let event =
        format!(r#"{{"id":"e1","time":1795370399000,"provider":"{provider}","model":"{model}","usage":{usage}}}"#);
    decode(event).row().clone()
}

/// What a usage object costs, how far that can be trusted, and why.
fn told(provider: &str, model: &str, usage: &str) -> (String, &'static str, String) {
    let row = event(provider, model, usage);
    (cost(&row).unwrap(), row.quality.name(), row.notes().join(","))
}

fn exact(cost: &str) -> (String, &'static str, String) {
    (cost.to_owned(), "exact", String::new())
}

fn estimated(cost: &str, notes: &str) -> (String, &'static str, String) {
    (cost.to_owned(), "estimated", notes.to_owned())
}

#[test]
fn llama_counts_its_answer() {
    let body = r#"{"prompt_token_count":100,"generation_token_count":50}"#;
    let llama = "meta.llama3-70b-instruct-v1:0";
    assert_eq!(told("aws", llama, body), exact("0.00044"));
    let log = |body: &str| {
        let log = format!(
            r#"{{"schemaType":"ModelInvocationLog","timestamp":"2026-11-22T17:00:00Z","requestId":"r1","operation":"InvokeModel",
            "modelId":"{llama}","region":"us-east-1","input":{{"inputTokenCount":100}},"output":{{"outputBodyJson":{body},"outputTokenCount":50}}}}"#
        );
        decode(log).row().clone()
    };
    for body in [body, r#"{"prompt_token_count":100}"#, r#"{"generation":"SECRET"}"#] {
        let row = log(body);
        check(&row, "input_tokens=100 output_tokens=50 quality=exact notes=");
        assert_eq!(cost(&row).unwrap(), "0.00044", "{body}");
    }
}

#[test]
fn the_log_of_a_streamed_answer_is_looked_into() {
    let log = |record: &str| {
        let log = format!(
            r#"{{"schemaType":"ModelInvocationLog","timestamp":"2026-11-22T17:00:00Z","requestId":"r1","region":"us-east-1",
            "operation":"InvokeModelWithResponseStream","modelId":"us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "input":{{"inputTokenCount":100{record}}},"output":{{"outputTokenCount":50,"outputBodyJson":[
            {{"type":"message_start","message":{{"id":"msg_1","type":"message","model":"claude-sonnet-4-5-20250929","usage":{{"input_tokens":100,
            "cache_creation_input_tokens":400,"cache_read_input_tokens":600,"cache_creation":{{"ephemeral_5m_input_tokens":100,
            "ephemeral_1h_input_tokens":300}},"output_tokens":1}}}}}},
            {{"type":"content_block_delta","delta":{{"type":"text_delta","text":"SECRET"}}}},
            {{"type":"message_delta","usage":{{"output_tokens":50}}}},
            {{"type":"message_stop","amazon-bedrock-invocationMetrics":{{"inputTokenCount":100,"outputTokenCount":50}}}}]}}}}"#
        );
        decode(log).row().clone()
    };
    for record in ["", r#","cacheReadInputTokenCount":600,"cacheWriteInputTokenCount":400"#] {
        let row = log(record);
        check(
            &row,
            "event_id=r1 response_id=r1 provider_sent=aws.bedrock input_tokens=1100 uncached_input_tokens=100 cache_read_tokens=600 \
             cache_write_tokens=100 cache_write_1h_tokens=300 output_tokens=50 quality=exact notes=",
        );
        // (100 × 3 + 600 × 0.3 + 100 × 3.75 + 300 × 6 + 50 × 15) × 1.1 in the United States, per million.
        assert_eq!(cost(&row).unwrap(), "0.0037455");
    }
}

#[test]
fn details_of_another_dialect_are_counted() {
    let gpt_4o = |usage: &str| told("openai", "gpt-4o", usage);
    // 200 × 2.5 + 800 × 1.25 + 100 × 10 per million.
    for usage in [
        r#"{"input_tokens":1000,"output_tokens":100,"prompt_tokens_details":{"cached_tokens":800}}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":800}}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"cached_tokens":800}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"total_tokens":1100,"cached_tokens":800}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"input_token_details":{"cached_tokens":800}}"#,
        r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"input_tokens_details":{"cached_tokens":800}}"#,
        r#"{"prompt_tokens":1000,"completion_tokens":100,"prompt_token_details":{"cached_tokens":800}}"#,
        r#"{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{},"input_tokens_details":{"cached_tokens":800}}"#,
        r#"{"inputTokens":1000,"outputTokens":100,"totalTokens":1100,"cachedContentTokens":800}"#,
        r#"{"inputTokens":1000,"outputTokens":100,"totalTokens":1100,"cachedInputTokens":800,"reasoningTokens":60}"#,
    ] {
        assert_eq!(gpt_4o(usage), exact("0.0025"), "{usage}");
    }
    let mistral = r#"{"prompt_tokens":70,"completion_tokens":12,"total_tokens":82,"num_cached_tokens":69}"#;
    check(
        &event("mistral", "m", mistral),
        "uncached_input_tokens=1 cache_read_tokens=69 output_tokens=12 quality=exact",
    );
}

#[test]
fn langchain_genkit_and_dashscope() {
    let langchain = r#"{"input_tokens":1000,"output_tokens":100,"total_tokens":1100,"input_token_details":{"cache_read":400,"cache_creation":200},
        "output_token_details":{"reasoning":60}}"#;
    assert_eq!(told("anthropic", "claude-sonnet-4-5", langchain), estimated("0.00357", "cache_ttl_assumed"));
    let lifetimes =
        langchain.replace("\"cache_creation\":200", "\"cache_creation\":0,\"ephemeral_1h_input_tokens\":200");
    // As before with 200 × 6 instead of 200 × 3.75.
    assert_eq!(told("anthropic", "claude-sonnet-4-5", &lifetimes), exact("0.00402"));
    let genkit = |total: &str| {
        let usage = format!(
            r#"{{"inputTokens":1000,"outputTokens":100,{total}"thoughtsTokens":50,"cachedContentTokens":400}}"#
        );
        told("google", "gemini-2.5-flash", &usage)
    };
    // 600 × 0.3 + 400 × 0.03 + 150 × 2.5 per million; the total tells whether thoughts are beside the answer.
    assert_eq!(genkit(r#""totalTokens":1150,"#), exact("0.000567"));
    assert_eq!(genkit(r#""totalTokens":1100,"#), exact("0.000442"));
    assert_eq!(genkit(""), estimated("0.000567", "tokens_unexplained"));
    let dashscope = r#"{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010,"prompt_tokens_details":{"cached_tokens":300,
        "cache_creation":{"ephemeral_5m_input_tokens":200},"cache_creation_input_tokens":200,"cache_type":"ephemeral"}}"#;
    check(
        &event("dashscope", "m", dashscope),
        "uncached_input_tokens=500 cache_read_tokens=300 cache_write_tokens=200 quality=exact",
    );
    let kit = r#"{"inputTokens":100,"outputTokens":10,"totalTokens":110,"cachedInputTokens":400}"#;
    check(
        &event("anthropic", "claude-sonnet-4-5", kit),
        "input_tokens=500 cache_read_tokens=400 notes=input_convention_corrected quality=estimated",
    );
}

#[test]
fn a_count_that_nobody_knows_is_said() {
    for usage in [
        r#"{"prompt_tokens":1000,"completion_tokens":100,"embedding_tokens":500}"#,
        r#"{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached":400}}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"input_tokens_details":{"cached":400}}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"input_cached_tokens":400}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"thinking_tokens":50}"#,
        r#"{"inputTokens":1000,"outputTokens":100,"cacheCreationTokens":400}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"svg_usage":{"input_tokens":40,"output_tokens":7}}"#,
        r#"{"billed_units":{"input_tokens":1000,"output_tokens":100},"tokens":{"input_tokens":1200},"cached_tokens":400}"#,
    ] {
        check(
            &event("openai", "m", usage),
            "input_tokens=1000 output_tokens=100 notes=tokens_unexplained quality=estimated",
        );
    }
    for usage in [
        r#"{"prompt_tokens":1000,"completion_tokens":100,"embedding_tokens":0,"max_tokens":50,"completion_tokens_per_sec":12.5}"#,
        r#"{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"text_tokens":1000},"cost_details":{"token_cost":1}}"#,
        r#"{"prompt_tokens":1000,"completion_tokens":100,"prompt_cache_hit_tokens":400,"prompt_cache_miss_tokens":600}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"x_details":[{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}]}"#,
        r#"{"input_tokens":1000,"output_tokens":100,"cache_read_tokens":400,"details":{"thinking":10},"requests":1}"#,
    ] {
        check(&event("openai", "m", usage), "input_tokens=1000 output_tokens=100 notes= quality=exact");
    }
}

#[test]
fn thinking_is_charged_by_its_own_prices() {
    let usage = |reasoning: i64| {
        format!(
            r#"{{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000,"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}"#
        )
    };
    // 1000 × 0.4 + 1000 × 4 per million, and without thinking 1000 × 1.2.
    assert_eq!(told("dashscope", "qwen-plus", &usage(800)).0, "0.0044");
    assert_eq!(told("dashscope", "qwen-plus", &usage(0)).0, "0.0016");
}

#[test]
fn deep_research_pays_its_searches() {
    let usage = r#"{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,"citation_tokens":20016,"num_search_queries":18,
        "reasoning_tokens":73997,"search_context_size":"medium"}"#;
    assert_eq!(told("perplexity", "sonar-deep-research", usage).0, "0.409393");
}

#[test]
fn a_deployment_is_priced_as_the_model_that_answered() {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1795370390,"model":"gpt-4o-2024-08-06","choices":[],
        "usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;
    let row = event("azure", "my-deploy", body);
    check(&row, "model=my-deploy provider_sent=azure quality=exact");
    assert_eq!((row.model_answered.as_deref(), cost(&row).unwrap().as_str()), (Some("gpt-4o-2024-08-06"), "0.0035"));
    // What the book knows is priced as it was sent, but at Azure the name is a deployment's, whatever it is called after.
    assert_eq!(told("azure", "gpt-4o-mini", body).0, "0.0035");
    assert_eq!(told("openai", "gpt-4o-mini", body).0, "0.00021");
    assert_eq!(event("azure", "gpt-4o-2024-08-06", body).model_answered, None);
}

fn litellm(provider: &str, model: &str, more: &str) -> Row {
    let payload = format!(
        r#"{{"call_type":"acompletion","litellm_call_id":"c1","id":"i1","status":"success","custom_llm_provider":"{provider}","model":"{model}",
        "endTime":1795370399.0{more},"metadata":{{"usage_object":{{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}}}}}"#
    );
    decode(payload).row().clone()
}

#[test]
fn litellm_keeps_the_model_as_the_provider_knows_it() {
    for (provider, model, expected) in [
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("openrouter", "openrouter/anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("openrouter", "openrouter/auto", "openrouter/auto"),
        ("together_ai", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("vercel_ai_gateway", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("vertex_ai_beta", "vertex_ai/gemini-2.5-flash", "gemini-2.5-flash"),
        (
            "bedrock",
            "converse/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        ("bedrock", "bedrock/invoke/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ] {
        let row = litellm(provider, model, "");
        check(&row, &format!("model={expected} region=absent"));
    }
    assert_eq!(cost(&litellm("openrouter", "anthropic/claude-sonnet-4.5", "")).unwrap(), "0.0045");
    let routed = litellm("bedrock", "eu-central-1/anthropic.claude-haiku-4-5-20251001-v1:0", "");
    check(&routed, "model=anthropic.claude-haiku-4-5-20251001-v1:0 region=eu-central-1");
}

#[test]
fn litellm_tells_what_a_deployment_is() {
    for more in [
        r#","response":{"model":"gpt-4o-2024-08-06"}"#,
        r#","response":{"model":"my-deploy"},"model_map_information":{"model_map_key":"azure/gpt-4o"}"#,
    ] {
        let row = litellm("azure", "my-deploy", more);
        check(&row, "model=my-deploy");
        assert_eq!(cost(&row).unwrap(), "0.0035", "{more}");
    }
}

#[test]
fn vectors_are_input() {
    for (provider, operation) in [("voyage", "chat"), ("jina_ai", "chat"), ("openai", "embeddings")] {
        let event = format!(
            r#"{{"id":"e1","time":1795370399000,"provider":"{provider}","model":"m","operation":"{operation}","usage":{{"total_tokens":70}}}}"#
        );
        check(decode(event).row(), "input_tokens=70 output_tokens=0 quality=exact");
    }
    let other =
        decode(r#"{"id":"e1","time":1795370399000,"provider":"openai","model":"m","usage":{"total_tokens":70}}"#);
    assert_eq!(other.reject().0, "missing_field");
}

#[test]
fn batch_lines_of_anthropic_and_gemini() {
    let message = r#"{"custom_id":"row-7","result":{"type":"succeeded","message":{"id":"msg_1","type":"message","role":"assistant",
        "model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"SECRET"}],"usage":{"input_tokens":1000,"output_tokens":100}}}}"#;
    let row = decode(message).row().clone();
    check(
        &row,
        "event_id=msg_1 item_id=row-7 provider_sent=anthropic service_tier=batch input_tokens=1000 output_tokens=100",
    );
    let failed =
        r#"{"custom_id":"row-8","result":{"type":"errored","error":{"type":"invalid_request","message":"SECRET"}}}"#;
    assert_eq!(decode(failed).ignored, [(0, Ignored::NoUsage)]);
    let gemini = r#"{"key":"row-7","response":{"candidates":[{"finishReason":"STOP"}],"modelVersion":"gemini-2.5-flash","responseId":"r1",
        "usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":100,"totalTokenCount":1100}}}"#;
    check(
        decode(gemini).row(),
        "event_id=r1 provider_sent=google model=gemini-2.5-flash service_tier=batch input_tokens=1000 output_tokens=100",
    );
}

#[test]
fn a_response_that_failed_is_a_call_without_usage() {
    let body = r#"{"id":"resp_1","object":"response","created_at":1795370390,"status":"failed","model":"gpt-5","output":[],"usage":null}"#;
    for body in [body.to_owned(), format!(r#"{{"type":"response.failed","response":{body}}}"#)] {
        check(
            decode(body).row(),
            "event_id=resp_1 provider_sent=openai model=gpt-5 status=error input_tokens=0 notes=no_usage",
        );
    }
}

#[test]
fn whoever_is_not_exact_says_why() {
    let byok = r#"{"id":"gen-1","provider":"OpenAI","model":"openai/gpt-4o","object":"chat.completion","created":1795370390,"choices":[],
        "usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"cost":0.000175,"is_byok":true,
        "cost_details":{"upstream_inference_cost":0.0035}}}"#;
    check(decode(byok).row(), "notes=billed_upstream quality=estimated cost=0.0035");
    let sessions = r#"{"id":"resp_1","object":"response","created_at":1795370390,"status":"completed","model":"gpt-5",
        "output":[{"type":"code_interpreter_call","container_id":"c1"}],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}"#;
    check(decode(sessions).row(), "code_interpreter_session=1 notes=session_assumed quality=upper_bound");
    let realtime = r#"{"input_tokens":1000,"output_tokens":10,"total_tokens":1010,"input_token_details":{"audio_tokens":600,"cached_tokens":700}}"#;
    check(&event("openai", "m", realtime), "cache_read_audio=300 notes=cached_parts_assumed quality=estimated");
}
