//! Chunks of streamed answers: in one message they are one call with the last figures; alone the end of a stream is the call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use spendstream_pipeline::decode::Ignored;
use spendstream_schemas::config::DecodeConfig;
use support::{Decoded, check, decode, decode_with};

/// The items as an array and as JSON lines, which must come to the same.
#[track_caller]
fn both(items: &[&str]) -> Decoded {
    let decoded = decode(format!("[{}]", items.join(",")));
    assert_eq!(decoded, decode(items.join("\n")));
    decoded
}

fn places(decoded: &Decoded) -> (Vec<u32>, Vec<u32>) {
    assert!(decoded.ignored.iter().all(|(_, why)| *why == Ignored::StreamPart));
    let ignored = decoded.ignored.iter().map(|(index, _)| *index).collect();
    (decoded.rows.iter().map(|row| row.index).collect(), ignored)
}

fn gemini(response: &str, candidates: i64, candidate: &str) -> String {
    let total = 1000 + candidates;
    format!(
        r#"{{"candidates":[{{{candidate}}}],"usageMetadata":{{"promptTokenCount":1000,"candidatesTokenCount":{candidates},"totalTokenCount":{total}}},"modelVersion":"gemini-3-pro","responseId":"{response}","createTime":"2026-11-22T10:00:00Z"}}"#
    )
}

#[test]
fn of_gemini_chunks_the_last_is_the_call() {
    let chunks = [gemini("r1", 1, ""), gemini("r1", 50, ""), gemini("r1", 900, "")];
    let decoded = both(&chunks.each_ref().map(String::as_str));
    check(decoded.row(), "event_id=r1 model=gemini-3-pro input_tokens=1000 output_tokens=900 web_searches=0");
    assert_eq!(places(&decoded), (vec![2], vec![0, 1]));
    // Two answers by turns; what was searched for is told before the end; the very last chunk counts nothing.
    let searched = r#""groundingMetadata":{"webSearchQueries":["a","b"]}"#;
    let silent = r#"{"candidates":[{"finishReason":"STOP"}],"modelVersion":"gemini-3-pro","responseId":"r2"}"#;
    let chunks = [gemini("r1", 1, ""), gemini("r2", 7, searched), gemini("r1", 20, ""), gemini("r2", 30, "")];
    let [a, b, c, d] = chunks.each_ref().map(String::as_str);
    let decoded = both(&[a, b, c, d, silent]);
    assert_eq!(places(&decoded), (vec![2, 3], vec![0, 1, 4]));
    check(&decoded.rows[0], "event_id=r1 input_tokens=1000 output_tokens=20 web_searches=0");
    check(&decoded.rows[1], "event_id=r2 input_tokens=1000 output_tokens=30 web_searches=2");
    let headers = [("ce_specversion", "1.0"), ("ce_id", "ce-1")];
    let array = format!("[{a},{c}]");
    let binary = decode_with(&DecodeConfig::default(), array.as_bytes(), &headers);
    check(binary.row(), "event_id=r1 output_tokens=20");
}

/// The messages one by one, as different partitions or a restart between them would see them: what each is alone.
#[track_caller]
fn alone(messages: &[&str]) -> Vec<&'static str> {
    let what = |decoded: &Decoded| match (decoded.rows.len(), decoded.ignored.as_slice(), decoded.rejects.len()) {
        (1, [], 0) => "call",
        (0, [(0, Ignored::StreamPart)], 0) => "part",
        (0, [], 1) => "reject",
        _ => panic!("{decoded:?}"),
    };
    messages.iter().map(|message| what(&both(&[message]))).collect()
}

