//! One test per payload shape: what goes in as its emitter sends it, and the exact row that comes out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use spendstream_pipeline::decode::Ignored;
use spendstream_schemas::config::{DecodeConfig, MappingConfig, Text};
use support::{Row, check, decode, decode_with};

fn usage(provider: &str, usage: &str) -> Row {
    let event = format!(r#"{{"id":"e1","time":1795370399000,"provider":"{provider}","model":"m","usage":{usage}}}"#);
    decode(event).row().clone()
}

#[test]
fn openai_responses_with_tools_and_lifetimes() {
    let body = r#"{"id":"resp_1","object":"response","created_at":1795370390,"status":"completed","model":"gpt-5.6","service_tier":"flex",
        "output":[{"type":"web_search_call","action":{"type":"search","query":"SECRET"}},{"type":"web_search_call","action":{"type":"open_page"}},
        {"type":"file_search_call"},{"type":"code_interpreter_call","container_id":"c1"},{"type":"code_interpreter_call","container_id":"c1"}],
        "usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":20,"cache_write_tokens":30,"cache_write_tokens_details":{"ttl_30m_tokens":10,"ttl_12h_tokens":20}},
        "output_tokens":50,"output_tokens_details":{"reasoning_tokens":40},"total_tokens":150}}"#;
    let expected = "provider_sent=openai model=gpt-5.6 response_id=resp_1 service_tier=flex input_tokens=100 uncached_input_tokens=50 \
        cache_read_tokens=20 cache_write_tokens=30 cache_write_12h=20 output_tokens=50 reasoning_tokens=40 web_searches=1 file_search=1 \
        code_interpreter_session=1";
    let bare = decode(body);
    check(bare.row(), &format!("event_id=resp_1 time=1795370390000000 payload_kind=response {expected}"));
    let stream = decode(format!(r#"{{"type":"response.completed","response":{body}}}"#));
    check(stream.row(), expected);
    let event = decode(format!(r#"{{"id":"e1","time":1795370399000,"provider":"openai","usage":{body}}}"#));
    check(event.row(), &format!("event_id=e1 time=1795370399000000 payload_kind=event.v1 {expected}"));
}

#[test]
fn openai_realtime_images_transcription_and_batch() {
    let realtime = r#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,"input_token_details":{"text_tokens":119,"audio_tokens":13,
        "cached_tokens":64,"cached_tokens_details":{"text_tokens":56,"audio_tokens":8}},"output_token_details":{"text_tokens":30,"audio_tokens":91}}"#;
    check(
        &usage("openai", realtime),
        "input_tokens=132 uncached_input_tokens=68 cache_read_tokens=64 audio_input_tokens=13 cache_read_audio=8 output_tokens=121 audio_output_tokens=91",
    );
    let image = r#"{"input_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens":4160,"output_tokens_details":{"image_tokens":4160,"text_tokens":0},"total_tokens":4210}"#;
    check(&usage("openai", image), "input_tokens=50 image_input_tokens=40 output_tokens=4160 image_out=4160");
    check(
        &usage("openai", r#"{"type":"duration","seconds":12.5}"#),
        "audio_second=12.5 input_tokens=0 operation=audio",
    );
    // The same audio in tokens and in seconds is charged once.
    check(
        &usage(
            "openai",
            r#"{"type":"tokens","input_tokens":1000,"output_tokens":10,"input_token_details":{"audio_tokens":900},"seconds":30}"#,
        ),
        "input_tokens=1000 audio_input_tokens=900 output_tokens=10 audio_second=absent operation=audio",
    );
    // OpenAI's details of the input say that it includes the cache, whatever name repeats the figure.
    for (cached, input) in [(400, 1000), (300, 1400)] {
        let usage_body = format!(
            r#"{{"input_tokens":1000,"output_tokens":100,"input_tokens_details":{{"cached_tokens":{cached}}},"cache_read_input_tokens":400}}"#
        );
        check(&usage("anthropic", &usage_body), &format!("input_tokens={input} cache_read_tokens=400"));
    }
    check(
        &usage("openai", r#"{"created":1795370390,"data":[{"url":"x"},{"b64_json":"SECRET"}]}"#),
        "image_out_each=2 operation=image",
    );
    let line = r#"{"id":"batch_req_1","custom_id":"row-7","response":{"status_code":200,"request_id":"r","body":{"id":"chatcmpl-1","object":"chat.completion",
        "created":1795370390,"model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":22,"completion_tokens":2,"total_tokens":24}}},"error":null}"#;
    check(
        decode(line).row(),
        "event_id=batch_req_1 item_id=row-7 response_id=chatcmpl-1 service_tier=batch model=gpt-4o-mini input_tokens=22 output_tokens=2 provider_sent=openai",
    );
}

