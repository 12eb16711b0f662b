//! Streamed answers. In: the items of one message in order; out: what each is. Streams count cumulatively, so the last figure is the
//! call's.
//!
//! Of chunks in one message the last that counts is the call. A chunk that came alone is never joined with another: the end of its
//! stream is the call, what comes before is a part ([`is_part`]). Each is judged by itself, so a restart or another partition
//! decides the same. The price: a stream that breaks off before its end, sent chunk by chunk, is only counted as parts.

use std::borrow::Cow;
use std::collections::HashMap;

use super::body::{chunk_usage, has_maps, queries};
use super::json::Node;

const CHAT_CHUNK: &str = "chat.completion.chunk";
/// The last events of OpenAI's responses.
const ENDS: [&str; 5] =
    ["response.completed", "response.done", "response.incomplete", "response.failed", "response.cancelled"];

/// What an item of a message is.
#[derive(Debug)]
pub(super) enum Role<'a> {
    /// An item of its own, or the only chunk of its stream here.
    Whole,
    /// The chunk that speaks for the others of its stream here, whether or not it is the end.
    Last,
    /// A chunk whose figures another one repeats.
    Chunk,
    /// The end of a stream: this stands for all of its chunks.
    Joined(Box<Node<'a>>),
}

/// The roles of a message's items; `None` is an item that could not be parsed.
pub(super) fn roles<'a>(items: &[Option<&Node<'a>>]) -> Vec<Role<'a>> {
    let mut roles: Vec<Role<'a>> = items.iter().map(|_| Role::Whole).collect();
    if items.len() > 1 {
        repeated(items, &mut roles);
        anthropic(items, &mut roles);
    }
    roles
}

/// Which of the items go together because [`roles`] made them one call: the answer's id (empty where none is told) and their positions.
pub(super) fn together<'n>(items: &[Option<&'n Node<'_>>]) -> Vec<(&'n str, Vec<usize>)> {
    let roles = roles(items);
    let mut streams: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut by_response: HashMap<&str, usize> = HashMap::new();
    // Anthropic's events do not say whose they are: of the message that began last.
    let mut begun = None;
    for (at, (node, role)) in items.iter().zip(&roles).enumerate() {
        let Some(node) = node else { continue };
        let stream = if node.text_of("type") == Some("message_start") {
            streams
                .push((node.get("message").and_then(|message| message.text_of("id")).unwrap_or_default(), Vec::new()));
            *begun.insert(streams.len() - 1)
        } else if matches!(role, Role::Whole) {
            continue;
        } else if let Some(response) = response_of(node) {
            *by_response.entry(response).or_insert_with(|| {
                streams.push((response, Vec::new()));
                streams.len() - 1
            })
        } else if let Some(begun) = begun {
            begun
        } else {
            continue;
        };
        streams[stream].1.push(at);
    }
    streams.retain(|(_, chunks)| chunks.len() > 1);
    streams
}

/// True for a beginning or middle of a stream, whose end counts the call: by the providers' own words for "not finished yet". Who
/// counts an answer that broke off sends it as an event of its own.
pub(super) fn is_part(node: &Node<'_>) -> bool {
    if let Some(candidates) = node.get("candidates").map(Node::items).filter(|candidates| !candidates.is_empty()) {
        let response = ["responseId", "response_id"].iter().find_map(|key| node.text_of(key));
        return response.is_some() && candidates.iter().all(|candidate| !finished(candidate));
    }
    if node.text_of("object") == Some(CHAT_CHUNK) {
        return !counts(node) || goes_on(node);
    }
    // Of the events of OpenAI's responses only the last ones count.
    let event = node.text_of("type").filter(|event| event.starts_with("response."));
    event.is_some_and(|event| !ENDS.contains(&event)) && !node.get("response").is_some_and(counts) && !counts(node)
}

/// Whether a body is a chunk of a chat completion.
pub(super) fn is_chunk(node: &Node<'_>) -> bool {
    node.text_of("object") == Some(CHAT_CHUNK)
}

/// Gemini: "if empty, the model has not stopped generating tokens".
fn finished(candidate: &Node<'_>) -> bool {
    let reason = candidate.text_of("finishReason").or_else(|| candidate.text_of("finish_reason"));
    reason.is_some_and(|reason| !reason.is_empty() && reason != "FINISH_REASON_UNSPECIFIED")
}

/// Some servers count in every chunk. One that still brings text has others after it; by its reason alone it is not told, as
/// the last one of some gateways has none.
fn goes_on(chunk: &Node<'_>) -> bool {
    let brings = |(key, value): &(Cow<'_, str>, Node<'_>)| match value {
        Node::Text(text) => key != "role" && !text.is_empty(),
        Node::Array(items) => !items.is_empty(),
        _ => false,
    };
    // The first one of such a server brings only the role, and has counted no answer yet.
    let is_first = chunk.get("usage").and_then(|usage| usage.get("completion_tokens")) == Some(&Node::Number("0"));
    let choices = chunk.get("choices").map(Node::items).unwrap_or_default();
    choices.iter().any(|choice| {
        choice.get("finish_reason").is_none()
            && (is_first || choice.get("delta").is_some_and(|delta| delta.members().iter().any(brings)))
    })
}

/// The response that a chunk belongs to, where every chunk names it: Gemini's and those of OpenAI's chat completions.
fn response_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    if node.get("usageMetadata").is_some() || node.get("candidates").is_some() {
        return node.text_of("responseId");
    }
    node.text_of("id").filter(|_| node.text_of("object") == Some(CHAT_CHUNK))
}