#[test]
fn of_gemini_chunks_in_messages_of_their_own_the_end_is_the_call() {
    let end = gemini("r1", 900, r#""content":{"parts":[{"text":"SECRET"}]},"finishReason":"MAX_TOKENS""#);
    let going_on = gemini("r1", 50, r#""finishReason":"FINISH_REASON_UNSPECIFIED""#);
    let silent = r#"{"candidates":[{"content":{}}],"modelVersion":"gemini-3-pro","responseId":"r1"}"#;
    let chunks = [&gemini("r1", 1, r#""index":0"#), &going_on, silent, &end];
    assert_eq!(alone(&chunks), ["part", "part", "part", "call"]);
    check(decode(&end).row(), "event_id=r1 input_tokens=1000 output_tokens=900");
    // The Python SDK's spelling, and an envelope around it.
    let theirs = r#"{"candidates":[{"finish_reason":null}],"response_id":"r1","model_version":"gemini-3-pro","usage_metadata":{"prompt_token_count":7}}"#;
    assert_eq!(alone(&[theirs]), ["part"]);
    let cloud = |data: &str| format!(r#"{{"specversion":"1.0","id":"ce","source":"s","type":"t","data":{data}}}"#);
    assert_eq!(alone(&[&cloud(chunks[0]), &cloud(&end)]), ["part", "call"]);
    // No chunks: a blocked prompt has no candidate, an embedding neither; a body without its id cannot be told from others.
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-3-pro","responseId":"r3"}"#;
    assert_eq!(alone(&[blocked]), ["call"]);
    // An event says that it is a call, whatever its body says: so an answer that broke off can be counted.
    let event = format!(
        r#"{{"id":"e1","time":1795370399000,"provider":"google","model":"gemini-3-pro","usage":{}}}"#,
        gemini("r1", 40, "")
    );
    check(decode(event).row(), "event_id=e1 output_tokens=40");
}

#[test]
fn of_openai_chunks_in_messages_of_their_own_the_end_is_the_call() {
    let chunk = |choices: &str, rest: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795370390,"model":"gpt-4o","choices":[{choices}]{rest}}}"#
        )
    };
    let usage = r#","usage":{"prompt_tokens":10,"completion_tokens":8,"total_tokens":18}"#;
    let text = r#"{"delta":{"role":"assistant","content":"SECRET"},"finish_reason":null}"#;
    let tool = r#"{"delta":{"content":"","tool_calls":[{"index":0}]}}"#;
    let empty = r#"{"delta":{"role":"assistant","content":""},"finish_reason":null}"#;
    let stop = r#"{"delta":{},"finish_reason":"stop"}"#;
    let null = r#","usage":null"#;
    let chunks = [chunk(text, ""), chunk(text, null), chunk(stop, null), chunk("", usage)];
    assert_eq!(alone(&chunks.each_ref().map(String::as_str)), ["part", "part", "part", "call"]);
    // Servers that count in every chunk, and a gateway whose last one still says that it goes on.
    let first = r#","usage":{"prompt_tokens":10,"completion_tokens":0,"total_tokens":10}"#;
    let counting =
        [chunk(empty, first), chunk(text, usage), chunk(tool, usage), chunk(stop, usage), chunk(empty, usage)];
    assert_eq!(alone(&counting.each_ref().map(String::as_str)), ["part", "part", "part", "call", "call"]);

    // As it is streamed: server-sent events in one message.
    let events = format!("event: x\ndata: {}\n\ndata: {}\n\ndata: [DONE]\n\n", chunk(text, null), chunk("", usage));
    let decoded = decode(&events);
    assert_eq!((decoded.rows.len(), decoded.rejects.len()), (1, 0), "{decoded:?}");
    check(decoded.row(), "event_id=chatcmpl-1 input_tokens=10 output_tokens=8");
    // Two chunks that count, in envelopes of their own: still one call.
    let cloud = |id: &str, data: &str| {
        decode(format!(r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"t","data":{data}}}"#))
            .row()
            .text("event_id")
            .to_owned()
    };
    assert_eq!([cloud("ce1", &chunk(stop, usage)), cloud("ce2", &chunk("", usage))], ["chatcmpl-1", "chatcmpl-1"]);

    let event = |kind: &str, usage: &str| {
        format!(
            r#"{{"type":"{kind}","response":{{"id":"resp_1","object":"response","model":"gpt-4o","usage":{usage}}}}}"#
        )
    };
    let counted = r#"{"input_tokens":10,"output_tokens":8,"total_tokens":18}"#;
    let delta = r#"{"type":"response.output_text.delta","item_id":"msg_1","delta":"SECRET"}"#;
    let events = [&event("response.created", "null"), &event("response.in_progress", "null"), delta];
    assert_eq!(alone(&events), ["part"; 3]);
    // The ends, and one without counts, which is told.
    let ends = [event("response.completed", counted), event("response.incomplete", counted)];
    assert_eq!(alone(&[&ends[0], &ends[1], &event("response.failed", "null")]), ["call", "call", "reject"]);
}

#[test]
fn an_end_that_counts_elsewhere_is_the_call() {
    let chunk = |model: &str, choice: &str, rest: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795370390,"model":"{model}","choices":[{{"index":0,{choice}}}]{rest}}}"#
        )
    };
    let usage = r#""usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"cached_tokens":400}"#;
    let text = r#""delta":{"content":"SECRET"},"finish_reason":null"#;
    let stop = r#""delta":{},"finish_reason":"stop""#;
    let groq = [
        chunk("openai/gpt-oss-120b", text, r#","x_groq":{"id":"req_1"}"#),
        chunk("openai/gpt-oss-120b", stop, &format!(r#","x_groq":{{"id":"req_1",{usage}}}"#)),
    ];
    let moonshot =
        [chunk("kimi-k2-0905-preview", text, ""), chunk("kimi-k2-0905-preview", &format!("{stop},{usage}"), "")];
    for (chunks, provider) in [(groq, "groq"), (moonshot, "moonshotai")] {
        let chunks = chunks.each_ref().map(String::as_str);
        assert_eq!(alone(&chunks), ["part", "call"]);
        let decoded = both(&chunks);
        assert_eq!(places(&decoded), (vec![1], vec![0]));
        assert_eq!(decode(chunks[1]).row().texts, decoded.row().texts);
        check(
            decoded.row(),
            &format!(
                "event_id=chatcmpl-1 provider_sent={provider} input_tokens=1000 cache_read_tokens=400 output_tokens=100"
            ),
        );
    }
}

#[test]
fn of_chat_chunks_the_last_that_counts_is_the_call() {
    let chunk = |usage: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795370390,"model":"gpt-4o","choices":[],"usage":{usage}}}"#
        )
    };
    let counted = |output: i64| {
        chunk(&format!(r#"{{"prompt_tokens":10,"completion_tokens":{output},"total_tokens":{}}}"#, 10 + output))
    };
    let chunks = [chunk("null"), counted(3), counted(8), chunk("null")];
    let decoded = both(&chunks.each_ref().map(String::as_str));
    check(decoded.row(), "event_id=chatcmpl-1 input_tokens=10 output_tokens=8");
    assert_eq!(places(&decoded), (vec![2], vec![0, 1, 3]));
    let nothing = both(&[&chunk("null"), &chunk("null")]);
    assert_eq!(nothing.reject().0, "unknown_shape", "a stream without counts is told once");
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":1000,"cache_creation_input_tokens":0,"cache_read_input_tokens":200,"output_tokens":1,"service_tier":"standard"}}}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":900,"input_tokens":null}}"#;
const TEXT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"SECRET"}}"#;