#[test]
fn anthropic_message_with_lifetimes_and_server_tools() {
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":"end_turn",
        "usage":{"input_tokens":50,"cache_creation_input_tokens":2000,"cache_read_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":500,
        "ephemeral_1h_input_tokens":1500},"output_tokens":70,"output_tokens_details":{"thinking_tokens":20},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1},
        "service_tier":"batch","inference_geo":"us"}}"#;
    check(
        decode(body).row(),
        "event_id=msg_1 provider_sent=anthropic service_tier=batch region=us input_tokens=5050 uncached_input_tokens=50 cache_read_tokens=3000 \
         cache_write_tokens=500 cache_write_1h_tokens=1500 output_tokens=70 reasoning_tokens=20 web_searches=2 web_fetch=1 notes= quality=exact",
    );
    let unsplit = usage("anthropic", r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":9}"#);
    check(&unsplit, "cache_write_tokens=9 notes=cache_ttl_assumed");
    check(
        &usage(
            "anthropic",
            r#"{"input_tokens":1,"output_tokens":1,"speed":"fast","iterations":null,"cache_creation":{}}"#,
        ),
        "service_tier=fast",
    );
}

#[test]
fn anthropic_iterations_outside_the_totals_are_rows_of_their_own() {
    let body = r#"{"input_tokens":2390,"output_tokens":121,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"iterations":[
        {"type":"message","input_tokens":1128,"output_tokens":110},
        {"type":"advisor_message","model":"claude-opus-5","input_tokens":900,"output_tokens":300,"cache_read_input_tokens":100},
        {"type":"compaction","input_tokens":5000,"output_tokens":80,"cache_creation_input_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":40}},
        {"type":"message","input_tokens":1262,"output_tokens":11}]}"#;
    let decoded = decode(format!(
        r#"[{{"id":"e1","time":1795370399000,"provider":"anthropic","model":"claude-sonnet-5","response_id":"msg_1","usage":{body}}},
            {{"id":"e2","time":1795370399000,"provider":"anthropic","model":"m","usage":{{"input_tokens":1}}}}]"#
    ));
    let [call, advisor, compaction, next] = decoded.rows.as_slice() else { panic!("{decoded:#?}") };
    check(call, "event_id=e1 model=claude-sonnet-5 input_tokens=2390 output_tokens=121 response_id=msg_1");
    check(
        advisor,
        "event_id=e1#1 model=claude-opus-5 input_tokens=1000 uncached_input_tokens=900 cache_read_tokens=100 output_tokens=300 response_id=absent",
    );
    check(compaction, "event_id=e1#2 model=claude-sonnet-5 input_tokens=5040 cache_write_tokens=40 output_tokens=80");
    assert_eq!([call.index, advisor.index, compaction.index, next.index], [0, 1, 2, 3]);
    // A fallback whose tokens the totals include is taken out of them.
    let body = body
        .replace("2390", "8430")
        .replace("\"output_tokens\":121", "\"output_tokens\":501")
        .replace(",\"cache_read_input_tokens\":100", "")
        .replace("900", "1000")
        .replace("\"cache_creation_input_tokens\":40,\"cache_creation\":{\"ephemeral_5m_input_tokens\":40}", "\"x\":1")
        .replace("5000", "5040");
    let decoded =
        decode(format!(r#"{{"id":"e1","time":1795370399000,"provider":"anthropic","model":"m","usage":{body}}}"#));
    check(&decoded.rows[0], "input_tokens=2390 output_tokens=121");
}

#[test]
fn gemini_thoughts_tools_modalities_and_traffic() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"SECRET"}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a","b"]}}],"modelVersion":"gemini-3-pro",
        "responseId":"r1","createTime":"2026-11-22T17:00:00.5Z","usageMetadata":{"promptTokenCount":300,"cachedContentTokenCount":100,"toolUsePromptTokenCount":50,
        "candidatesTokenCount":20,"thoughtsTokenCount":30,"totalTokenCount":400,"promptTokensDetails":[{"modality":"TEXT","tokenCount":40},{"modality":"IMAGE","tokenCount":200},
        {"modality":"AUDIO","tokenCount":60}],"cacheTokensDetails":[{"modality":"IMAGE","tokenCount":90},{"modality":"TEXT","tokenCount":10}],"trafficType":"PROVISIONED_THROUGHPUT"}}"#;
    check(
        decode(body).row(),
        "event_id=r1 provider_sent=google model=gemini-3-pro time=1795366800500000 input_tokens=350 uncached_input_tokens=250 cache_read_tokens=100 audio_input_tokens=60 \
         image_input_tokens=200 cache_read_image=90 output_tokens=50 reasoning_tokens=30 web_searches=2 service_tier=PROVISIONED_THROUGHPUT committed=true quality=exact",
    );
    let older = body.replace("gemini-3-pro", "gemini-2.5-flash").replace("PROVISIONED_THROUGHPUT", "ON_DEMAND_FLEX");
    check(decode(older).row(), "web_searches=1 service_tier=ON_DEMAND_FLEX committed=false");
}

