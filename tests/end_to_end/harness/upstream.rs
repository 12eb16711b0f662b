//! A stand-in for OpenAI's API: every chat completion has the same usage, an id of its own, and a completion that must be nowhere
//! afterwards. Non-streaming, or as server-sent events whose last chunk has the usage.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// Starts to serve on a free port until the test binary ends; returns the base URL.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let answered = AtomicU32::new(0);
        for stream in listener.incoming().flatten() {
            // A client that goes away takes its answer along.
            let _ = answer(stream, answered.fetch_add(1, Ordering::Relaxed));
        }
    });
    url
}

fn answer(mut stream: TcpStream, number: u32) -> std::io::Result<()> {
    let asked: Value = serde_json::from_slice(&body(&stream)?)?;
    let completion = json!({ "id": format!("chatcmpl-{number}"), "created": 1_795_341_600, "model": asked["model"] });
    let with = |members: Value| {
        let mut whole = completion.clone();
        whole.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        whole
    };
    let (kind, body) = if asked["stream"] == true {
        let chunks = [
            with(
                json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "SECRET-COMPLETION" } }] }),
            ),
            with(
                json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }),
            ),
            with(json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage() })),
        ];
        let events: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let events = events.concat();
        ("text/event-stream", events + "data: [DONE]\n\n")
    } else {
        let message = json!({ "role": "assistant", "content": "SECRET-COMPLETION" });
        let choices = json!([{ "index": 0, "message": message, "finish_reason": "stop" }]);
        let whole = with(json!({ "object": "chat.completion", "choices": choices, "usage": usage() }));
        ("application/json", whole.to_string())
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// What `expected.json` knows as "gpt-4o" and "gpt-4o-mini (streamed)".
fn usage() -> Value {
    json!({
        "prompt_tokens": 1200, "completion_tokens": 80, "total_tokens": 1280,
        "prompt_tokens_details": { "cached_tokens": 1024 }, "completion_tokens_details": { "reasoning_tokens": 32 },
    })
}

fn body(stream: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}
