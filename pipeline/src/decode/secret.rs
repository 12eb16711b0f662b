//! Texts that must not be kept: what looks like a key, a message where a word is due, content where a hash is due.
//!
//! A row goes in and comes out without them, whichever column or tag held them. Pure; never looks at counts.

use std::borrow::Cow;

use spendstream_schemas::decision::Request;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::{Texts, UsageRow};

pub(super) use spendstream_schemas::secret::tells_apart;
pub(crate) use spendstream_schemas::secret::{REMOVED, looks_secret, masked};
use spendstream_schemas::secret::{looks_drawn, names_secret};

/// A longer text is no identifier.
const MAX_WORD: usize = 64;
/// A longer text is no hash.
const MAX_HASH: usize = 256;

/// One identifier, such as `RateLimitError`; a message is none.
pub(super) fn is_word(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/#$".contains(&byte);
    text.len() <= MAX_WORD && text.bytes().all(part)
}

/// A hash or id in any alphabet without spaces.
fn is_hash(text: &str) -> bool {
    text.len() <= MAX_HASH && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a label holds a key: it looks like one, or it is called one and looks drawn by lot.
pub(super) fn is_secret_label(name: &str, value: &str) -> bool {
    looks_secret(value) || (names_secret(name) && looks_drawn(value))
}

/// Takes out of a row whatever must not be kept. What identity hangs on becomes a hash, so that two of them never become one.
pub(super) fn clean(row: &mut UsageRow<'_>) {
    clean_texts(&mut row.texts);
    row.model_answered = row.model_answered.take().filter(|model| !model.contains('\0') && !looks_secret(model));
    let mut removed = false;
    row.tags.retain(|(key, value)| clean_tag(key, value, &mut removed));
}

/// The same for a question about a call: its words meet those of events, and are kept in the table `decisions`.
pub(crate) fn clean_request(request: &mut Request<'_>) {
    clean_texts(&mut request.texts);
    let mut removed = false;
    request.tags.retain_mut(|(key, value)| clean_tag(key, value, &mut removed));
}

fn clean_texts(texts: &mut Texts<'_>) {
    for text in Text::ALL {
        let Some(value) = texts.get(text) else { continue };
        if let Cow::Owned(instead) = cleaned(text, value) {
            texts.set(text, instead);
        }
    }
}

/// What a row has of a text.
pub(super) fn cleaned(text: Text, value: &str) -> Cow<'_, str> {
    let value = if value.contains('\0') { Cow::Owned(without_nul(value)) } else { Cow::Borrowed(value) };
    let due = match text {
        Text::PayloadKind | Text::Status => return value,
        Text::ErrorType => is_word(&value),
        Text::PromptHash => is_hash(&value),
        _ => true,
    };
    if due && !looks_secret(&value) {
        return value;
    }
    Cow::Owned(if tells_apart(text) { masked(&value) } else { REMOVED.to_owned() })
}

/// PostgreSQL holds no such character, so alerts about the value could not be kept.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Cleans a tag; false when it is to go.
fn clean_tag<'a>(key: &mut Cow<'a, str>, value: &mut Cow<'a, str>, removed: &mut bool) -> bool {
    for text in [&mut *key, &mut *value] {
        if text.contains('\0') {
            *text = without_nul(text).into();
        }
    }
    if is_secret_label(key, value) {
        *value = REMOVED.into();
    }
    let secret = looks_secret(key);
    if secret {
        *key = REMOVED.into();
    }
    // One such tag says as much as many, and tags have one value each.
    !(secret && std::mem::replace(removed, true))
}