#[test]
fn bedrock_converse_and_its_double_count() {
    let converse = |model: &str, usage: &str| {
        let event =
            format!(r#"{{"id":"e1","time":1795370399000,"provider":"aws.bedrock","model":"{model}","usage":{usage}}}"#);
        decode(event).row().clone()
    };
    let claude = r#"{"usage":{"inputTokens":3,"outputTokens":121,"totalTokens":2072,"cacheReadInputTokens":1712,"cacheWriteInputTokens":236,
        "cacheDetails":[{"ttl":"5m","inputTokens":200},{"ttl":"1h","inputTokens":36}]},"metrics":{"latencyMs":812},"serviceTier":{"type":"reserved"}}"#;
    let row = converse("anthropic.claude-sonnet-4-5", claude);
    check(
        &row,
        "input_tokens=1951 uncached_input_tokens=3 cache_read_tokens=1712 cache_write_tokens=200 cache_write_1h_tokens=36 output_tokens=121 committed=true service_tier=reserved",
    );
    assert_eq!(row.latency_ms, Some(812));
    // ConverseStream of an OpenAI model counts the writes twice and its total adds up all the same; Converse does not.
    let stream = r#"{"inputTokens":4995,"outputTokens":19,"totalTokens":10007,"cacheReadInputTokens":0,"cacheWriteInputTokens":4993}"#;
    check(
        &converse("openai.gpt-5", stream),
        "input_tokens=4995 uncached_input_tokens=2 cache_write_tokens=4993 notes=input_convention_corrected quality=estimated",
    );
    let plain = r#"{"inputTokens":2,"outputTokens":19,"totalTokens":5014,"cacheReadInputTokens":0,"cacheWriteInputTokens":4993}"#;
    check(
        &converse("openai.gpt-5", plain),
        "input_tokens=4995 uncached_input_tokens=2 cache_write_tokens=4993 notes= quality=exact",
    );
}

#[test]
fn bedrock_invocation_log() {
    let log = |operation: &str, output: &str| {
        let record = format!(
            r#"{{"schemaType":"ModelInvocationLog","schemaVersion":"1.0","timestamp":"2026-11-22T17:00:00Z","accountId":"123456789012","region":"us-east-1",
            "inferenceRegion":"us-west-2","requestId":"req-1","operation":"{operation}","modelId":"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.openai.gpt-5",
            "identity":{{"arn":"arn:aws:iam::123456789012:user/alice"}},"requestMetadata":{{"team":"search","stage":"x"}},
            "input":{{"inputContentType":"application/json","inputBodyJson":{{"messages":"SECRET-PROMPT"}},"inputTokenCount":4995,"cacheWriteInputTokenCount":4993}},"output":{output}}}"#
        );
        decode(record).row().clone()
    };
    let row = log("ConverseStream", r#"{"outputBodyJson":{"output":"SECRET"},"outputTokenCount":19}"#);
    check(
        &row,
        "event_id=req-1 provider_sent=aws.bedrock region=us-east-1 billing_account=123456789012 team=search payload_kind=bedrock.log input_tokens=4995 \
         uncached_input_tokens=2 output_tokens=19 notes=input_convention_corrected quality=exact",
    );
    assert_eq!(row.tags["stage"], "x");
    let body = r#"{"outputBodyJson":{"usage":{"inputTokens":4995,"outputTokens":19,"cacheWriteInputTokens":4993,
        "cacheDetails":[{"ttl":"1h","inputTokens":4993}]}}}"#;
    check(
        &log("Converse", body),
        "input_tokens=9988 uncached_input_tokens=4995 cache_write_1h_tokens=4993 cache_write_tokens=0 notes=",
    );
    // The record's counts hold where the body has less.
    let less = r#"{"outputBodyJson":{"usage":{"inputTokens":6000,"outputTokens":19,"cacheWriteInputTokens":100}}}"#;
    check(&log("Converse", less), "input_tokens=9988 uncached_input_tokens=4995 cache_write_tokens=4993 notes=");
}

