//! Whether a text holds a key, and what stands for one. A text goes in, yes or no, or a hash, comes out; pure.
//!
//! A known prefix alone is no key: `sk-telecom` is a customer, `hf_hub` a library. What follows must be long and look drawn by
//! lot, because a name that is taken for a key costs its owner the figures by that name.

use base64::Engine as _;
use sha2::{Digest, Sha256};

use crate::dimension::Text;
use crate::hex::hex;

/// Fewer characters after a prefix are no key.
const LEAST: usize = 16;
/// A shorter value after the name of a secret is none.
const LEAST_VALUE: usize = 6;

/// How keys begin, in any case.
const ANY_CASE: [&[u8]; 34] = [
    b"sk-",
    b"sk_",
    b"pk-",
    b"pk_",
    b"rk_",
    b"pa-",
    b"r8_",
    b"fw_",
    b"csk-",
    b"pplx-",
    b"nvapi-",
    b"tgp_v1_",
    b"jina_",
    b"tvly-",
    b"lsv2_",
    b"xai-",
    b"gsk_",
    b"hf_",
    b"ya29.",
    b"bedrock-api-key-",
    b"bearer ",
    b"ghp_",
    b"gho_",
    b"ghs_",
    b"ghu_",
    b"ghr_",
    b"github_pat_",
    b"glpat-",
    b"xoxb-",
    b"xoxp-",
    b"xoxa-",
    b"xoxs-",
    b"dop_v1_",
    b"esecret_",
];

/// As [`ANY_CASE`], where only this case is a key's.
const THIS_CASE: [&[u8]; 4] = [b"AIza", b"eyJ", b"ABSK", b"dapi"];

/// Before 16 capitals and digits, which need not look drawn by lot.
const CAPITALS: [&[u8]; 2] = [b"AKIA", b"ASIA"];

/// Before a user's name and password in base64.
const BASIC: &[u8] = b"basic ";
/// After five hyphens: a key or a certificate in PEM.
const PEM: &[u8] = b"BEGIN ";

/// Stands where a text was.
pub const REMOVED: &str = "[removed]";
/// Bytes of a key's hash that stand for it.
const MASK: usize = 8;

/// Names of what is secret, however it looks.
const STRONG: [&[u8]; 17] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"authorization",
    b"api_key",
    b"api-key",
    b"apikey",
    b"api key",
    b"access_key",
    b"access-key",
    b"accesskey",
    b"secret_key",
    b"secret-key",
    b"secretkey",
    b"private_key",
    b"subscription-key",
];
/// Names of what is secret when it looks drawn by lot.
const WEAK: [&[u8]; 4] = [b"key", b"token", b"signature", b"credential"];

/// What a byte can be to a key.
const WORD: u8 = 1;
/// The first character of a prefix. Twice [`WORD`], so that a mask of the byte before decides without a branch.
const FIRST: u8 = 2;
/// `=` or `:`, which a secret may follow.
const SIGN: u8 = 4;

/// Per first letter of a prefix the second ones, a bit each: most words end here.
const PAIRS: [u32; 26] = {
    let mut pairs = [0; 26];
    pairs = with(pairs, &ANY_CASE);
    pairs = with(pairs, &THIS_CASE);
    pairs = with(pairs, &CAPITALS);
    with(pairs, &[BASIC, PEM])
};

const fn with(mut pairs: [u32; 26], prefixes: &[&[u8]]) -> [u32; 26] {
    let mut index = 0;
    while index < prefixes.len() {
        let first = prefixes[index][0].to_ascii_lowercase();
        pairs[(first - b'a') as usize] |= bit(prefixes[index][1]);
        index += 1;
    }
    pairs
}

const fn bit(byte: u8) -> u32 {
    let byte = byte.to_ascii_lowercase();
    if byte.is_ascii_lowercase() { 1 << (byte - b'a') } else { 1 << 26 }
}

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let lower = byte.to_ascii_lowercase();
        classes[byte as usize] = match byte {
            b'=' | b':' => SIGN,
            _ if lower.is_ascii_lowercase() && PAIRS[(lower - b'a') as usize] != 0 => WORD | FIRST,
            _ if byte.is_ascii_alphanumeric() => WORD,
            _ => 0,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

/// True for a text that holds an API key or a password, rather than the name of one. Nearly every byte of nearly every text is
/// passed over by one look into a table: this runs over all texts of all events.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() <= LEAST_VALUE {
        return false;
    }
    let mut before = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let class = CLASSES[usize::from(*byte)];
        // A key begins where no word goes on.
        let telling = SIGN | (FIRST & !(before << 1));
        if class & telling != 0 {
            let found =
                if class == SIGN { follows_sign(bytes, at) } else { has_pair(&bytes[at..]) && key_at(bytes, at) };
            if found {
                return true;
            }
        }
        before = class;
    }
    false
}

/// What takes the place of a key where things are told apart by it: the same for the same text, everywhere.
#[must_use]
pub fn masked(text: &str) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text.as_bytes())[..MASK]))
}

/// Whether calls are told apart by this text: a key there becomes a hash, elsewhere it is taken out.
#[must_use]
pub fn tells_apart(text: Text) -> bool {
    use Text::{ApiKeyId, EventId, EventSource, ItemId, Organization, ResponseId};
    matches!(text, EventId | EventSource | Organization | ItemId | ResponseId | ApiKeyId)
}

