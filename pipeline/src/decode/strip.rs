//! What of a readable item may be kept when it is rejected: names and figures a decoder knows, never prompts, completions or keys.
//!
//! An allow-list: an unknown key is dropped with all that hangs on it, and a text stays only under a key that names things.

mod lists;

use super::json::Node;
use super::reject::Reason;
use super::secret::{REMOVED, looks_secret};
use lists::{HOLDERS, is_figure, is_name};

/// A longer text names nothing.
const MAX_TEXT: usize = 256;
/// A longer text is no word.
const MAX_WORD: usize = 64;

/// The item as JSON, with only what may be kept.
pub(super) fn json(node: &Node<'_>) -> Vec<u8> {
    kept(node, if is_lago(node) { Under::Lago } else { Under::Top })
}

/// The item whose shape nobody knows: figures and single words stay too, so that a mapping that is added later can read it.
pub(super) fn unknown(node: &Node<'_>) -> Vec<u8> {
    kept(node, Under::Unknown)
}

/// What a reject of this kind keeps.
pub(super) fn by_reason(reason: Reason, node: &Node<'_>) -> Vec<u8> {
    if reason == Reason::UnknownShape { unknown(node) } else { json(node) }
}

fn kept(node: &Node<'_>, under: Under) -> Vec<u8> {
    let mut text = String::new();
    write(node, under, &mut text);
    text.into_bytes()
}

/// Lago's events name what they measure with a top-level `code`; anywhere else it is somebody's program.
fn is_lago(node: &Node<'_>) -> bool {
    node.get("transaction_id").is_some() && node.get("properties").is_some()
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
    /// As `Top`, with `code`.
    Lago,
    /// As `Top`, and keys that nobody knows.
    Unknown,
    /// A text is kept.
    Name,
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
    /// Only numbers.
    Figures,
}

impl Under {
    /// Everything inside stays what it is.
    fn or_inner(self, inner: Under) -> Under {
        if matches!(self, Under::Body | Under::Content | Under::Figures) { self } else { inner }
    }
}

fn write(node: &Node<'_>, under: Under, out: &mut String) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Number(text) => out.push_str(text),
        Node::Text(text) => write_text(text, under, out),
        Node::Array(items) => {
            out.push('[');
            let mut first = true;
            let below = if under == Under::Labels { Under::Label } else { under };
            for item in items.iter().filter(|item| keeps(item, below)) {
                separate(&mut first, out);
                write(item, below, out);
            }
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            let mut first = true;
            for (key, value) in members {
                let Some(below) = below(key, value, under) else { continue };
                if keeps(value, below) {
                    separate(&mut first, out);
                    write_text(key, Under::Name, out);
                    out.push(':');
                    write(value, below, out);
                }
            }
            out.push('}');
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
        (Under::Labels, _) => Some(Under::Label),
        (Under::Figures, _) => is_short(key).then_some(Under::Figures),
        (Under::Content, "type" | "id" | "container_id") => Some(Under::Word),
        (Under::Content, _) => holds.then_some(Under::Content),
        (_, "tags" | "request_tags" | "requestMetadata") => Some(Under::Labels),
        (Under::Lago, "code") | (_, "error_type" | "error_class" | "error_code" | "prompt_hash") => Some(Under::Word),
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
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte))
}

fn keeps(node: &Node<'_>, under: Under) -> bool {
    let whole = !matches!(under, Under::Name | Under::Word | Under::Label);
    match node {
        Node::Text(text) => match under {
            Under::Holder | Under::Body | Under::Content | Under::Figures => is_digits(text),
            Under::Word => text.len() <= MAX_TEXT && !text.contains(char::is_whitespace),
            Under::Unknown => is_short(text),
            _ => text.len() <= MAX_TEXT,
        },
        Node::Array(_) | Node::Object(_) => whole,
        _ => true,
    }
}