#[test]
fn reasoning_beside_the_completion_is_added_where_the_total_says_so() {
    let grok = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7},"cost_in_usd_ticks":37756000}"#;
    check(&usage("x-ai", grok), "output_tokens=12 reasoning_tokens=7 cost=0.0037756 quality=exact");
    check(&usage("x-ai", &grok.replace("22", "15").replace(":7", ":4")), "output_tokens=5 reasoning_tokens=4");
    let perplexity = r#"{"prompt_tokens":20,"completion_tokens":11395,"total_tokens":11415,"citation_tokens":52,"num_search_queries":3,"reasoning_tokens":193947,"cost":{"total_cost":0.9}}"#;
    check(
        &usage("perplexity", perplexity),
        "output_tokens=205342 reasoning_tokens=193947 citation=52 query=3 cost=0.9",
    );
}

#[test]
fn plain_names_and_meters_by_their_own() {
    let row = usage(
        "p",
        r#"{"input_tokens":100,"cache_read_tokens":10,"cache_write_tokens":20,"cache_write_1h_tokens":5,"cache_write_12h":7,"audio_input_tokens":3,"output_tokens":9,
            "web_searches":2,"requests":1,"audio_second":1.25,"images":3,"document_page":0,"characters":12}"#,
    );
    check(
        &row,
        "input_tokens=100 uncached_input_tokens=58 cache_write_tokens=27 cache_write_12h=7 cache_write_1h_tokens=5 request=1 audio_second=1.25 images=3 document_page=absent characters=12",
    );
}

#[test]
fn cloudevents_structured_and_binary() {
    let data = r#"{"provider":"openai","model":"gpt-4o","usage":{"input_tokens":5}}"#;
    let structured = format!(
        r#"{{"specversion":"1.0","id":"ce-1","source":"/app","type":"llm","subject":"acme","time":"2026-11-22T17:00:00Z","datacontenttype":"application/json","data":{data}}}"#
    );
    let expected = "event_id=ce-1 event_source=/app customer=acme time=1795366800000000 payload_kind=cloudevents+event.v1 input_tokens=5";
    check(decode(&structured).row(), expected);
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "ce-1"),
        ("ce_source", "/app"),
        ("ce_subject", "acme"),
        ("ce_time", "2026-11-22T17:00:00Z"),
        ("content-type", "application/json"),
    ];
    check(decode_with(&DecodeConfig::default(), data.as_bytes(), &headers).row(), expected);
    let response = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","usage":{"prompt_tokens":5,"completion_tokens":1}}"#;
    let decoded = decode_with(&DecodeConfig::default(), response.as_bytes(), &headers);
    check(decoded.row(), "event_id=ce-1 response_id=chatcmpl-1 payload_kind=cloudevents+response provider_sent=openai");
    let own = structured.replace(r#"{"provider""#, r#"{"id":"own","provider""#);
    check(decode(own).row(), "event_id=own event_source=/app");
    let base64 = r#"{"specversion":"1.0","id":"ce-1","source":"/app","subject":"acme","time":"2026-11-22T17:00:00Z","data_base64":"eyJwcm92aWRlciI6Im9wZW5haSIsIm1vZGVsIjoiZ3B0LTRvIiwidXNhZ2UiOnsiaW5wdXRfdG9rZW5zIjo1fX0="}"#;
    check(decode(base64).row(), expected);
}

