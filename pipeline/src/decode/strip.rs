//! What of a readable item may be kept when it is rejected: names and figures a decoder knows, never prompts, completions or keys.
//!
//! An allow-list: an unknown key is dropped with all that hangs on it, and a text stays only under a key that names things, or at
//! a place that a reader ([`known`]) or a configured mapping ([`named`]) looks at. There it stays as a row has it. A name that is too
//! long to be one is left out and said to be.

mod known;
mod lists;
mod named;

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spendstream_schemas::config::MappingConfig;
use spendstream_schemas::dimension::Text;

use super::json::Node;
use super::reject::Reason;
use super::secret::{REMOVED, cleaned, is_secret_label, looks_secret, masked};
use lists::{HOLDERS, is_figure, is_name};

/// A longer text names nothing.
const MAX_TEXT: usize = 256;
/// What a row may have, by default (`decode.max_text_bytes`).
const MAX_READ: usize = 1_024;
/// A longer text is no word.
const MAX_WORD: usize = 64;

/// How many of the names that were left out are told.
const MAX_TOLD: usize = 8;

/// What is kept of an item.
#[derive(Debug)]
pub(super) struct Kept {
    /// JSON.
    pub json: Vec<u8>,
    /// The keys of texts that would have been kept, had they been shorter; at most a few.
    pub left_out: Vec<String>,
}

/// The item as JSON, with only what may be kept.
pub(super) fn json(node: &Node<'_>) -> Vec<u8> {
    kept(node, Reason::TooManyRows, None).json
}

/// What a reject of this kind keeps. Of an item whose shape nobody knows figures and single words stay too, so that a mapping
/// that is added later can read it; of one that a mapping reads, whatever that reads.
pub(super) fn kept(node: &Node<'_>, reason: Reason, mapping: Option<&MappingConfig>) -> Kept {
    let under = if reason == Reason::UnknownShape { Under::Unknown } else { Under::Top };
    let mut writer = Writer::new(node, mapping);
    writer.write(node, under);
    Kept { json: writer.out.into_bytes(), left_out: writer.left_out }
}

/// The item as it is built, every text and figure in it that would not be kept gone: for what decodes by how many texts there are or whether
/// they are empty.
pub(super) fn shape(node: &Node<'_>, mapping: Option<&MappingConfig>) -> Vec<u8> {
    let mut writer = Writer::new(node, mapping);
    writer.is_shape = true;
    writer.write(node, Under::Top);
    writer.out.into_bytes()
}

/// What would not be kept, as it is built.
fn write_shape(node: &Node<'_>, key: &str, out: &mut String) {
    match node {
        Node::Text(text) if !text.is_empty() && !tells_kind(key, text) => write_text(REMOVED, Under::Label, out),
        Node::Array(items) => {
            out.push('[');
            let mut first = true;
            for item in items {
                separate(&mut first, out);
                write_shape(item, key, out);
            }
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            let mut first = true;
            for (name, value) in members {
                separate(&mut first, out);
                write_shape_key(name, out);
                write_shape(value, name, out);
            }
            out.push('}');
        }
        Node::Text(text) => write_text(text, Under::Name, out),
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Number(_) => out.push('0'),
    }
}

fn write_shape_key(key: &str, out: &mut String) {
    write_text(if is_short(key) { key } else { REMOVED }, Under::Label, out);
    out.push(':');
}

/// Whether a text under this key is one word that says what kind of thing something is.
fn tells_kind(key: &str, text: &str) -> bool {
    const KINDS: [&str; 7] = ["type", "object", "container_id", "finish_reason", "finishReason", "modality", "role"];
    KINDS.contains(&key) && text.len() <= MAX_TEXT && !text.contains(char::is_whitespace)
}

/// Joins stripped items again.
pub(super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = b"[".to_vec();
    whole.extend(items.join(b",".as_slice()));
    whole.push(b']');
    whole
}

#[derive(Clone, Copy, PartialEq)]
enum Under {
    Top,
    /// As `Top`, and keys that nobody knows.
    Unknown,
    /// A text is kept.
    Name,
    /// A text is kept as a row has it.
    Read(Text),
    /// A text of one word is kept.
    Word,
    /// Only figures and further objects.
    Holder,
    /// A provider's own body: its names are words.
    Body,
    /// What went in and came out: only types, ids and figures.
    Content,
    /// The producer's own short labels.
    Labels,
    Label,
    /// A label that is a key, or content that is counted: only that it was there.
    Secret,
    /// A name that is not kept; one that is too long to be one stays too long.
    Removed,
    /// An item in base64.
    Encoded,
    /// Only numbers.
    Figures,
    /// Nothing but what a mapping reads.
    Path,
}

