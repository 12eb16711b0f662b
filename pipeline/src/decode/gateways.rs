//! Access logs and exports of gateways, by their default names: Kong, Portkey, Envoy AI Gateway. (OpenRouter sends a response body.)
//!
//! Their users rename fields freely; a configured mapping comes first.

use std::borrow::Cow;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::ReportedCost;

use super::body::Extra;
use super::call::Call;
use super::field::{cost_of, count_of, first_count, loose_text};
use super::json::Node;
use super::parts::Parts;
use super::reject::Fault;
use super::time::{Unit, micros};

/// Kong's log: `ai.<plugin>.usage` and `.meta`. Every plugin that asked a model is charged, the first as the call itself.
///
/// # Errors
/// When a count or time is not one.
pub(super) fn kong<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    let Some(ai) = node.get("ai") else { return Ok(None) };
    let plugins = asked(ai);
    let Some(first) = plugins.first() else { return Ok(None) };
    let mut runs = plugins.iter().map(|plugin| run(plugin, ai)).collect::<Result<Vec<_>, _>>()?.into_iter();
    let mut call = Call::of_kind("kong");
    let texts = &mut call.row.texts;
    if let Some(run) = runs.next() {
        texts.set_if_some(Text::ProviderSent, run.provider);
        texts.set_if_some(Text::Model, run.model);
        call.row.reported_cost = run.reported_usd.map(usd);
        call.row.cache_hit = run.cache_hit;
        call.parts = run.parts;
    }
    call.extra = runs.collect();
    let request = node.get("request");
    let id = node
        .text_of("request_id")
        .or_else(|| request.and_then(|request| request.text_of("id")))
        .or_else(|| node.text_of("id"));
    texts.set_if_some(Text::EventId, id);
    texts.set_if_some(Text::Endpoint, node.path("route.name").and_then(Node::text));
    texts.set_if_some(Text::App, node.path("service.name").and_then(Node::text));
    texts.set_if_some(Text::Customer, node.path("consumer.username").and_then(Node::text));
    // Milliseconds, in some versions with a fraction.
    let latency = first.path("meta.llm_latency").and_then(cost_of).and_then(|millis| millis.round().to_i64());
    call.row.latency_ms = latency;
    if let Some(time) = node.get("started_at").or_else(|| node.get("time")) {
        call.time_micros = Some(micros(time, "started_at", Unit::Any)?);
    }
    Ok(Some(call))
}

/// The plugins that used a model, each once; older versions write usage without a plugin's name.
fn asked<'n, 'j>(ai: &'n Node<'j>) -> Vec<&'n Node<'j>> {
    let mut asked: Vec<&Node<'j>> = Vec::new();
    for (name, _) in ai.members() {
        // Through `get`, so that the last of repeated names counts.
        if let Some(plugin) = ai.get(name).filter(|plugin| plugin.has_object("usage"))
            && !asked.iter().any(|known| std::ptr::eq(*known, plugin))
        {
            asked.push(plugin);
        }
    }
    if asked.is_empty() && ai.has_object("usage") {
        asked.push(ai);
    }
    asked
}

fn run<'n>(plugin: &'n Node<'_>, ai: &'n Node<'_>) -> Result<Extra<'n>, Fault> {
    let mut run = Extra::default();
    if let Some(usage) = plugin.get("usage") {
        run.parts.input = first_count(usage, &["prompt_tokens", "prompt_token", "input_tokens"])?;
        run.parts.output = first_count(usage, &["completion_tokens", "completion_token", "output_tokens"])?;
        run.parts.total = first_count(usage, &["total_tokens", "total_token"])?;
        run.reported_usd = usage.get("cost").and_then(cost_of);
    }
    if let Some(meta) = plugin.get("meta") {
        run.provider = meta.text_of("provider_name").map(Cow::Borrowed);
        run.model = meta.text_of("response_model").or_else(|| meta.text_of("request_model")).map(Cow::Borrowed);
    }
    let cached = [plugin, ai].into_iter().find_map(|holder| holder.path("cache.cache_status")?.text());
    run.cache_hit = cached.map(|status| status.eq_ignore_ascii_case("hit"));
    Ok(run)
}