#[test]
fn openmeter_and_lago_by_their_usual_names() {
    let openmeter = |data: &str| {
        decode(format!(
            r#"{{"specversion":"1.0","id":"om-1","source":"app","type":"tokens","subject":"customer-1","time":"2026-11-22T17:00:00Z","data":{data}}}"#
        ))
    };
    let decoded = openmeter(r#"{"tokens":"120","type":"output","model":"gpt-4o","provider":"openai"}"#);
    check(
        decoded.row(),
        "event_id=om-1 customer=customer-1 output_tokens=120 input_tokens=0 payload_kind=cloudevents+openmeter",
    );
    check(
        openmeter(r#"{"input":10,"output":20,"model":"gpt-4o","provider":"openai"}"#).row(),
        "input_tokens=10 output_tokens=20",
    );
    assert_eq!(openmeter(r#"{"total_tokens":10,"model":"m","provider":"p"}"#).reject().0, "missing_field");
    let lago = r#"{"organization_id":"org","external_subscription_id":"sub-1","transaction_id":"t-1","code":"llm","timestamp":1795366800.25,
        "properties":{"model":"gpt-4o","provider":"openai","input_tokens":10,"output_tokens":"4","team":"search"}}"#.replace("\"4\"", "4");
    check(
        decode(lago).row(),
        "event_id=t-1 event_source=sub-1 customer=sub-1 organization=org feature=llm team=search time=1795366800250000 input_tokens=10 output_tokens=4 payload_kind=lago",
    );
    let cached = |properties: &str| {
        decode(format!(
            r#"{{"external_subscription_id":"sub-1","transaction_id":"t-1","code":"llm","timestamp":1795366800,"properties":{{"model":"gpt-4o","provider":"openai",{properties}}}}}"#
        ))
    };
    for properties in [
        r#""input_tokens":1000,"output_tokens":100,"cached_tokens":500"#,
        r#""input_tokens":"1000","output_tokens":"100","cached_tokens":"500""#,
    ] {
        check(
            cached(properties).row(),
            "input_tokens=1000 uncached_input_tokens=500 cache_read_tokens=500 output_tokens=100",
        );
    }
}

#[test]
fn gateways() {
    let openrouter = r#"{"id":"gen-1","provider":"Anthropic","object":"chat.completion","created":1795370390,"model":"anthropic/claude-4.5-sonnet","choices":[],
        "usage":{"prompt_tokens":14,"completion_tokens":4,"total_tokens":18,"cost":0.000102,"is_byok":false}}"#;
    let decoded = decode(openrouter);
    check(
        decoded.row(),
        "provider_sent=openrouter event_id=gen-1 model=anthropic/claude-4.5-sonnet cost=0.000102 input_tokens=14",
    );
    assert_eq!(decoded.row().tags["upstream_provider"], "Anthropic");
    let kong = r#"{"started_at":1795370390123,"request":{"id":"k-1"},"service":{"name":"chat"},"ai":{"ai-proxy":{"usage":{"prompt_token":89,"completion_token":84,"total_tokens":173,"cost":0.00123},
        "meta":{"request_model":"gpt-4","response_model":"gpt-4-0613","provider_name":"openai","llm_latency":2500},"cache":{"cache_status":"Hit"}}}}"#;
    let decoded = decode(kong);
    check(
        decoded.row(),
        "event_id=k-1 model=gpt-4-0613 provider_sent=openai app=chat input_tokens=89 output_tokens=84 cost=0.00123 notes=response_cache_hit",
    );
    assert_eq!((decoded.row().cache_hit, decoded.row().latency_ms), (Some(true), Some(2500)));
    let two = r#"{"request_id":"k-2","started_at":1795370390123,"ai":{"ai-request-transformer":{"usage":{"prompt_tokens":50,"completion_tokens":5,"total_tokens":55},
        "meta":{"response_model":"gpt-4o-mini","provider_name":"openai","llm_latency":1.5},"cache":{"cache_status":"Hit"}},"ai-proxy":{"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"cost":0.0035},
        "meta":{"response_model":"claude-sonnet-4-5","provider_name":"anthropic"},"cache":{"cache_status":"Miss"}}}}"#;
    let decoded = decode(two);
    assert_eq!((decoded.rows.len(), decoded.rows[0].latency_ms, decoded.rows[1].latency_ms), (2, Some(2), None));
    check(
        &decoded.rows[0],
        "event_id=k-2 provider_sent=openai model=gpt-4o-mini input_tokens=50 output_tokens=5 cost= notes=response_cache_hit",
    );
    check(
        &decoded.rows[1],
        "event_id=k-2#1 provider_sent=anthropic model=claude-sonnet-4-5 input_tokens=1000 output_tokens=100 cost=0.0035 notes=",
    );
    assert_eq!((decoded.rows[0].cache_hit, decoded.rows[1].cache_hit), (Some(true), Some(false)));
    let portkey = r#"{"id":"pk-1","created_at":"2026-11-22T17:00:00Z","is_success":true,"ai_org":"openai","ai_model":"gpt-4o","req_units":10,"res_units":5,"total_units":15,
        "cost":1.25,"cost_currency":"USD","response_status_code":200,"response_time":900,"cache_status":"MISS","trace_id":"tr","virtual_key":"vk-name","metadata":{"team":"search","x":"y"}}"#;
    let decoded = decode(portkey);
    check(
        decoded.row(),
        "event_id=pk-1 provider_sent=openai input_tokens=10 output_tokens=5 cost=0.0125 team=search api_key_id=vk-name status=ok",
    );
    let envoy = r#"{"start_time":"2026-11-22T17:00:00.123Z","genai_model_name":"gpt-4o","genai_model_name_override":"-","genai_backend_name":"default/openai/route/x",
        "genai_tokens_input":"25","genai_tokens_output":"10","genai_tokens_total":"35","response_code":200,"x-request-id":"rq-1"}"#;
    check(decode(envoy).row(), "event_id=rq-1 provider_sent=openai model=gpt-4o input_tokens=25 output_tokens=10");
}

