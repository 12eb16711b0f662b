//! Joins the chunks of one streamed answer that came in one message. In: the items of the message in order; out: what each is.
//!
//! Streams count cumulatively, so the last figure is the call's. Chunks that come as messages of their own are never joined.

use std::borrow::Cow;
use std::collections::HashMap;

use super::json::Node;

/// What an item of a message is.
#[derive(Debug)]
pub(super) enum Role<'a> {
    /// An item of its own, or the chunk that speaks for its stream.
    Whole,
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

/// The response that a chunk belongs to, where every chunk names it: Gemini's and those of OpenAI's chat completions.
fn response_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    if node.get("usageMetadata").is_some() || node.get("candidates").is_some() {
        return node.text_of("responseId");
    }
    node.text_of("id").filter(|_| node.text_of("object") == Some("chat.completion.chunk"))
}

fn counts(node: &Node<'_>) -> bool {
    node.has_object("usageMetadata") || node.has_object("usage")
}

/// Of the chunks of one response the last one that counts is the call.
fn repeated<'a>(items: &[Option<&Node<'a>>], roles: &mut [Role<'a>]) {
    let mut streams: HashMap<&str, (usize, Option<&Node<'a>>)> = HashMap::new();
    for (at, node) in items.iter().enumerate() {
        let Some((node, response)) = node.and_then(|node| Some((node, response_of(node)?))) else { continue };
        let searched = searched(node);
        let Some((last, search)) = streams.get_mut(response) else {
            streams.insert(response, (at, searched));
            continue;
        };
        *search = searched.or(*search);
        if counts(node) || items[*last].is_none_or(|last| !counts(last)) {
            roles[*last] = Role::Chunk;
            *last = at;
        } else {
            roles[at] = Role::Chunk;
        }
    }
    for (last, search) in streams.into_values() {
        // Searches are told by one chunk only, which need not be the last.
        if let (Some(search), Some(node)) = (search, items[last])
            && searched(node).is_none()
        {
            roles[last] = Role::Joined(Box::new(with(node, "candidates", search.clone())));
        }
    }
}

/// The candidates of a Gemini chunk that tells what was searched for.
fn searched<'n, 'a>(node: &'n Node<'a>) -> Option<&'n Node<'a>> {
    let told = |candidate: &Node<'_>| candidate.path("groundingMetadata.webSearchQueries").is_some();
    node.get("candidates").filter(|candidates| candidates.items().iter().any(told))
}

/// Anthropic's events: `message_start` names the call and counts its input, each `message_delta` counts anew what it names.
///
/// Deltas do not say whose they are. Where a stream without an end precedes, they may be its own: then nothing is joined.
fn anthropic<'a>(items: &[Option<&Node<'a>>], roles: &mut [Role<'a>]) {
    let mut open: Option<(usize, Node<'a>, bool)> = None;
    for (at, node) in items.iter().enumerate() {
        let Some(node) = node else { continue };
        match (node.text_of("type"), &mut open) {
            (Some("message_start"), last) => {
                if last.as_ref().is_some_and(|(_, _, ended)| !ended) {
                    return;
                }
                open = node.get("message").map(|message| (at, message.clone(), false));
            }
            (Some("message_delta"), Some((last, message, ended))) => {
                *message = counted_anew(message, node);
                roles[*last] = Role::Chunk;
                roles[at] = Role::Joined(Box::new(message.clone()));
                (*last, *ended) = (at, true);
            }
            (
                Some("content_block_start" | "content_block_delta" | "content_block_stop" | "ping" | "message_stop"),
                Some(_),
            ) => roles[at] = Role::Chunk,
            _ => {}
        }
    }
}

/// The message with the counts that the delta names.
fn counted_anew<'a>(message: &Node<'a>, delta: &Node<'a>) -> Node<'a> {
    let mut usage = message.get("usage").cloned().unwrap_or(Node::Object(Vec::new()));
    for (key, value) in delta.get("usage").map(Node::members).unwrap_or_default() {
        if !matches!(value, Node::Null) {
            usage = with(&usage, key, value.clone());
        }
    }
    with(message, "usage", usage)
}

/// The object with this member instead of any of that name.
fn with<'a>(object: &Node<'a>, key: &str, value: Node<'a>) -> Node<'a> {
    let mut members: Vec<_> = object.members().iter().filter(|(name, _)| name != key).cloned().collect();
    members.push((Cow::Owned(key.to_owned()), value));
    Node::Object(members)
}
