//! How many tokens a text has: in come a model's name and a text, out come a number and what it rests on. The text is not kept.

use serde::Serialize;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// Longer texts are not tokenised: it would take too long for an estimate.
const MAX_BYTES: usize = 1 << 20;
/// Nor are texts with a longer run of one kind of character, whose tokens take quadratic time to find.
const MAX_RUN: usize = 4_096;

/// Where a number of tokens comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// It was given.
    Given,
    /// Counted by the tokenizer of this model.
    Tokenizer,
    /// Counted by OpenAI's o200k tokenizer, as the model's own is not public; usually within a fifth.
    TokenizerApproximation,
    /// A quarter of the characters: the text is too long or too odd for a tokenizer.
    Characters,
}

/// Tokens of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    pub tokens: i64,
    pub basis: Basis,
}

/// Counts the tokens of `text` as `model` would, without the few tokens that a chat's framing adds.
#[must_use]
pub fn tokens_of_text(model: &str, text: &str) -> TokenCount {
    if text.len() > MAX_BYTES || has_long_run(text) {
        return by_characters(text);
    }
    let (tokenizer, basis) = match tokenizer_of(model) {
        Some(tokenizer) => (tokenizer, Basis::Tokenizer),
        None => (Tokenizer::O200kBase, Basis::TokenizerApproximation),
    };
    match tiktoken_rs::bpe_for_tokenizer(tokenizer) {
        Ok(bpe) => TokenCount { tokens: count(bpe.count_ordinary(text)), basis },
        Err(_) => by_characters(text),
    }
}

/// By the last part of the name, so that `openai/gpt-4o` and `azure/gpt-4o` are known too.
fn tokenizer_of(model: &str) -> Option<Tokenizer> {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    get_tokenizer(&name)
}

fn by_characters(text: &str) -> TokenCount {
    TokenCount { tokens: count(text.chars().count().div_ceil(4)), basis: Basis::Characters }
}

fn count(tokens: usize) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// Tokenizers split at changes between letters, digits, blanks and signs; what is not split is merged pair by pair.
fn has_long_run(text: &str) -> bool {
    let kind = |c: char| match c {
        c if c.is_alphabetic() => 0,
        c if c.is_numeric() => 1,
        c if c.is_whitespace() => 2,
        _ => 3,
    };
    let (mut run, mut last) = (0, 4);
    text.chars().any(|c| {
        run = if kind(c) == last { run + 1 } else { 1 };
        last = kind(c);
        run > MAX_RUN
    })
}
