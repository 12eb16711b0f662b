//! Events to load a broker or a decoder with: a number in, one event of about 340 bytes out. Pure, and the same every time.
//!
//! Three payload kinds in turn (OpenAI chat, Anthropic with cache writes, Gemini), the texts with a realistic number of
//! distinct values: 3 organisations, 24 teams, 60 apps, 2 000 users, 6 models. Every id is used once.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};

const OPENAI: [&str; 2] = ["gpt-5-mini", "gpt-4.1-mini"];
const ANTHROPIC: [&str; 2] = ["claude-sonnet-4-5", "claude-haiku-4-5"];
const GEMINI: [&str; 2] = ["gemini-2.5-flash", "gemini-2.5-pro"];

/// The event of that number, appended to `payload`. Times advance by a millisecond per event from `start_ms` (epoch).
pub fn event(number: u64, start_ms: i64, payload: &mut String) {
    let dice = mix(number);
    let time = DateTime::from_timestamp_millis(start_ms.saturating_add_unsigned(number)).unwrap_or_default();
    // Ordinary writes to a String cannot fail.
    let _ = write!(
        payload,
        r#"{{"id":"{}","time":"{}","organization":"org-{}","team":"team-{}","app":"app-{}","user":"user-{}","status":"ok","#,
        id(number),
        time.to_rfc3339_opts(SecondsFormat::Millis, true),
        dice % 3,
        dice / 3 % 24,
        dice / 72 % 60,
        mix(dice) % 2_000,
    );
    let input = 200 + (dice >> 20) % 4_000;
    let (cached, output) = (input / 4, 20 + (dice >> 40) % 600);
    let model = (dice >> 10) % 2;
    let _ = match number % 3 {
        0 => openai(payload, OPENAI[model as usize], input, cached, output),
        1 => anthropic(payload, ANTHROPIC[model as usize], input, cached, output),
        _ => gemini(payload, GEMINI[model as usize], input, cached, output),
    };
}

/// The key of the event of that number, which is its id.
pub fn id(number: u64) -> String {
    format!("{:016x}{number:08x}", mix(number ^ 0x5bd1_e995))
}

fn openai(to: &mut String, model: &str, input: u64, cached: u64, output: u64) -> std::fmt::Result {
    let (total, reasoning) = (input + output, output / 3);
    write!(
        to,
        r#""provider":"openai","model":"{model}","usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}}}"#
    )
}

fn anthropic(to: &mut String, model: &str, input: u64, cached: u64, output: u64) -> std::fmt::Result {
    let (written, uncached) = (input / 8, input - cached - input / 8);
    write!(
        to,
        r#""provider":"anthropic","model":"{model}","usage":{{"input_tokens":{uncached},"cache_read_input_tokens":{cached},"cache_creation_input_tokens":{written},"output_tokens":{output}}}}}"#
    )
}

fn gemini(to: &mut String, model: &str, input: u64, cached: u64, output: u64) -> std::fmt::Result {
    let (total, thoughts) = (input + output, output / 4);
    let candidates = output - thoughts;
    write!(
        to,
        r#""provider":"google","model":"{model}","usage":{{"promptTokenCount":{input},"cachedContentTokenCount":{cached},"candidatesTokenCount":{candidates},"thoughtsTokenCount":{thoughts},"totalTokenCount":{total}}}}}"#
    )
}

/// The finaliser of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{event, id};

    #[test]
    fn events_are_json_of_about_340_bytes() {
        let mut bytes = 0;
        for number in 0..3_000 {
            let mut payload = String::new();
            event(number, 1_795_000_000_000, &mut payload);
            bytes += payload.len();
            let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
            assert_eq!(value["id"], id(number));
            assert_eq!(value["usage"].as_object().map(|usage| usage.len() >= 4), Some(true), "{payload}");
        }
        assert!((300 * 3_000..380 * 3_000).contains(&bytes), "{} bytes each", bytes / 3_000);
    }

    #[test]
    fn ids_are_unique() {
        assert_eq!((0..100_000).map(id).collect::<HashSet<_>>().len(), 100_000);
    }
}