#[test]
fn anthropic_events_of_one_message_are_one_call_with_the_last_counts() {
    let early = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":40}}"#;
    let decoded = both(&[START, r#"{"type":"ping"}"#, TEXT, early, DELTA, r#"{"type":"message_stop"}"#]);
    check(
        decoded.row(),
        "event_id=msg_1 provider_sent=anthropic model=claude-sonnet-4-5 service_tier=standard input_tokens=1200 uncached_input_tokens=1000 cache_read_tokens=200 \
         output_tokens=900 quality=exact",
    );
    assert_eq!(places(&decoded), (vec![4], vec![0, 1, 2, 3, 5]));
    // Newer streams count everything anew, as web searches make the input grow.
    let grown = r#"{"type":"message_delta","usage":{"input_tokens":3000,"cache_read_input_tokens":500,"output_tokens":70,"server_tool_use":{"web_search_requests":2}}}"#;
    let next = START.replace("msg_1", "msg_2");
    let decoded = both(&[START, DELTA, &next, grown]);
    check(&decoded.rows[0], "event_id=msg_1 output_tokens=900");
    check(&decoded.rows[1], "event_id=msg_2 input_tokens=3500 cache_read_tokens=500 output_tokens=70 web_searches=2");
    assert_eq!(places(&decoded), (vec![1, 3], vec![0, 2]));
    // Writes that only the end counts are not in the split of the beginning.
    let split = r#""cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1"#;
    let start = START.replace("\"output_tokens\":1", split);
    let end = r#"{"type":"message_delta","usage":{"cache_creation_input_tokens":500,"output_tokens":70}}"#;
    check(both(&[&start, end]).row(), "cache_write_tokens=500 notes=cache_ttl_assumed quality=estimated");
}

#[test]
fn a_part_of_a_stream_alone_is_rejected_and_says_what_to_send() {
    let detail = |lacks: &str| {
        format!(
            "a stream's event alone has not counted the {lacks}; send the final usage: the whole message, or message_start and message_delta together"
        )
    };
    let event = format!(
        r#"{{"id":"e1","time":1795370399000,"provider":"anthropic","model":"claude-sonnet-4-5","usage":{START}}}"#
    );
    let cloud = format!(r#"{{"specversion":"1.0","id":"ce","source":"s","type":"t","data":{START}}}"#);
    for begun in [START, &event, &cloud, &format!("[{START}]")] {
        assert_eq!(decode(begun).reject(), ("missing_field", detail("output").as_str()), "{begun}");
    }
    assert_eq!(decode(DELTA).reject(), ("missing_field", detail("input").as_str()));
    // Which of two open streams the deltas count is not told.
    let next = START.replace("msg_1", "msg_2");
    let decoded = both(&[START, &next, DELTA, DELTA]);
    assert!(decoded.rows.is_empty());
    let reasons: Vec<&str> = decoded.rejects.iter().map(|(_, reject)| reject.reason.as_str()).collect();
    assert_eq!(reasons, ["missing_field"; 4]);
}
