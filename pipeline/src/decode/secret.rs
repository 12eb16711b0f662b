//! Texts that must not be kept: what looks like a key, a message where a word is due, content where a hash is due.
//!
//! A row goes in and comes out without them, whichever column or tag held them. Pure; never looks at counts.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::UsageRow;

use super::call::hex;

/// Stands where a text was.
pub(super) const REMOVED: &str = "[removed]";

/// A longer text is no identifier.
const MAX_WORD: usize = 64;
/// A longer text is no hash.
const MAX_HASH: usize = 256;

/// How keys begin, in any case, and how many characters of a key follow at least.
const ANY_CASE: [(&[u8], usize); 17] = [
    (b"sk-", 1),
    (b"sk_", 4),
    (b"pk-", 8),
    (b"pk_", 8),
    (b"r8_", 4),
    (b"ya29.", 1),
    (b"gsk_", 4),
    (b"ghp_", 4),
    (b"gho_", 4),
    (b"ghs_", 4),
    (b"github_pat_", 4),
    (b"glpat-", 4),
    (b"xoxb-", 4),
    (b"xoxp-", 4),
    (b"xoxa-", 4),
    (b"hf_", 16),
    (b"bearer ", 1),
];

/// As [`ANY_CASE`], where only this case is a key's: `asia-east1` is a region, `xai-grok-4` a model.
const THIS_CASE: [(&[u8], usize); 5] = [(b"AIza", 4), (b"AKIA", 8), (b"ASIA", 12), (b"eyJ", 8), (b"xai-", 16)];

/// What stands before `=` and a secret.
const BEFORE_EQUALS: [&[u8]; 5] = [b"key", b"token", b"secret", b"password", b"signature"];
/// What stands before `:` and a secret.
const BEFORE_COLON: [&[u8]; 4] = [b"authorization", b"api-key", b"api_key", b"password"];

/// A shorter text holds no key: `sk-x` is the shortest of all.
const SHORTEST: usize = 4;

/// What a byte can be to a key.
const WORD: u8 = 1;
/// The first character of a prefix. Twice [`WORD`], so that a mask of the byte before decides without a branch.
const FIRST: u8 = 2;
/// `=` or `:`, which a secret may follow.
const SIGN: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let first =
            matches!(byte.to_ascii_lowercase(), b's' | b'p' | b'r' | b'y' | b'g' | b'x' | b'h' | b'b' | b'a' | b'e');
        classes[byte as usize] = match byte {
            b'=' | b':' => SIGN,
            _ if first => WORD | FIRST,
            _ if byte.is_ascii_alphanumeric() => WORD,
            _ => 0,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

/// True for a text that holds an API key, rather than the name of one. Nearly every byte of nearly every text is passed over by
/// one look into a table: this runs over all texts of all events.
pub(super) fn looks_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST {
        return false;
    }
    let mut before = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let class = CLASSES[usize::from(*byte)];
        // A key begins where no word goes on.
        let telling = SIGN | (FIRST & !(before << 1));
        if class & telling != 0 && (begins_key(&bytes[at..]) || (class == SIGN && follows_name(bytes, at))) {
            return true;
        }
        before = class;
    }
    false
}

/// Whether the sign at `at` stands between the name of a secret and something.
fn follows_name(bytes: &[u8], at: usize) -> bool {
    let names: &[&[u8]] = if bytes[at] == b'=' { &BEFORE_EQUALS } else { &BEFORE_COLON };
    at + 1 < bytes.len() && names.iter().any(|name| ends_with(&bytes[..at], name))
}

fn begins_key(rest: &[u8]) -> bool {
    let [first, second, ..] = rest else { return false };
    // The first two characters of all prefixes; most words end here.
    let begins = matches!(
        (first.to_ascii_lowercase(), second.to_ascii_lowercase()),
        (b's' | b'p', b'k')
            | (b'r', b'8')
            | (b'y', b'a')
            | (b'g', b's' | b'h' | b'i' | b'l')
            | (b'x', b'o' | b'a')
            | (b'h', b'f')
            | (b'b', b'e')
            | (b'a', b'i' | b'k' | b's')
            | (b'e', b'y')
    );
    if !begins {
        return false;
    }
    let follows = |length: usize, least: usize| {
        let tail = rest.get(length..).unwrap_or_default();
        // Names of models and teams are hyphenated; long runs without a hyphen are not names.
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || (*byte == b'-' && least < 12);
        tail.iter().take(least).filter(|byte| is_key(byte)).count() == least
    };
    let any_case = |(prefix, least): &(&[u8], usize)| {
        rest.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            && follows(prefix.len(), *least)
    };
    ANY_CASE.iter().any(any_case)
        || THIS_CASE.iter().any(|(prefix, least)| rest.starts_with(prefix) && follows(prefix.len(), *least))
}

fn ends_with(text: &[u8], name: &[u8]) -> bool {
    text.len().checked_sub(name.len()).is_some_and(|from| text[from..].eq_ignore_ascii_case(name))
}

/// One identifier, such as `RateLimitError`; a message is none.
pub(super) fn is_word(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/#$".contains(&byte);
    text.len() <= MAX_WORD && text.bytes().all(part)
}

