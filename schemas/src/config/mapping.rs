//! What a configured mapping may fill: the fields of event v1 and whatever a price book can price. A name in, a fault out; what the
//! paths lead to is found by the decoder.

use crate::count::Count;
use crate::dimension::Text;
use crate::meter::{self, Token};

/// Fields of event v1 that are neither a text nor a count.
const OTHERS: [&str; 7] =
    ["tenant", "time", "latency_ms", "cache_hit", "usage", "reported_cost.amount", "reported_cost.currency"];

/// Whether a mapping can fill a field of that name.
fn is_field(name: &str) -> bool {
    let tag = name.strip_prefix("tags.").is_some_and(|tag| !tag.is_empty());
    tag || counts().any(|count| count == name)
        || texts().any(|text| text == name)
        || OTHERS.contains(&name)
        || is_meter(name)
}

fn texts() -> impl Iterator<Item = &'static str> {
    Text::ALL.into_iter().map(Text::event_name).filter(|name| !name.is_empty())
}

/// Uncached input follows from the others.
fn counts() -> impl Iterator<Item = &'static str> {
    Count::ALL.into_iter().filter(|count| *count != Count::UncachedInput).map(Count::column)
}

/// `input` and `output` are meters without their cached and reasoning parts, which no event can say.
fn is_meter(name: &str) -> bool {
    let named = meter::is_known(name) || !meter::alternatives(name).is_empty();
    (named && !matches!(name, "input" | "output")) || meter::PLAIN_ALIASES.iter().any(|(alias, _)| *alias == name)
}

/// The field that was probably meant by a name that is none; `None` when the name is one.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    if is_field(name) {
        return None;
    }
    let tokens = Token::ALL.into_iter().map(Token::name);
    let meters = tokens.chain(meter::OTHERS).filter(|name| is_meter(name));
    let all = counts().chain(texts()).chain(OTHERS).chain(meters);
    // What goes on where the name ends was meant rather than what is spelled a little otherwise; of equals the first.
    all.min_by_key(|candidate| {
        let begins = !name.is_empty() && candidate.starts_with(name);
        if begins { (0, 0) } else { (1, strsim::damerau_levenshtein(candidate, name)) }
    })
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn every_field_of_an_event_and_every_meter_may_be_filled() {
        for name in [
            "id",
            "time",
            "model",
            "tenant",
            "usage",
            "input_tokens",
            "cache_write_1h_tokens",
            "tags.any thing",
            "reported_cost.amount",
            "latency_ms",
            "audio_second",
            "seconds",
            "pages_processed",
            "cache_read",
            "cache_write_5m_tokens",
            "web_searches",
            "request",
            "cache_read_audio",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        for (name, expected) in [
            ("modle", "model"),
            ("input_token", "input_tokens"),
            ("Provider", "provider"),
            ("organisation", "organization"),
            ("input", "input_tokens"),
            ("output", "output_tokens"),
            ("audio_secnd", "audio_second"),
            ("reported_cost", "reported_cost.amount"),
        ] {
            assert_eq!(meant(name), Some(expected), "{name}");
        }
        for name in ["tags.", "uncached_input_tokens", "total_tokens", "trace_id", ""] {
            assert!(meant(name).is_some(), "{name}");
        }
    }
}