fn write_text(text: &str, under: Under, out: &mut String) {
    let is_item = matches!(under, Under::Top | Under::Lago | Under::Unknown);
    let kept = if looks_secret(text) || (is_item && !is_short(text)) { REMOVED } else { text };
    match serde_json::to_string(kept) {
        Ok(quoted) => out.push_str(&quoted),
        Err(_) => out.push_str("\"\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(String::from_utf8(json(&Node::parse(text).unwrap())).unwrap(), expected);
    }

    #[test]
    fn only_names_and_figures_stay() {
        check(
            r#"{"id":"e1","model":"m","messages":[{"role":"user","content":"SECRET"}],"usage":{"input_tokens":-1,"note":"x"},"prompt":"SECRET"}"#,
            r#"{"id":"e1","model":"m","usage":{"input_tokens":-1}}"#,
        );
        check(
            r#"{"response":"SECRET","output":"SECRET","data":{"input":"SECRET","output":3}}"#,
            r#"{"data":{"output":3}}"#,
        );
        check(
            r#"{"id":"sk-SECRET-KEY","tags":{"any":"label","k":1}}"#,
            r#"{"id":"[removed]","tags":{"any":"label","k":1}}"#,
        );
        check(
            r#"{"output":[{"type":"web_search_call","query":"SECRET"},"SECRET"]}"#,
            r#"{"output":[{"type":"web_search_call"}]}"#,
        );
        check(r#""SECRET-sk-1""#, r#""[removed]""#);
    }

    #[test]
    fn names_inside_content_are_content() {
        check(
            r#"{"output":[{"type":"code_interpreter_call","id":"ci_1","code":"print()","user":"U","container_id":"c"}],"input":[{"source":"S","type":"two words","tokens":3}]}"#,
            r#"{"output":[{"type":"code_interpreter_call","id":"ci_1","container_id":"c"}],"input":[{"tokens":3}]}"#,
        );
        check(
            r#"{"data":{"message":{"code":"main()","user":"what is this","model":"m"}},"code":"x"}"#,
            r#"{"data":{"message":{"model":"m"}}}"#,
        );
        check(
            r#"{"transaction_id":"t","code":"llm","properties":{"code":"x","input":"12"}}"#,
            r#"{"transaction_id":"t","code":"llm","properties":{"input":"12"}}"#,
        );
        check(r#"{"id":["a","b"],"model":{"name":"n"}}"#, "{}");
    }

    #[test]
    fn labels_are_one_level_deep_and_hold_no_keys() {
        check(
            r#"{"tags":{"a":"x","b":["text"],"c":{"d":"text"},"e":1,"sk-abc":"v","f":"Bearer t"},"request_tags":["a",["text"],"sk-abc"]}"#,
            r#"{"tags":{"a":"x","e":1,"[removed]":"v","f":"[removed]"},"request_tags":["a","[removed]"]}"#,
        );
    }

    #[test]
    fn figures_may_be_texts() {
        check(
            r#"{"usage":{"input_tokens":"1200","output_tokens":"twelve"},"error_type":"the prompt was bad"}"#,
            r#"{"usage":{"input_tokens":"1200"}}"#,
        );
    }

    #[test]
    fn of_an_unknown_shape_words_and_numbers_stay() {
        let node = Node::parse(
            r#"{"who":"team-a","n":{"tin":5,"note":"two words"},"question":"why","answer":{"a":"b","n":2},"list":["x"],"k":"sk-abc","hint":"12 3"}"#,
        );
        let kept = String::from_utf8(unknown(&node.unwrap())).unwrap();
        assert_eq!(kept, r#"{"who":"team-a","n":{"tin":5},"answer":{"n":2},"k":"[removed]"}"#);
    }

    #[test]
    fn what_is_kept_is_json() {
        check(r#"{"id":"a\"b\u0001","usage":{}}"#, r#"{"id":"a\"b\u0001","usage":{}}"#);
    }
}
