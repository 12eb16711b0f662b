//! Counts of one dialect beside the totals of another: whichever is read, the other would go uncounted, without a word.

use super::super::field::amount;
use super::super::json::Node;
use super::super::reject::{Fault, Reason};
use super::{Shape, plain, tools};

const INPUTS: [&str; 6] =
    ["prompt_tokens", "input_tokens", "inputTokens", "inputTokenCount", "promptTokenCount", "prompt_token_count"];
const OUTPUTS: [&str; 9] = [
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "outputTokenCount",
    "candidatesTokenCount",
    "candidates_token_count",
    "responseTokenCount",
    "response_token_count",
    "generation_token_count",
];

/// The names of its totals, input and output.
fn own(shape: Shape) -> Option<(&'static [&'static str], &'static [&'static str])> {
    match shape {
        Shape::Chat => Some((&INPUTS[..1], &OUTPUTS[..1])),
        Shape::Responses | Shape::Anthropic | Shape::Plain => Some((&INPUTS[1..2], &OUTPUTS[1..2])),
        Shape::Converse => Some((&INPUTS[2..4], &OUTPUTS[2..4])),
        Shape::Gemini => Some((&INPUTS[4..], &OUTPUTS[4..])),
        // Its counts are deeper inside.
        Shape::Cohere => None,
    }
}

/// Refuses a total under another dialect's name where the shape's own is missing or 0, and a plain name of ours that the shape does not
/// read.
pub(super) fn check(shape: Shape, usage: &Node<'_>) -> Result<(), Fault> {
    let Some((inputs, outputs)) = own(shape) else { return Ok(()) };
    let counts = |key: &str| usage.get(key).and_then(amount).is_some_and(|amount| !amount.is_zero());
    for (own, all) in [(inputs, &INPUTS[..]), (outputs, &OUTPUTS[..])] {
        if own.iter().any(|key| counts(key)) {
            continue;
        }
        if let Some(other) = all.iter().find(|key| counts(key)) {
            return Err(refused(other, own[0]));
        }
    }
    if shape != Shape::Plain {
        let is_ours = |key: &str| {
            !is_total(key)
                && !matches!(key, "total_tokens" | "seconds")
                && !shares(shape, key)
                && plain::is_plain(key)
                && counts(key)
        };
        if let Some((key, _)) = usage.members().iter().find(|(key, _)| is_ours(key)) {
            return Err(refused(key, inputs[0]));
        }
    }
    Ok(())
}

/// Whether a dialect calls its input or output so.
pub(super) fn is_total(key: &str) -> bool {
    INPUTS.contains(&key) || OUTPUTS.contains(&key)
}

/// Names of ours that others use too. OpenAI's agents count their requests beside the names of responses; there they cost nothing by themselves.
fn shares(shape: Shape, key: &str) -> bool {
    matches!(key, "reasoning_tokens" | "cached_tokens")
        || (shape == Shape::Responses && key == "requests")
        || tools::is_own(key)
}

fn refused(key: &str, own: &str) -> Fault {
    let detail = format!(
        "'usage.{key}' would not be counted beside the names that '{own}' belongs to; send all counts by the names of one provider, or all by \
         those of event v1 (input_tokens, output_tokens, …)"
    );
    Fault::new(Reason::WrongType, detail)
}

#[cfg(test)]
mod tests {
    use super::super::super::json::Node;
    use super::super::shape_of;
    use super::check;

    #[test]
    fn counts_of_two_dialects_are_not_half_read() {
        for (usage, fine) in [
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"reasoning_tokens":2}"#, true),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"input_tokens":10,"output_tokens":5}"#, true),
            (r#"{"prompt_tokens":10,"total_tokens":10,"output_tokens":0}"#, true),
            (r#"{"requests":3,"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":0}}"#, true),
            (r#"{"input_tokens":10,"output_tokens":5,"web_searches":2}"#, true),
            (r#"{"input_tokens":1000,"output_tokens":100,"prompt_tokens":0}"#, false),
            (r#"{"prompt_tokens":1000,"output_tokens":100}"#, false),
            (r#"{"input_tokens":1000,"completion_tokens":100}"#, false),
            (r#"{"inputTokens":1000,"output_tokens":100}"#, false),
            (r#"{"promptTokenCount":1000,"output_tokens":100}"#, false),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"web_searches":2}"#, false),
            (r#"{"inputTokens":10,"outputTokens":5,"web_searches":2}"#, false),
            (r#"{"requests":3,"prompt_tokens":10,"completion_tokens":5}"#, false),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"cache_read_tokens":2}"#, false),
            (
                r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":0},"web_searches":2}"#,
                false,
            ),
            (r#"{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":0,"cache_read_tokens":2}"#, false),
        ] {
            let node = Node::parse(usage).unwrap();
            assert_eq!(check(shape_of(&node).unwrap(), &node).is_ok(), fine, "{usage}");
        }
    }
}