/// Portkey's log export: one flat object; cost in US cents.
///
/// # Errors
/// When a count or time is not one.
pub(super) fn portkey<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    if node.get("ai_model").is_none() || (node.get("req_units").is_none() && node.get("total_units").is_none()) {
        return Ok(None);
    }
    let mut call = Call::of_kind("portkey");
    call.parts = Parts {
        input: count_of(node, "req_units")?,
        output: count_of(node, "res_units")?,
        total: count_of(node, "total_units")?,
        ..Parts::default()
    };
    let texts = &mut call.row.texts;
    match node.text_of("id") {
        Some(id) => texts.set(Text::EventId, id),
        None => texts.set_if_some(Text::EventId, within_trace(node)),
    }
    texts.set_if_some(Text::TraceId, node.text_of("trace_id"));
    texts.set_if_some(Text::ProviderSent, node.text_of("ai_org"));
    texts.set_if_some(Text::Model, node.text_of("ai_model"));
    texts.set_if_some(Text::ApiKeyId, node.text_of("virtual_key"));
    texts.set_if_some(Text::Feature, node.text_of("prompt_slug"));
    let status = count_of(node, "response_status_code")?;
    let success = !matches!(node.get("is_success"), Some(Node::Bool(false)))
        && node.get("is_success").and_then(loose_text) != Some("0");
    if !success || status.is_some_and(|status| status >= 400) {
        texts.set(Text::Status, "error");
    }
    let cents = node.get("cost").and_then(cost_of).and_then(|cents| cents.checked_div(Decimal::ONE_HUNDRED));
    call.row.reported_cost = cents.map(usd);
    call.row.latency_ms = count_of(node, "response_time")?;
    // `HIT` and `SEMANTIC HIT` are answers from Portkey's own cache.
    call.row.cache_hit = node.text_of("cache_status").map(|status| status.to_ascii_uppercase().ends_with("HIT"));
    for (key, value) in node.get("metadata").map(Node::members).unwrap_or_default() {
        if let Some(value) = loose_text(value) {
            label(&mut call, key, value);
        }
    }
    if let Some(time) = node.get("created_at") {
        call.time_micros = Some(micros(time, "created_at", Unit::Any)?);
    }
    Ok(Some(call))
}

/// An export without ids still tells the calls of a trace apart: by when each was made, how long it took and what it counted.
fn within_trace(node: &Node<'_>) -> Option<String> {
    let trace = node.text_of("trace_id")?;
    let parts = ["created_at", "response_time", "req_units", "res_units", "ai_model"];
    let parts: Vec<&str> = parts.iter().map(|key| node.get(key).and_then(loose_text).unwrap_or_default()).collect();
    Some(format!("{trace}@{}", parts.join("/")))
}

/// A free label becomes the dimension of that name, or a tag.
pub(super) fn label<'n>(call: &mut Call<'n>, key: &'n str, value: &'n str) {
    const NAMES: [(&str, Text); 14] = [
        ("team", Text::Team),
        ("department", Text::Department),
        ("organization", Text::Organization),
        ("tenant", Text::Organization),
        ("project", Text::Project),
        ("customer", Text::Customer),
        ("app", Text::App),
        ("feature", Text::Feature),
        ("environment", Text::Environment),
        ("user", Text::UserId),
        ("_user", Text::UserId),
        ("session_id", Text::SessionId),
        ("task_type", Text::TaskType),
        ("run_id", Text::RunId),
    ];
    match NAMES.iter().find(|(name, _)| *name == key) {
        Some((_, text)) => call.default_text(*text, Some(value)),
        None => call.tag(key, value),
    }
}

/// Envoy AI Gateway's access log with its documented names.
///
/// # Errors
/// When a count or time is not one.
pub(super) fn envoy<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    if node.get("genai_tokens_input").is_none() && node.get("genai_tokens_output").is_none() {
        return Ok(None);
    }
    let mut call = Call::of_kind("envoy");
    let mut reading = Parts {
        input: log_count(node, "genai_tokens_input")?,
        output: log_count(node, "genai_tokens_output")?,
        total: log_count(node, "genai_tokens_total")?,
        ..Parts::default()
    };
    reading.cache_read = log_count(node, "genai_tokens_cached_input")?.unwrap_or(0);
    call.parts = reading;
    let texts = &mut call.row.texts;
    let model = [node.text_of("genai_model_name_override"), node.text_of("genai_model_name")];
    texts.set_if_some(Text::Model, model.into_iter().flatten().find(|name| !matches!(*name, "" | "-")));
    texts.set_if_some(Text::ProviderSent, node.text_of("genai_backend_name").map(backend));
    texts.set_if_some(Text::EventId, node.text_of("x-request-id"));
    let status = node.get("response_code").and_then(loose_text).and_then(|code| code.parse::<u16>().ok());
    if status.is_some_and(|status| status >= 400) {
        texts.set(Text::Status, "error");
    }
    if let Some(time) = node.get("start_time") {
        call.time_micros = Some(micros(time, "start_time", Unit::Any)?);
    }
    Ok(Some(call))
}

/// Access logs write `-` for nothing and numbers as texts.
fn log_count(node: &Node<'_>, key: &str) -> Result<Option<i64>, Fault> {
    match node.get(key) {
        Some(Node::Text(text)) if text == "-" || text.is_empty() => Ok(None),
        Some(Node::Text(text)) => super::field::count(&Node::Number(text), key).map(Some),
        _ => count_of(node, key),
    }
}

/// `default/openai/route/…` names the backend within its namespace.
fn backend(name: &str) -> &str {
    name.split('/').nth(1).unwrap_or(name)
}

fn usd<'n>(amount: Decimal) -> ReportedCost<'n> {
    ReportedCost { amount, currency: "USD".into() }
}