impl Under {
    /// Everything inside stays what it is.
    fn or_inner(self, inner: Under) -> Under {
        if matches!(self, Under::Body | Under::Content | Under::Figures) { self } else { inner }
    }
}

struct Writer {
    out: String,
    left_out: Vec<String>,
    /// What readers and a mapping look at, by address, and what each is there.
    named: HashMap<*const (), Vec<Under>>,
    /// What is not kept leaves its shape.
    is_shape: bool,
}

fn address(node: &Node<'_>) -> *const () {
    std::ptr::from_ref(node).cast()
}

impl Writer {
    fn new(node: &Node<'_>, mapping: Option<&MappingConfig>) -> Self {
        let mut places = known::Places::new();
        if let Some(mapping) = mapping {
            named::nodes(mapping, node, &mut places);
        }
        known::item(node, &mut places);
        let mut named: HashMap<*const (), Vec<Under>> = HashMap::new();
        for (place, under) in places {
            named.entry(address(place)).or_default().push(under);
        }
        Self { out: String::new(), left_out: Vec::new(), named, is_shape: false }
    }

    fn write(&mut self, node: &Node<'_>, under: Under) {
        match node {
            Node::Null => self.out.push_str("null"),
            Node::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Node::Number(text) => self.out.push_str(text),
            Node::Text(text) if under == Under::Encoded => {
                // Base64 looks like a key.
                let inner = encoded(text, self.is_shape).unwrap_or_else(|| REMOVED.to_owned());
                self.out.extend(["\"", &inner, "\""]);
            }
            Node::Text(text) => write_text(text, under, &mut self.out),
            Node::Array(items) => {
                self.out.push('[');
                let mut first = true;
                let below = if under == Under::Labels { Under::Label } else { under };
                for item in items {
                    // A bare figure in a list is no count: vectors are lists of them.
                    let is_count = below != Under::Figures || matches!(item, Node::Array(_) | Node::Object(_));
                    if is_count && keeps(item, below) {
                        separate(&mut first, &mut self.out);
                        self.write(item, below);
                    } else if self.is_shape {
                        separate(&mut first, &mut self.out);
                        write_shape(item, "", &mut self.out);
                    }
                }
                self.out.push(']');
            }
            Node::Object(members) => {
                self.out.push('{');
                let (mut first, mut removed) = (true, false);
                for (key, value) in members {
                    // One label whose name was a key says as much as many; rows keep the first.
                    if under == Under::Labels && looks_secret(key) && std::mem::replace(&mut removed, true) {
                        continue;
                    }
                    if let Some(below) = self.below(key, value, under) {
                        separate(&mut first, &mut self.out);
                        write_text(key, Under::Label, &mut self.out);
                        self.out.push(':');
                        self.write(value, below);
                    } else if self.is_shape {
                        separate(&mut first, &mut self.out);
                        write_shape_key(key, &mut self.out);
                        write_shape(value, key, &mut self.out);
                    }
                }
                self.out.push('}');
            }
        }
    }

    /// What a member is kept as; `None`: not at all.
    fn below(&mut self, key: &str, value: &Node<'_>, under: Under) -> Option<Under> {
        let named = self.named.get(&address(value)).map(Vec::as_slice).unwrap_or_default();
        let fitting = named.iter().find(|under| keeps(value, **under)).or(named.first()).copied();
        let below = fitting.or_else(|| below(key, value, under));
        match below {
            Some(below) if keeps(value, below) => Some(below),
            _ if self.leads_to_named(value) => Some(Under::Path),
            Some(Under::Name | Under::Read(_) | Under::Label | Under::Word) if matches!(value, Node::Text(_)) => {
                // Of an unknown shape nobody knows what is a name.
                if under != Under::Unknown {
                    self.leave_out(key);
                }
                self.is_shape.then_some(Under::Removed)
            }
            _ => None,
        }
    }

    fn leads_to_named(&self, value: &Node<'_>) -> bool {
        let is_named = |node: &Node<'_>| self.named.contains_key(&address(node));
        value.members().iter().any(|(_, inner)| is_named(inner) || self.leads_to_named(inner))
    }

    fn leave_out(&mut self, key: &str) {
        if self.left_out.len() < MAX_TOLD {
            let told = if is_short(key) && !key.contains(char::is_control) { key } else { "a label" };
            self.left_out.push(told.to_owned());
        }
    }
}

fn separate(first: &mut bool, out: &mut String) {
    if !*first {
        out.push(',');
    }
    *first = false;
}

