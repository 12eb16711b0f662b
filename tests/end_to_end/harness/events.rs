//! Deterministic events with what each must cost, computed here by integers and known list prices only.

use std::fmt::Write as _;

/// One quadrillionth of a US dollar: the last digit of the lake's money columns.
pub type Femto = i128;

/// US dollars per million tokens, in hundredths of a cent: 2.50 → 25 000.
struct Price {
    input: i128,
    cache_read: i128,
    cache_write: i128,
    output: i128,
}

/// List prices of November 2026, from the providers' price pages.
const GPT_4O: Price = Price { input: 25_000, cache_read: 12_500, cache_write: 0, output: 100_000 };
const GPT_4O_MINI: Price = Price { input: 1_500, cache_read: 750, cache_write: 0, output: 6_000 };
const CLAUDE_SONNET_4_5: Price = Price { input: 30_000, cache_read: 3_000, cache_write: 37_500, output: 150_000 };

/// A ten-thousandth of a dollar per million tokens is 10⁻¹⁰ dollars per token, that is 10⁵ femtodollars.
const FEMTO: Femto = 100_000;

/// An event: its message and its cost.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub json: String,
    pub cost: Femto,
}

impl Price {
    fn of(&self, uncached: u64, read: u64, write: u64, output: u64) -> Femto {
        let part = |count: u64, price: i128| i128::from(count) * price;
        let parts = [(uncached, self.input), (read, self.cache_read), (write, self.cache_write), (output, self.output)];
        parts.into_iter().map(|(count, price)| part(count, price)).sum::<i128>() * FEMTO
    }
}

/// Event `number` of the series `series`: three payload kinds, five teams, two dates, odd token counts.
pub fn event(series: &str, number: u64) -> Event {
    event_at(series, number, &time(number))
}

/// The same at another time, RFC 3339.
pub fn event_at(series: &str, number: u64, time: &str) -> Event {
    let id = format!("{series}-{number}");
    let uncached = 100 + number % 977;
    let read = number * 7 % 1_024;
    let write = number * 13 % 512;
    let output = 1 + number * 31 % 769;
    let (call, cost) = match number % 3 {
        0 => (openai(uncached, read, output), GPT_4O.of(uncached, read, 0, output)),
        1 => (anthropic(uncached, read, write, output), CLAUDE_SONNET_4_5.of(uncached, read, write, output)),
        _ => (plain(uncached, read, output), GPT_4O_MINI.of(uncached, read, 0, output)),
    };
    let mut json = format!(r#"{{"id":"{id}","time":"{time}","organization":"acme","#);
    write!(json, r#""team":"team-{}","user":"user-{}",{call}}}"#, number % 5, number % 211).unwrap();
    Event { id, json, cost }
}

/// On the second and third of November 2026, in turn.
fn time(number: u64) -> String {
    let (day, second) = (2 + number % 2, number / 2 % 86_400);
    format!("2026-11-{day:02}T{:02}:{:02}:{:02}.{:03}Z", second / 3_600, second / 60 % 60, second % 60, number % 1_000)
}

/// OpenAI's prompt tokens include the cached ones.
fn openai(uncached: u64, read: u64, output: u64) -> String {
    format!(
        r#""provider":"openai","model":"gpt-4o","usage":{{"prompt_tokens":{prompt},"completion_tokens":{output},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{read}}}}}"#,
        prompt = uncached + read,
        total = uncached + read + output,
    )
}

/// Anthropic's input tokens do not.
fn anthropic(uncached: u64, read: u64, write: u64, output: u64) -> String {
    format!(
        r#""provider":"anthropic","model":"claude-sonnet-4-5","usage":{{"input_tokens":{uncached},"cache_read_input_tokens":{read},"cache_creation_input_tokens":{write},"output_tokens":{output}}}"#
    )
}

/// The contract's own names: the total includes the cached ones.
fn plain(uncached: u64, read: u64, output: u64) -> String {
    format!(
        r#""provider":"openai","model":"gpt-4o-mini","usage":{{"input_tokens":{},"cache_read_tokens":{read},"output_tokens":{output}}}"#,
        uncached + read
    )
}

/// `0.00252` → 2 520 000 000 000. Refuses more than 15 decimals.
pub fn femto(text: &str) -> Femto {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(part.len() <= 15 || part[15..].bytes().all(|digit| digit == b'0'), "{text} has more than 15 decimals");
    let part = format!("{:0<15}", &part[..part.len().min(15)]);
    let value: Femto = format!("{whole}{part}").parse().unwrap_or_else(|_| panic!("{text} is no amount"));
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::{GPT_4O, femto};

    /// The capture's gpt-4o call: 1200 in of which 1024 cached, 80 out, is 0.00252 dollars.
    #[test]
    fn arithmetic_of_the_tests_agrees_with_a_known_call() {
        assert_eq!(GPT_4O.of(176, 1_024, 0, 80), femto("0.00252"));
        assert_eq!(femto("-1.5"), -1_500_000_000_000_000);
    }
}