fn counts(node: &Node<'_>) -> bool {
    node.has_object("usageMetadata") || node.has_object("usage") || chunk_usage(node).is_some()
}

/// Of the chunks of one response the last one that counts is the call.
fn repeated<'a>(items: &[Option<&Node<'a>>], roles: &mut [Role<'a>]) {
    let mut streams: HashMap<&str, (usize, Vec<usize>, bool)> = HashMap::new();
    for (at, node) in items.iter().enumerate() {
        let Some((node, response)) = node.and_then(|node| Some((node, response_of(node)?))) else { continue };
        let told = is_grounded(node).then_some(at);
        let Some((last, grounded, several)) = streams.get_mut(response) else {
            streams.insert(response, (at, told.into_iter().collect(), false));
            continue;
        };
        *several = true;
        grounded.extend(told);
        if counts(node) || items[*last].is_none_or(|last| !counts(last)) {
            roles[*last] = Role::Chunk;
            *last = at;
        } else {
            roles[at] = Role::Chunk;
        }
    }
    for (last, grounded, _) in streams.into_values().filter(|(_, _, several)| *several) {
        roles[last] = Role::Last;
        // What it was found by need not be told by the last.
        if let Some(node) = items[last]
            && grounded.iter().any(|at| *at != last)
        {
            let told: Vec<&Node<'a>> = grounded.iter().filter_map(|at| items[*at]).collect();
            roles[last] = Role::Joined(Box::new(with(node, "candidates", grounding(&told))));
        }
    }
}

/// Whether a Gemini chunk tells what was searched for, or places of a map.
fn is_grounded(node: &Node<'_>) -> bool {
    queries(node) > 0 || has_maps(node)
}

/// Candidates for the whole of what the chunks tell. A list of queries grows from chunk to chunk: the longest counts.
fn grounding<'a>(told: &[&Node<'a>]) -> Node<'a> {
    let longest = told.iter().max_by_key(|chunk| queries(chunk));
    let mut candidates =
        longest.and_then(|chunk| chunk.get("candidates")).map(|all| all.items().to_vec()).unwrap_or_default();
    if told.iter().any(|chunk| has_maps(chunk)) && !longest.is_some_and(|chunk| has_maps(chunk)) {
        let object = |key: &'static str, value: Node<'a>| Node::Object(vec![(Cow::Borrowed(key), value)]);
        let map = Node::Array(vec![object("maps", Node::Object(Vec::new()))]);
        candidates.push(object("groundingMetadata", object("groundingChunks", map)));
    }
    Node::Array(candidates)
}

/// Anthropic's events: `message_start` names the call and counts its input, each `message_delta` counts anew what it names.
///
/// Deltas do not say whose they are. Where a stream without an end precedes, they may be its own: then nothing is joined.
fn anthropic<'n, 'a>(items: &[Option<&'n Node<'a>>], roles: &mut [Role<'a>]) {
    let mut open: Option<Open<'n, 'a>> = None;
    for (at, node) in items.iter().enumerate() {
        let Some(node) = node else { continue };
        match (node.text_of("type"), &mut open) {
            (Some("message_start"), last) => {
                if last.as_ref().is_some_and(|open| !open.ended) {
                    break;
                }
                if let Some(done) = last.take() {
                    done.join(roles);
                }
                open = node.get("message").map(|message| Open::new(at, message));
            }
            (Some("message_delta"), Some(open)) => {
                open.count_anew(node);
                roles[open.last] = Role::Chunk;
                (open.last, open.ended) = (at, true);
            }
            (
                Some("content_block_start" | "content_block_delta" | "content_block_stop" | "ping" | "message_stop"),
                Some(_),
            ) => roles[at] = Role::Chunk,
            _ => {}
        }
    }
    if let Some(done) = open.filter(|open| open.ended) {
        done.join(roles);
    }
}

/// A message that has begun, with its counts as the deltas so far tell them.
struct Open<'n, 'a> {
    last: usize,
    message: &'n Node<'a>,
    usage: Vec<(Cow<'a, str>, Node<'a>)>,
    /// Where each name is: a hostile message has very many.
    places: HashMap<Cow<'a, str>, usize>,
    ended: bool,
}

impl<'n, 'a> Open<'n, 'a> {
    fn new(at: usize, message: &'n Node<'a>) -> Self {
        let mut open = Self { last: at, message, usage: Vec::new(), places: HashMap::new(), ended: false };
        open.count_anew(message);
        open
    }

    fn count_anew(&mut self, delta: &Node<'a>) {
        for (key, value) in delta.get("usage").map(Node::members).unwrap_or_default() {
            if matches!(value, Node::Null) {
                continue;
            }
            if let Some(place) = self.places.get(key) {
                self.usage[*place].1 = value.clone();
            } else {
                self.places.insert(key.clone(), self.usage.len());
                self.usage.push((key.clone(), value.clone()));
            }
        }
    }

    /// The last delta stands for the message; its content is copied once, however many deltas there are.
    fn join(self, roles: &mut [Role<'a>]) {
        roles[self.last] = Role::Joined(Box::new(with(self.message, "usage", Node::Object(self.usage))));
    }
}

/// The object with this member instead of any of that name.
fn with<'a>(object: &Node<'a>, key: &str, value: Node<'a>) -> Node<'a> {
    let mut members: Vec<_> = object.members().iter().filter(|(name, _)| name != key).cloned().collect();
    members.push((Cow::Owned(key.to_owned()), value));
    Node::Object(members)
}
