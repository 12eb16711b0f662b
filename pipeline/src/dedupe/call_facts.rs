//! Whether two spans, one inside the other, tell of one call. In: what both say; out: yes or no, and which of them says more.
//!
//! Instrumentations wrap each other, so one call comes as several spans; a call inside another (a retrieval inside a chat)
//! is a second one. Only what the lake keeps of a span is looked at, so that a restart judges the same.

use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::UsageRow;

use crate::columns::interner::text_hash;

/// What a span says about its call; hashes, 0 where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// Of [`base_model`].
    pub model: u64,
    pub operation: u64,
    pub response: u64,
    /// Tokens.
    pub input: i64,
    /// Tokens.
    pub output: i64,
}

impl CallFacts {
    /// Of texts that are already hashed, [`base_model`] among them.
    #[must_use]
    pub fn new(model: u64, operation: u64, response: u64, counts: &Counts) -> Self {
        Self { model, operation, response, input: counts.get(Count::Input), output: counts.get(Count::Output) }
    }

    /// Of a decoded row.
    #[must_use]
    pub fn of(row: &UsageRow<'_>) -> Self {
        let hash = |text: Text| row.texts.get(text).map_or(0, text_hash);
        let model = row.texts.get(Text::Model).map_or(0, model_hash);
        Self::new(model, hash(Text::Operation), hash(Text::ResponseId), &row.counts)
    }

    /// Of two spans in ancestor relation: the same response, the same model, or other names for it but the same operation with
    /// the same counts. The provider is not compared: of one call the outer span may name the API's flavour and the inner one
    /// who bills. Other response ids of one model are no two calls: an outer span may sum up several inner ones.
    #[must_use]
    pub fn same_call(&self, other: &Self) -> bool {
        let responses = (self.response != 0 && other.response != 0).then_some(self.response == other.response);
        let models = self.model == other.model || self.model == 0 || other.model == 0;
        let counts = self.counts_something() && (self.input, self.output) == (other.input, other.output);
        responses == Some(true) || models || (counts && responses.is_none() && self.operation == other.operation)
    }

    /// True when this one counts every kind of token that the other counts.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        (self.input > 0 || other.input == 0) && (self.output > 0 || other.output == 0)
    }

    #[must_use]
    pub fn counts_something(&self) -> bool {
        self.input > 0 || self.output > 0
    }
}

/// The hash of a model's base name.
#[must_use]
pub fn model_hash(model: &str) -> u64 {
    text_hash(base_model(model))
}

/// A model's name without where it runs and which edition it is: the request says `gpt-4o`, the response
/// `gpt-4o-2024-08-06`, a gateway `azure/gpt-4o`, Bedrock `eu.anthropic.claude-sonnet-4-5-20250929-v1:0`. A fine-tuned model's
/// name is its own.
#[must_use]
pub fn base_model(model: &str) -> &str {
    if model.starts_with("ft:") {
        return model;
    }
    let mut base = model.rsplit('/').next().unwrap_or(model);
    while let Some((place, rest)) = base.split_once('.')
        && !place.is_empty()
        && place.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        base = rest;
    }
    base = base.split('@').next().unwrap_or(base);
    base = base.strip_suffix(":latest").or_else(|| base.strip_suffix("-latest")).unwrap_or(base);
    if let Some((name, number)) = base.rsplit_once(':')
        && is_digits(number)
    {
        base = name.trim_end_matches(|letter: char| letter.is_ascii_digit()).strip_suffix("-v").unwrap_or(name);
    }
    let edition = without_date(base);
    if edition.is_empty() { model } else { edition }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Without `-2024-08-06`, `-20250929`, `-0613` or `-001` at the end.
fn without_date(name: &str) -> &str {
    let Some((rest, last)) = name.rsplit_once('-').filter(|(_, last)| is_digits(last)) else { return name };
    match last.len() {
        3 | 4 | 8 => rest,
        2 => {
            let year = |rest: &'_ str| rest.len() == 4 && is_digits(rest);
            let month = rest.rsplit_once('-').filter(|(_, month)| month.len() == 2 && is_digits(month));
            match month.and_then(|(rest, _)| rest.rsplit_once('-')) {
                Some((rest, last)) if year(last) => rest,
                _ => name,
            }
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{CallFacts, base_model};

    #[test]
    fn editions_and_places_of_a_model_have_one_base_name() {
        for (sent, base) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("azure/gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4o-mini", "gpt-4o-mini"),
            ("gpt-4.1", "gpt-4.1"),
            ("gpt-4-0613", "gpt-4"),
            ("chatgpt-4o-latest", "chatgpt-4o"),
            ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("models/gemini-2.0-flash-001", "gemini-2.0-flash"),
            ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash-preview-09"),
            ("llama3:8b", "llama3:8b"),
            ("llama3:latest", "llama3"),
            ("ft:gpt-4o-2024-08-06:acme::7", "ft:gpt-4o-2024-08-06:acme::7"),
            ("text-embedding-3-small", "text-embedding-3-small"),
            ("m", "m"),
            ("", ""),
            ("/", "/"),
            ("-001", "-001"),
        ] {
            assert_eq!(base_model(sent), base, "{sent}");
        }
    }

    fn facts(model: u64, response: u64, input: i64, output: i64) -> CallFacts {
        CallFacts { model, operation: 1, response, input, output }
    }

    #[test]
    fn one_call_is_told_by_its_response_its_model_or_its_counts() {
        let one = facts(1, 7, 1_000, 100);
        for (other, same) in [
            (facts(2, 7, 5, 5), true),
            (facts(1, 8, 5, 5), true),
            (facts(1, 0, 0, 0), true),
            (facts(0, 0, 5, 5), true),
            (facts(2, 0, 1_000, 100), true),
            (facts(2, 8, 1_000, 100), false),
            (facts(2, 0, 1_000, 101), false),
            (CallFacts { operation: 2, ..facts(2, 0, 1_000, 100) }, false),
        ] {
            assert_eq!(one.same_call(&other), same, "{other:?}");
            assert_eq!(other.same_call(&one), same, "{other:?}");
        }
        assert!(!facts(1, 0, 0, 0).same_call(&facts(2, 0, 0, 0)), "counts that are none are not the same");
    }

    #[test]
    fn who_counts_more_kinds_covers_who_counts_fewer() {
        let (nothing, output, both) = (facts(1, 0, 0, 0), facts(1, 0, 0, 9), facts(1, 0, 9, 9));
        assert!(both.covers(&both) && both.covers(&output) && output.covers(&nothing) && nothing.covers(&nothing));
        assert!(!nothing.covers(&output) && !output.covers(&both));
        assert!(!output.covers(&facts(1, 0, 9, 0)) && !facts(1, 0, 9, 0).covers(&output));
    }
}