#[test]
fn configured_mappings() {
    let mapping = MappingConfig {
        name: "billing".into(),
        when: [("kind".to_owned(), Text("llm".to_owned()))].into(),
        fields: [
            ("id", "uid"),
            ("time", "at"),
            ("provider", "=openai"),
            ("model", "llm.name"),
            ("input_tokens", "llm.in"),
            ("output_tokens", "llm.out"),
            ("tags.zone", "zone"),
            ("team", "owner.team"),
            ("reported_cost.amount", "usd"),
            ("status", "ok"),
            ("request", "=1"),
        ]
        .map(|(field, path)| (field.to_owned(), path.to_owned()))
        .into(),
    };
    let config = DecodeConfig { mappings: vec![mapping], ..DecodeConfig::default() };
    let theirs = r#"{"kind":"llm","uid":17,"at":1795366800,"llm":{"name":"gpt-4o","in":7,"out":"3"},"zone":"b","owner":{"team":"search"},"usd":0.10,"ok":false}"#;
    let decoded = decode_with(&config, theirs.as_bytes(), &[]);
    check(
        decoded.row(),
        "event_id=17 provider_sent=openai model=gpt-4o time=1795366800000000 input_tokens=7 output_tokens=3 team=search cost=0.10 status=error request=1 payload_kind=billing",
    );
    assert_eq!(decoded.row().tags["zone"], "b");
    assert_eq!(decode_with(&config, theirs.replace("llm\"", "other\"").as_bytes(), &[]).reject().0, "unknown_shape");
}

#[test]
fn other_signals_and_tombstones_are_nobodys_cost() {
    assert_eq!(decode(r#"{"resourceLogs":[]}"#).ignored, [(0, Ignored::NoUsage)]);
    assert_eq!(decode(r#"{"resourceSpans":[]}"#).ignored, [(0, Ignored::NoUsage)]);
    assert_eq!(decode("").ignored, [(0, Ignored::Tombstone)]);
    // An event stays one whatever empty lists it carries; two things in one item are told.
    let event = |rest: &str| {
        decode(format!(
            r#"{{"id":"e1","time":1795370399000,"provider":"openai","model":"m","usage":{{"input_tokens":7}},{rest}}}"#
        ))
    };
    for rest in [r#""resourceSpans":[]"#, r#""resourceLogs":[]"#, r#""resourceMetrics":[{}],"resourceSpans":null"#] {
        check(event(rest).row(), "event_id=e1 input_tokens=7");
    }
    assert_eq!(
        event(r#""resourceSpans":[{}]"#).reject(),
        ("unknown_shape", "the item holds 'usage' and 'resourceSpans', which are different calls; send each alone")
    );
}

#[test]
fn committed_tiers_in_any_spelling() {
    for (tier, committed) in [
        ("provisioned-throughput", true),
        ("Provisioned Throughput", true),
        ("PROVISIONED_THROUGHPUT", true),
        ("provisioned-throughput-x", false),
        ("stan_dard", false),
    ] {
        let event = format!(
            r#"{{"id":"e1","time":1795370399000,"provider":"openai","model":"m","service_tier":"{tier}","usage":{{"input_tokens":7}}}}"#
        );
        check(decode(event).row(), &format!("committed={committed}"));
    }
}

#[test]
fn a_key_is_never_kept_and_a_failure_without_usage_is() {
    let event = r#"{"id":"e1","time":1795370399000,"provider":"p","model":"m","usage":{},"status":"error","api_key_id":"sk-SECRET-ab12CD34ef56GH78"}"#;
    let decoded = decode(event);
    check(decoded.row(), "status=error notes=no_usage input_tokens=0");
    assert!(decoded.row().text("api_key_id").starts_with("sha256:"));
}
