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
        r#","model_group":"fast","response":{"model":"fast"},"model_map_information":{"model_map_key":"azure/gpt-4o"}"#,
        r#","model_map_information":{"model_map_key":"azure/global-standard/gpt-4o-2024-08-06"}"#,
    ] {
        let row = litellm("azure", "my-deploy", more);
        check(&row, "model=my-deploy");
        assert_eq!(cost(&row).unwrap(), "0.0035", "{more}");
    }
    // Data that stays in a zone costs a tenth more (Azure's retail prices).
    let zone = r#","model_map_information":{"model_map_key":"azure/eu/gpt-4o-2024-08-06"}"#;
    assert_eq!(cost(&litellm("azure", "my-deploy", zone)).unwrap(), "0.00385");
    assert_eq!(cost(&litellm("azure", "azure/eu/gpt-4o-2024-08-06", "")).unwrap(), "0.00385");
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

#[test]
fn a_tier_that_says_nothing_hides_none() {
    let tier = |own: &str, usage: &str| {
        let event = format!(
            r#"{{"id":"e1","time":1795370399000,"provider":"openai","model":"m","service_tier":"{own}","usage":{usage}}}"#
        );
        decode(event).row().text("service_tier").to_owned()
    };
    let body = |told: &str| {
        format!(
            r#"{{"object":"chat.completion","id":"c1","model":"m","service_tier":"{told}","usage":{{"prompt_tokens":10,"completion_tokens":1}}}}"#
        )
    };
    let line = format!(r#"{{"id":"b","custom_id":"c","response":{{"status_code":200,"body":{}}}}}"#, body("default"));
    let claude = |rest: &str| format!(r#"{{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":0,{rest}}}"#);
    let gemini = |traffic: &str| {
        format!(r#"{{"promptTokenCount":10,"candidatesTokenCount":1,"totalTokenCount":11,"trafficType":"{traffic}"}}"#)
    };
    let converse = |told: &str| {
        format!(
            r#"{{"usage":{{"inputTokens":10,"outputTokens":1,"totalTokens":11}},"serviceTier":{{"type":"{told}"}}}}"#
        )
    };
    for (own, usage, expected) in [
        ("auto", body("priority"), "priority"),
        ("Standard", body("flex"), "flex"),
        ("default", line, "batch"),
        ("auto", claude(r#""service_tier":"batch""#), "batch"),
        ("standard", claude(r#""service_tier":"standard","speed":"fast""#), "fast"),
        ("on_demand", gemini("ON_DEMAND_FLEX"), "ON_DEMAND_FLEX"),
        // What was asked for and not got is not paid, and what goes beyond a capacity of one's own is; a batch is a batch.
        ("priority", body("default"), "default"),
        ("flex", body("priority"), "priority"),
        ("flex", body("auto"), "flex"),
        ("batch", body("default"), "batch"),
        ("scale", body("default"), "default"),
        ("fast", body("default"), "default"),
        ("fast", claude(r#""service_tier":"standard""#), "fast"),
        ("fast", claude(r#""service_tier":"standard","speed":"standard""#), "standard"),
        ("fast", claude(r#""speed":"standard""#), "standard"),
        ("reserved", converse("default"), "default"),
        ("reserved", converse("reserved"), "reserved"),
        ("provisioned_throughput", gemini("ON_DEMAND"), "ON_DEMAND"),
        ("provisioned_throughput", gemini("PROVISIONED_THROUGHPUT"), "provisioned_throughput"),
        // Azure's answer from provisioned throughput.
        ("provisioned", body("default"), "provisioned"),
        ("auto", body("default"), "auto"),
        ("auto", r#"{"input_tokens":10,"output_tokens":1}"#.to_owned(), "auto"),
    ] {
        assert_eq!(tier(own, &usage), expected, "{own} {usage}");
    }
    // Within one body too.
    let both = r#"{"object":"chat.completion","service_tier":"priority","usage":{"prompt_tokens":10,"completion_tokens":1,"service_tier":"standard"}}"#;
    check(&event("openai", "m", both), "service_tier=priority");
}

#[test]
fn tools_that_a_provider_runs_are_counted_and_without_a_price_said() {
    let openrouter = r#"{"prompt_tokens":900,"completion_tokens":69,"total_tokens":969,"cost":0.0160614,
        "server_tool_use_details":{"tool_calls_requested":1,"tool_calls_executed":1}}"#;
    let row = event("openrouter", "openai/gpt-4o-mini", openrouter);
    check(&row, "tool_calls_executed=1 web_searches=0 cost=0.0160614");
    assert_eq!(cost(&row), Err("no_price_for_meter:tool_calls_executed".to_owned()));
    let named = openrouter.replace("\"cost\"", "\"server_tool_use\":{\"web_search_requests\":1},\"cost\"");
    check(&event("openrouter", "m", &named), "tool_calls_executed=absent web_searches=1");

    let xai = |more: &str| {
        event(
            "xai",
            "grok-4.3",
            &format!(
                r#"{{"input_tokens":1000,"output_tokens":200,"total_tokens":1200,"input_tokens_details":{{"cached_tokens":0}},{more}}}"#
            ),
        )
    };
    check(&xai(r#""num_sources_used":4"#), "num_sources_used=4 input_tokens=1000 output_tokens=200");
    let details = r#""server_side_tool_usage_details":{"web_search_calls":2,"x_search_calls":1,"code_interpreter_calls":3,"file_search_calls":4,
        "document_search_calls":0,"mcp_calls":null}"#;
    let counted =
        "web_searches=2 x_search_calls=1 code_interpreter_calls=3 file_search=4 num_server_side_tools_used=absent";
    check(&xai(&format!(r#""num_server_side_tools_used":10,{details}"#)), counted);
    let sdks = r#""server_side_tool_usage":{"SERVER_SIDE_TOOL_WEB_SEARCH":2,"SERVER_SIDE_TOOL_X_SEARCH":1,"SERVER_SIDE_TOOL_CODE_EXECUTION":3,
        "SERVER_SIDE_TOOL_COLLECTIONS_SEARCH":4,"SERVER_SIDE_TOOL_VIEW_IMAGE":9}"#;
    check(&xai(sdks), counted);
    check(&xai(&format!("{sdks},{details}")), counted);
    check(&xai(r#""num_server_side_tools_used":2"#), "num_server_side_tools_used=2 web_searches=0");
    assert_eq!(cost(&xai(r#""num_sources_used":4"#)), Err("no_price_for_meter:num_sources_used".to_owned()));
    // So a row is written where it is kept to be sent again.
    let again = r#"{"input_tokens":1000,"output_tokens":200,"web_searches":2,"x_search_calls":1,"code_interpreter_calls":3,"file_search":4,
        "num_sources_used":5,"tool_calls_executed":6}"#;
    let again = event("xai", "grok-4.3", again);
    check(&again, &format!("{counted} num_sources_used=5 tool_calls_executed=6"));
    // The items of the answer tell of the same calls.
    let body = format!(
        r#"{{"id":"r1","object":"response","model":"grok-4.3","output":[{{"type":"web_search_call","action":{{"type":"search"}}}},
        {{"type":"web_search_call","action":{{"type":"search"}}}},{{"type":"web_search_call","action":{{"type":"search"}}}},
        {{"type":"code_interpreter_call"}},{{"type":"file_search_call"}}],
        "usage":{{"input_tokens":1000,"output_tokens":200,"total_tokens":1200,{details}}}}}"#
    );
    check(&event("xai", "grok-4.3", &body), &format!("{counted} code_interpreter_session=absent quality=exact"));
    let beside = format!(
        r#"{{"object":"chat.completion","model":"grok-4.3",{sdks},"usage":{{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200}}}}"#
    );
    check(&event("xai", "grok-4.3", &beside), counted);
}

#[test]
fn litellm_tells_tools_in_places_of_its_own() {
    let payload = |provider: &str, model: &str, rest: &str| {
        decode(format!(
            r#"{{"call_type":"aresponses","litellm_call_id":"c1","status":"success","custom_llm_provider":"{provider}","model":"{model}","endTime":1795370399.0,{rest}}}"#
        ))
        .row()
        .clone()
    };
    let usage = |details: &str| {
        format!(
            r#""metadata":{{"usage_object":{{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{{{details}}}}}}}"#
        )
    };
    // One grounded request, however many queries; 1000 × 0.3 + 100 × 2.5 per million, and 0.035.
    let grounded = payload("gemini", "gemini-2.5-flash", &usage(r#""web_search_requests":2,"cached_tokens":null"#));
    check(&grounded, "web_searches=1 quality=exact");
    assert_eq!(cost(&grounded).as_deref(), Ok("0.03555"));
    let searched = r#""response":{"object":"response","model":"gpt-5","output":[{"type":"web_search_call","action":{"type":"search"}}]}"#;
    for details in ["", r#""web_search_requests":1"#] {
        let row = payload("openai", "gpt-5", &format!("{},{searched}", usage(details)));
        check(&row, "web_searches=1 quality=exact");
        // 1000 × 1.25 + 100 × 10 per million, and 0.01.
        assert_eq!(cost(&row).as_deref(), Ok("0.01225"), "{details}");
    }
    let paid = |tools: &str| {
        payload("openai", "gpt-5", &format!(r#"{},"cost_breakdown":{{"tool_usage_cost":{tools}}}"#, usage("")))
    };
    check(&paid("0.01"), "notes=tokens_unexplained quality=estimated");
    check(&paid("0.0"), "notes= quality=exact");
}

#[test]
fn several_failed_tries_of_litellm_are_several_calls() {
    let failed = |start: &str| {
        decode(format!(
            r#"{{"call_type":"acompletion","litellm_call_id":"c1","id":"c1","status":"failure","custom_llm_provider":"openai","model":"gpt-4o","startTime":{start},"endTime":1795370399.0}}"#
        ))
        .row()
        .text("event_id")
        .to_owned()
    };
    assert_eq!(failed("1795370390.25"), "c1#failure@1795370390.25");
    assert_ne!(failed("1795370390.25"), failed("1795370391.5"));
}

#[test]
fn a_batch_line_of_claude_on_vertex() {
    let message = r#"{"id":"msg_vrtx_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"SECRET"}],
        "usage":{"input_tokens":1000,"output_tokens":100}}"#;
    let line =
        |rest: &str| format!(r#"{{"custom_id":"row-7","request":{{"messages":[]}},"response":{message}{rest}}}"#);
    let row = decode(line(r#","status":"""#)).row().clone();
    check(
        &row,
        "event_id=msg_vrtx_1 item_id=row-7 provider_sent=gcp.vertex_ai service_tier=batch input_tokens=1000 output_tokens=100",
    );
    check(&event("google", "claude-sonnet-4-5", &line(r#","status":"""#)), "service_tier=batch");
    // What a gateway logs of a call is none.
    let log = format!(r#"{{"request":{{}},"response":{message},"status":""}}"#);
    for other in [line(""), line(r#","status":200"#), line(r#","status":"success""#), log] {
        check(&event("anthropic", "claude-sonnet-4-5", &other), "service_tier=absent input_tokens=1000");
    }
    let failed =
        r#"{"custom_id":"row-8","request":{"messages":[]},"response":{},"status":"INVALID_ARGUMENT: too long"}"#;
    assert_eq!(decode(failed).ignored, [(0, Ignored::NoUsage)]);
}

#[test]
fn a_makers_name_before_a_slash_is_not_who_served_it() {
    let body = |model: &str, more: &str| {
        decode(format!(
            r#"{{"id":"c1","object":"chat.completion","created":1795370390,"model":"{model}","choices":[],{more}"usage":{{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}}}"#
        ))
    };
    for hosted in
        ["deepseek-ai/DeepSeek-V3", "mistralai/Mistral-Small-24B-Instruct-2501", "anthropic/claude-sonnet-4.5"]
    {
        assert_eq!(
            body(hosted, "").reject(),
            (
                "missing_field",
                "'provider' is missing; the model's name has a '/', so a host served it that the body does not name: send 'provider' beside \
                 it, or event v1"
            ),
            "{hosted}"
        );
        check(body(hosted, r#""provider":"together","#).row(), "provider_sent=together");
    }
    for (own, provider) in [
        ("deepseek-chat", "deepseek"),
        ("mistral-small-latest", "mistral"),
        ("gpt-4o", "openai"),
        ("accounts/fireworks/models/deepseek-v3", "fireworks"),
    ] {
        check(body(own, "").row(), &format!("provider_sent={provider}"));
    }
}

#[test]
fn reasoning_at_the_top_is_within_where_the_total_says_so() {
    let usage = |total: &str, reasoning: i64| {
        let usage = format!(r#"{{"prompt_tokens":100,"completion_tokens":200{total},"reasoning_tokens":{reasoning}}}"#);
        event("openai", "gpt-5", &usage)
    };
    let within = usage(r#","total_tokens":300"#, 150);
    check(&within, "output_tokens=200 reasoning_tokens=150 notes= quality=exact");
    // 100 × 1.25 + 200 × 10 per million.
    assert_eq!(cost(&within).as_deref(), Ok("0.002125"));
    check(&usage(r#","total_tokens":450"#, 150), "output_tokens=350 reasoning_tokens=150 notes= quality=exact");
    check(&usage(r#","total_tokens":300"#, 250), "output_tokens=450 reasoning_tokens=250 quality=exact");
    check(&usage("", 150), "output_tokens=350 reasoning_tokens=150 notes=tokens_unexplained quality=estimated");
    // Perplexity's total leaves it out.
    let sonar = r#"{"prompt_tokens":100,"completion_tokens":200,"total_tokens":300,"reasoning_tokens":150}"#;
    check(&event("perplexity", "sonar-reasoning", sonar), "output_tokens=350 quality=exact");
}

#[test]
fn a_zero_under_one_name_hides_no_count_under_another() {
    let head = r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100"#;
    for usage in [
        format!(r#"{head},"cache_read_input_tokens":0,"cached_tokens":400}}"#),
        format!(r#"{head},"prompt_cache_hit_tokens":0,"num_cached_tokens":400}}"#),
        format!(r#"{head},"prompt_tokens_details":{{"cached_tokens":0,"cache_read":400}}}}"#),
        r#"{"input_tokens":1000,"output_tokens":100,"total_tokens":1100,"input_tokens_details":{"cached_tokens":0},"cache_read_input_tokens":0,"cached_tokens":400}"#
            .to_owned(),
    ] {
        assert_eq!(told("openai", "gpt-4o", &usage), exact("0.003"), "{usage}");
    }
    for usage in [
        format!(r#"{head},"cached_tokens":400,"prompt_cache_hit_tokens":700}}"#),
        format!(r#"{head},"prompt_tokens_details":{{"cached_tokens":400}},"num_cached_tokens":300}}"#),
        r#"{"input_tokens":1000,"output_tokens":100,"cache_read_tokens":400,"cached_tokens":300}"#.to_owned(),
    ] {
        check(&event("openai", "m", &usage), "notes=tokens_unexplained quality=estimated");
    }
    let same = format!(r#"{head},"prompt_tokens_details":{{"cached_tokens":400}},"prompt_cache_hit_tokens":400}}"#);
    assert_eq!(told("openai", "gpt-4o", &same), exact("0.003"));
}

#[test]
fn whole_numbers_with_a_point_are_counts() {
    let cohere = r#"{"billed_units":{"input_tokens":10.0,"output_tokens":5.0},"tokens":{"input_tokens":70.0,"output_tokens":5.0}}"#;
    check(&event("cohere", "m", cohere), "input_tokens=10 output_tokens=5 quality=exact");
    check(
        &event("openai", "m", r#"{"prompt_tokens":1e1,"completion_tokens":5.00}"#),
        "input_tokens=10 output_tokens=5",
    );
    let half = r#"{"id":"e1","time":1795370399000,"provider":"p","model":"m","usage":{"input_tokens":10.5}}"#;
    assert_eq!(decode(half).reject().0, "wrong_type");
}

#[test]
fn an_event_tells_of_the_callers_own_key_too() {
    let usage = r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"cost":0.000225,"is_byok":true,
        "cost_details":{"upstream_inference_cost":0.0045}}"#;
    check(&event("openrouter", "m", usage), "notes=billed_upstream quality=estimated cost=0.0045");
    check(&event("openrouter", "m", &usage.replace("true", "false")), "notes= quality=exact cost=0.000225");
}

#[test]
fn a_name_that_moves_is_priced_as_what_answered() {
    let gemini = r#"{"modelVersion":"gemini-2.5-flash-preview-09-2025","usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":100,"totalTokenCount":1100}}"#;
    // 1000 × 0.3 + 100 × 2.5 per million.
    assert_eq!(told("google", "gemini-flash-latest", gemini).0, "0.00055");
    let mistral = r#"{"object":"chat.completion","model":"mistral-medium-2312","usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;
    // 1000 × 2.7 + 100 × 8.1 per million.
    assert_eq!(told("mistral", "mistral-medium-latest", mistral).0, "0.00351");
    let same = mistral.replace("mistral-medium-2312", "mistral-medium-latest");
    assert_eq!(told("mistral", "mistral-medium-latest", &same).0, "0.00225");
}

#[test]
fn a_split_that_is_less_than_the_writes_leaves_their_lifetime_open() {
    let usage = |split: &str| {
        event(
            "anthropic",
            "claude-sonnet-4-5",
            &format!(
                r#"{{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":500,"cache_creation":{{{split}}}}}"#
            ),
        )
    };
    check(
        &usage(r#""ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0"#),
        "cache_write_tokens=500 notes=cache_ttl_assumed quality=estimated",
    );
    check(
        &usage(r#""ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":300"#),
        "cache_write_tokens=200 cache_write_1h_tokens=300 notes= quality=exact",
    );
    let reasons = r#"{"id":"e1","time":1795370399000,"provider":"deepseek","model":"m","usage":{"input_tokens":1000,"output_tokens":100,
        "cache_read_input_tokens":0,"output_tokens_details":{"reasoning_tokens":500}}}"#;
    assert_eq!(decode(reasons).reject().0, "part_exceeds_total");
}
