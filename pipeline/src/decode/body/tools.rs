//! Tools that a provider runs itself and charges by the call. In: usage objects and whole bodies; out: counts beside the tokens.
//!
//! Usage and the items of an answer tell of the same calls, in several dialects: each call is counted once, and what usage says is
//! what is billed. A tool that no meter is for stands under its own name, so that a missing price is seen.

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::meter::{CODE_INTERPRETER_SESSION, FILE_SEARCH, WEB_SEARCH};
use spendstream_schemas::note::{CostQuality, Note};

use super::super::field::{count, count_of, inner_count, object_of};
use super::super::json::Node;
use super::super::parts::Parts;
use super::super::reject::Fault;
use super::{Hint, Reading, Shape, openai};

const CODE: &str = "code_interpreter_calls";

/// xAI's tools as its API counts them, as its own SDK does, and what each is counted as; a tool without a meter is not charged by the call.
const XAIS: [(&str, &str, Option<&str>); 8] = [
    ("web_search_calls", "SERVER_SIDE_TOOL_WEB_SEARCH", Some(WEB_SEARCH)),
    ("x_search_calls", "SERVER_SIDE_TOOL_X_SEARCH", Some("x_search_calls")),
    (CODE, "SERVER_SIDE_TOOL_CODE_EXECUTION", Some(CODE)),
    ("file_search_calls", "SERVER_SIDE_TOOL_COLLECTIONS_SEARCH", Some(FILE_SEARCH)),
    ("document_search_calls", "SERVER_SIDE_TOOL_ATTACHMENT_SEARCH", Some("document_search_calls")),
    ("mcp_calls", "SERVER_SIDE_TOOL_MCP", Some("mcp_calls")),
    ("view_image_calls", "SERVER_SIDE_TOOL_VIEW_IMAGE", None),
    ("view_x_video_calls", "SERVER_SIDE_TOOL_VIEW_X_VIDEO", None),
];

/// Whether tools are counted under this name, which no list of prices has: a row that is sent again has it among its plain names.
pub(super) fn is_own(key: &str) -> bool {
    matches!(key, "tool_calls_executed" | "num_sources_used" | "num_server_side_tools_used")
        || key.starts_with("SERVER_SIDE_TOOL_")
        || XAIS.iter().any(|(_, _, meter)| *meter == Some(key) && !matches!(key, WEB_SEARCH | FILE_SEARCH))
}

/// What a usage object tells of tools.
///
/// # Errors
/// When a count is not one.
pub(super) fn count_all<'n>(
    shape: Shape,
    usage: &'n Node<'_>,
    hint: Hint<'_>,
    parts: &mut Parts<'n>,
) -> Result<(), Fault> {
    let requested = |key| inner_count(usage, "server_tool_use", key).map(Option::unwrap_or_default);
    if shape != Shape::Anthropic && usage.has_object("server_tool_use") {
        parts.web_searches = parts.web_searches.max(requested("web_search_requests")?);
    }
    if matches!(shape, Shape::Chat | Shape::Responses) {
        // LiteLLM's place for what Gemini and others searched for.
        let [details, _] = openai::details(shape, usage);
        let told = inner_count(usage, details, "web_search_requests")?.unwrap_or(0);
        let told = if hint.model.is_some_and(super::gemini::pays_by_request) { told.min(1) } else { told };
        parts.web_searches = parts.web_searches.max(told);
    }
    // OpenRouter's own tools; the searches among them are told by name.
    if usage.has_object("server_tool_use_details") {
        let executed = inner_count(usage, "server_tool_use_details", "tool_calls_executed")?.unwrap_or(0);
        let named = if usage.has_object("server_tool_use") {
            requested("web_search_requests")?.saturating_add(requested("web_fetch_requests")?)
        } else {
            0
        };
        at_least(parts, "tool_calls_executed", executed.saturating_sub(named).max(0));
    }
    at_least(parts, "num_sources_used", count_of(usage, "num_sources_used")?.unwrap_or(0));
    xais(usage, parts)
}

/// xAI's counts of its tools, in usage or beside it.
///
/// # Errors
/// When a count is not one.
pub(super) fn xais<'n>(node: &'n Node<'_>, parts: &mut Parts<'n>) -> Result<(), Fault> {
    let mut told = false;
    for holder in ["server_side_tool_usage_details", "server_side_tool_usage"] {
        let Some(tools) = object_of(node, holder)? else { continue };
        for (key, value) in tools.members() {
            if matches!(value, Node::Null) {
                continue;
            }
            let calls = count(value, key)?;
            told |= calls > 0;
            match XAIS.iter().find(|(name, sdk, _)| key == name || key == sdk) {
                Some((.., Some(WEB_SEARCH))) => parts.web_searches = parts.web_searches.max(calls),
                Some((.., Some(meter))) => at_least(parts, *meter, calls),
                Some((.., None)) => {}
                None => at_least(parts, &**key, calls),
            }
        }
    }
    let all = count_of(node, "num_server_side_tools_used")?.unwrap_or(0);
    if !told {
        at_least(parts, "num_server_side_tools_used", all);
    }
    Ok(())
}

/// Makes a quantity as large as one dialect tells it, where another has not told as much.
fn at_least<'n>(parts: &mut Parts<'n>, meter: impl Into<Cow<'n, str>>, calls: i64) {
    let (meter, calls) = (meter.into(), Decimal::from(calls));
    match parts.quantities.iter_mut().find(|(name, _)| *name == meter) {
        Some((_, told)) => *told = (*told).max(calls),
        None => parts.add_quantity(meter, calls),
    }
}

/// Calls of built-in tools that are charged by the call, from the response's `output`.
pub(in super::super) fn calls<'n>(body: &'n Node<'_>, reading: &mut Reading<'n>) {
    let (mut searches, mut files) = (0, 0);
    let mut containers: Vec<Option<&str>> = Vec::new();
    for item in body.get("output").map(Node::items).unwrap_or_default() {
        match item.text_of("type") {
            // Opening a page or searching in it is not charged.
            Some("web_search_call") => {
                let action = item.get("action").and_then(|action| action.text_of("type"));
                searches += i64::from(action.is_none_or(|action| action == "search"));
            }
            Some("file_search_call") => files += 1,
            Some("code_interpreter_call") => {
                let container = item.text_of("container_id");
                if container.is_none() || !containers.contains(&container) {
                    containers.push(container);
                }
            }
            // A picture is made by another model, whose tokens are not told.
            Some("image_generation_call") => reading.unexplained(),
            _ => {}
        }
    }
    let parts = &mut reading.parts;
    let tells = |parts: &Parts<'_>, meter: &str| parts.quantities.iter().any(|(name, _)| name == meter);
    if parts.web_searches == 0 {
        parts.web_searches = searches;
    }
    if !tells(parts, FILE_SEARCH) {
        parts.add_quantity(FILE_SEARCH, Decimal::from(files));
    }
    if !containers.is_empty() && !tells(parts, CODE) {
        // A container serves the calls of 20 minutes and is paid once; which call that was, none of them says.
        parts.add_quantity(CODE_INTERPRETER_SESSION, Decimal::from(containers.len()));
        reading.notes.insert(Note::SessionAssumed);
        reading.quality = reading.quality.max(CostQuality::UpperBound);
    }
}