/// A hash or id in any alphabet without spaces.
fn is_hash(text: &str) -> bool {
    text.len() <= MAX_HASH && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What takes the place of a key where rows are told apart by it.
fn masked(text: &str) -> String {
    format!("sha256:{}", &hex(&Sha256::digest(text.as_bytes()))[..16])
}

/// Takes out of a row whatever must not be kept. Ids become hashes, because identity hangs on them.
pub(super) fn clean<'a>(row: &mut UsageRow<'a>) {
    for text in Text::ALL {
        let Some(value) = row.texts.get(text) else { continue };
        let due = match text {
            Text::PayloadKind | Text::Status => continue,
            Text::ErrorType => is_word(value),
            Text::PromptHash => is_hash(value),
            _ => true,
        };
        if due && !looks_secret(value) {
            continue;
        }
        let instead: Cow<'a, str> = match text {
            Text::EventId | Text::ItemId | Text::ResponseId | Text::ApiKeyId => masked(value).into(),
            _ => REMOVED.into(),
        };
        row.texts.set(text, instead);
    }
    let mut removed = false;
    row.tags.retain(|(key, value)| {
        if looks_secret(value) {
            *value = REMOVED.into();
        }
        let secret = looks_secret(key);
        if secret {
            *key = REMOVED.into();
        }
        // One such tag says as much as many, and tags have one value each.
        !(secret && std::mem::replace(&mut removed, true))
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_prefix_is_passed_over_by_its_first_characters() {
        let all = ANY_CASE.iter().chain(&THIS_CASE);
        for (prefix, least) in all {
            let text = format!("{}{}", std::str::from_utf8(prefix).unwrap(), "A1".repeat(*least));
            assert!(looks_secret(&text), "{text}");
        }
    }

    /// Every position looked at by the rules themselves.
    fn by_the_rules(text: &str) -> bool {
        let bytes = text.as_bytes();
        (0..bytes.len()).any(|at| {
            let within_word = at > 0 && bytes[at - 1].is_ascii_alphanumeric();
            let any_case = ANY_CASE.iter().map(|(prefix, least)| (prefix, least, true));
            let mut prefixed = any_case.chain(THIS_CASE.iter().map(|(prefix, least)| (prefix, least, false)));
            let key = prefixed.any(|(prefix, least, any_case)| {
                let (Some(start), Some(tail)) =
                    (bytes.get(at..at + prefix.len()), bytes.get(at + prefix.len()..at + prefix.len() + least))
                else {
                    return false;
                };
                let same = if any_case { start.eq_ignore_ascii_case(prefix) } else { start == *prefix };
                same && tail.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || (*b == b'-' && *least < 12))
            });
            let named = |sign: u8, names: &[&[u8]]| {
                bytes[at] == sign && at + 1 < bytes.len() && names.iter().any(|name| ends_with(&bytes[..at], name))
            };
            (!within_word && key) || named(b'=', &BEFORE_EQUALS) || named(b':', &BEFORE_COLON)
        })
    }

    /// Pieces that keys are made of, and whatever else.
    fn piece() -> impl Strategy<Value = String> {
        let prefix = || {
            let all = ANY_CASE.iter().chain(&THIS_CASE).map(|(prefix, _)| String::from_utf8(prefix.to_vec()).unwrap());
            prop::sample::select(all.collect::<Vec<_>>())
        };
        let name = || {
            let all = BEFORE_EQUALS.iter().chain(&BEFORE_COLON).map(|name| String::from_utf8(name.to_vec()).unwrap());
            prop::sample::select(all.collect::<Vec<_>>())
        };
        prop_oneof![
            prefix(),
            prefix().prop_map(|prefix| prefix.to_uppercase()),
            name(),
            name().prop_map(|name| name.to_uppercase()),
            prop::sample::select(vec!["=", ":", " ", "-", "_", "/", "\"", "é", "a", "0"]).prop_map(str::to_owned),
            "[A-Za-z0-9_-]{0,20}",
            ".{0,3}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_quick_look_never_misses_what_the_rules_find(pieces in prop::collection::vec(piece(), 0..6)) {
            let text = pieces.concat();
            prop_assert_eq!(looks_secret(&text), by_the_rules(&text), "{:?}", text);
        }
    }

    #[test]
    fn keys_are_found_wherever_they_stand() {
        for text in [
            "sk-abc",
            "Incorrect API key provided: sk-proj-abc",
            "SK_live_abcd",
            "authorization: Bearer abc",
            "bearer sk_abcd",
            "https://h/v1?api_key=abc",
            "https://h/v1?a=1&KEY=abc",
            "ya29.a0Af",
            "r8_abcd",
            "AIzaSyA1",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_abcd",
            "xoxb-1234",
            "xai-0123456789abcdef",
            "eyJhbGciOiJIUzI1NiJ9",
        ] {
            assert!(looks_secret(text), "{text}");
        }
    }

    #[test]
    fn names_are_no_keys() {
        for text in [
            "",
            "task-1",
            "risk-management",
            "asia-east1",
            "xai-grok-4-fast-reasoning",
            "gpt-4o",
            "Bearer",
            "key=",
            "monkey",
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude",
            "bge-m3",
            "hf_hub-models",
            "sha256:0123456789abcdef",
            "alice@example.com",
        ] {
            assert!(!looks_secret(text), "{text}");
        }
    }
}