/// Whether what is called so is secret: `api_key`, `X-Auth-Token`.
#[must_use]
pub fn names_secret(name: &str) -> bool {
    STRONG.iter().chain(&WEAK).any(|secret| ends_with(name.as_bytes(), secret))
}

/// Whether the text, alone under the name of a secret, is one rather than the name of one.
#[must_use]
pub fn looks_drawn(text: &str) -> bool {
    is_drawn(text.as_bytes())
}

fn has_pair(rest: &[u8]) -> bool {
    let [first, second, ..] = rest else { return false };
    let letter = first.to_ascii_lowercase().wrapping_sub(b'a');
    PAIRS.get(usize::from(letter)).is_some_and(|pairs| pairs & bit(*second) != 0)
}

/// Whether a key begins exactly here.
fn key_at(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at..];
    let after = |prefix: &&[u8]| strip_any_case(rest, prefix).is_some_and(|tail| is_drawn(run(tail, is_key)));
    ANY_CASE.iter().any(after)
        || THIS_CASE.iter().any(|prefix| rest.strip_prefix(*prefix).is_some_and(|tail| is_drawn(run(tail, is_key))))
        || CAPITALS.iter().any(|prefix| {
            let capital = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
            rest.strip_prefix(*prefix).is_some_and(|tail| run(tail, capital).len() >= LEAST)
        })
        || strip_any_case(rest, BASIC).is_some_and(is_user_and_password)
        || (rest.starts_with(PEM) && bytes[..at].ends_with(b"-----"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what an iterator over bytes passes")]
fn is_key(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What is before the first byte that does not belong.
fn run(text: &[u8], belongs: impl Fn(&u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !belongs(byte)).unwrap_or(text.len());
    &text[..end]
}

/// Long, with a part whose letters and figures alternate as those of words and years do not.
fn is_drawn(run: &[u8]) -> bool {
    let parts = || run.split(|byte| !byte.is_ascii_alphanumeric());
    run.len() >= LEAST
        && parts().any(|part| match part.len() {
            8..LEAST => changes(part) >= 2,
            LEAST.. => changes(part) >= 1 || part.iter().any(u8::is_ascii_digit),
            _ => false,
        })
}

/// How often a character is of another kind than the one before; a capital may begin a word.
fn changes(part: &[u8]) -> usize {
    let kind = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let begins = |pair: &[u8]| pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase();
    part.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1]) && !begins(pair)).count()
}

/// `dXNlcjpwYXNz`: a name, a colon, a password.
fn is_user_and_password(tail: &[u8]) -> bool {
    let encoded = run(tail, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    decoded.len() > LEAST_VALUE && decoded.contains(&b':') && decoded.iter().all(|byte| *byte >= b' ')
}

/// Whether the sign at `at` stands before a secret: after its name, or within an address that has a password.
fn follows_sign(bytes: &[u8], at: usize) -> bool {
    let (before, after) = (&bytes[..at], &bytes[at + 1..]);
    if bytes[at] == b':' && after.starts_with(b"//") {
        return has_password(&after[2..]);
    }
    let name = trimmed_end(before);
    let value = value(after);
    (STRONG.iter().any(|strong| ends_with(name, strong)) && is_value(value, bytes[at]))
        || (WEAK.iter().any(|weak| ends_with(name, weak)) && is_drawn(run(value, is_key)))
}

/// `user:password@host/…`, after the slashes.
fn has_password(rest: &[u8]) -> bool {
    let authority = run(rest, |byte| byte.is_ascii_graphic() && !b"/?#\"'".contains(byte));
    let Some(end) = authority.iter().rposition(|byte| *byte == b'@') else { return false };
    authority[..end].iter().position(|byte| *byte == b':').is_some_and(|colon| colon + 1 < end)
}

/// JSON puts quotes, and a text within JSON backslashes, between a name and the sign.
fn trimmed_end(before: &[u8]) -> &[u8] {
    let end = before.iter().rposition(|byte| !is_padding(*byte)).map_or(0, |last| last + 1);
    &before[..end]
}

fn value(after: &[u8]) -> &[u8] {
    let start = after.iter().position(|byte| !is_padding(*byte)).unwrap_or(after.len());
    run(&after[start..], |byte| byte.is_ascii_graphic() && !b"\"'\\,;&)}]".contains(byte))
}

fn is_padding(byte: u8) -> bool {
    matches!(byte, b' ' | b'"' | b'\'' | b'\\')
}

/// After a colon a plain word may be prose: `password: required`.
fn is_value(value: &[u8], sign: u8) -> bool {
    let placeholder = value.first().is_some_and(|byte| b"[{<$*".contains(byte));
    let plain = || {
        changes(value) == 0 && value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_' | b'.'))
    };
    value.len() >= LEAST_VALUE && !placeholder && (sign == b'=' || !plain())
}

fn strip_any_case<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn ends_with(text: &[u8], name: &[u8]) -> bool {
    text.len().checked_sub(name.len()).is_some_and(|from| text[from..].eq_ignore_ascii_case(name))
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