/// What a member is kept as; `None`: not at all.
fn below(key: &str, value: &Node<'_>, under: Under) -> Option<Under> {
    let holds = HOLDERS.contains(&key) || is_figure(key);
    match (under, key) {
        (Under::Path, _) => None,
        (Under::Labels, _) if value.text().is_some_and(|text| is_secret_label(key, text)) => Some(Under::Secret),
        (Under::Labels, _) => Some(Under::Label),
        (Under::Figures, _) => is_short(key).then_some(Under::Figures),
        (Under::Content, "type" | "id" | "container_id") => Some(Under::Word),
        (Under::Content, _) => holds.then_some(Under::Content),
        (_, "tags" | "request_tags" | "requestMetadata") => Some(Under::Labels),
        (_, "error_type" | "error_class" | "error_code" | "prompt_hash") => Some(Under::Word),
        (_, "input" | "output") => Some(Under::Content),
        (_, "response" | "message" | "body") => Some(under.or_inner(Under::Body)),
        (Under::Body, _) if is_name(key) => Some(Under::Word),
        (_, _) if is_name(key) => Some(Under::Name),
        (Under::Unknown, _) if !holds || !value.is_object() => strange(key, value),
        (Under::Unknown, _) => Some(Under::Unknown),
        _ if HOLDERS.contains(&key) => Some(under.or_inner(Under::Holder)),
        _ => holds.then_some(Under::Body),
    }
}

/// A key that nobody knows: what is called like content or a secret keeps its figures only, and lists are always content.
fn strange(key: &str, value: &Node<'_>) -> Option<Under> {
    const TOLD: [&str; 38] = [
        "prompt",
        "content",
        "text",
        "message",
        "completion",
        "response",
        "input",
        "output",
        "query",
        "question",
        "answer",
        "code",
        "instruct",
        "system",
        "argument",
        "choice",
        "candidate",
        "part",
        "think",
        "reason",
        "summary",
        "body",
        "title",
        "delta",
        "result",
        "request",
        "document",
        "data",
        "word",
        "secret",
        "token",
        "key",
        "auth",
        "credential",
        "cookie",
        "session",
        "mail",
        "chat",
    ];
    let lower = key.to_ascii_lowercase();
    let told = TOLD.iter().any(|part| lower.contains(part));
    match value {
        Node::Array(_) => None,
        _ if !is_short(key) => None,
        Node::Text(_) => (!told).then_some(Under::Word),
        Node::Object(_) if !told => Some(Under::Unknown),
        _ => Some(Under::Figures),
    }
}

/// One short word that is no secret.
fn is_short(text: &str) -> bool {
    text.len() <= MAX_WORD && !text.contains(char::is_whitespace) && !looks_secret(text)
}

/// A number that was sent as a text.
fn is_digits(text: &str) -> bool {
    text.len() <= MAX_WORD
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
}

fn keeps(node: &Node<'_>, under: Under) -> bool {
    let is_text = matches!(under, Under::Name | Under::Word | Under::Label | Under::Read(_) | Under::Encoded);
    match node {
        Node::Text(text) => match under {
            Under::Holder | Under::Body | Under::Content | Under::Figures => is_digits(text),
            Under::Path => false,
            Under::Secret | Under::Encoded => true,
            Under::Word => text.len() <= MAX_TEXT && !text.contains(char::is_whitespace),
            Under::Unknown => is_short(text),
            Under::Read(_) | Under::Label => text.len() <= MAX_READ,
            _ => text.len() <= MAX_TEXT,
        },
        Node::Array(_) => !is_text,
        Node::Object(_) => !is_text && under != Under::Secret,
        _ => under != Under::Path,
    }
}

/// The same of an item in base64; `None` when there is none in it.
fn encoded(text: &str, is_shape: bool) -> Option<String> {
    let inner = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let node = Node::parse(&inner).ok()?;
    let mut writer = Writer { is_shape, ..Writer::new(&node, None) };
    writer.write(&node, Under::Top);
    Some(STANDARD.encode(writer.out))
}

fn write_text(text: &str, under: Under, out: &mut String) {
    let is_item = matches!(under, Under::Top | Under::Unknown);
    let kept: Cow<'_, str> = match under {
        Under::Removed if text.len() > MAX_READ => [REMOVED, &".".repeat(text.len() - REMOVED.len())].concat().into(),
        Under::Secret | Under::Removed => REMOVED.into(),
        Under::Read(place) => cleaned(place, text),
        // As in a row, so that a letter which is sent again is the same call.
        Under::Name if looks_secret(text) => masked(text).into(),
        _ if looks_secret(text) || (is_item && !is_short(text)) => REMOVED.into(),
        _ => text.into(),
    };
    match serde_json::to_string(&*kept) {
        Ok(quoted) => out.push_str(&quoted),
        Err(_) => out.push_str("\"\""),
    }
}

#[cfg(test)]
mod tests;
