//! Access logs and exports of gateways, by their default names: Kong, Portkey, Envoy AI Gateway. (OpenRouter sends a response body.)
//!
//! Their users rename fields freely; a configured mapping comes first.

use rust_decimal::Decimal;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::ReportedCost;

use super::call::Call;
use super::field::{cost_of, count_of, first_count, loose_text};
use super::json::Node;
use super::parts::Parts;
use super::reject::Fault;
use super::time::{Unit, micros};

/// Kong's log: `ai.<plugin>.usage` and `.meta`.
///
/// # Errors
/// When a count or time is not one.
pub(super) fn kong<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    let Some(ai) = node.get("ai") else { return Ok(None) };
    let plugins = ai.members().iter().map(|(_, plugin)| plugin);
    let Some(plugin) = plugins.chain([ai]).find(|plugin| plugin.has_object("usage")) else { return Ok(None) };
    let (Some(usage), meta) = (plugin.get("usage"), plugin.get("meta")) else { return Ok(None) };
    let mut call = Call::of_kind("kong");
    call.parts = Parts {
        input: first_count(usage, &["prompt_tokens", "prompt_token", "input_tokens"])?,
        output: first_count(usage, &["completion_tokens", "completion_token", "output_tokens"])?,
        total: first_count(usage, &["total_tokens", "total_token"])?,
        ..Parts::default()
    };
    call.row.reported_cost = usage.get("cost").and_then(cost_of).map(usd);
    let texts = &mut call.row.texts;
    if let Some(meta) = meta {
        texts.set_if_some(Text::ProviderSent, meta.text_of("provider_name"));
        texts.set_if_some(Text::Model, meta.text_of("response_model").or_else(|| meta.text_of("request_model")));
        call.row.latency_ms = count_of(meta, "llm_latency")?;
    }
    let request = node.get("request");
    let id = node
        .text_of("request_id")
        .or_else(|| request.and_then(|request| request.text_of("id")))
        .or_else(|| node.text_of("id"));
    texts.set_if_some(Text::EventId, id);
    texts.set_if_some(Text::Endpoint, node.path("route.name").and_then(Node::text));
    texts.set_if_some(Text::App, node.path("service.name").and_then(Node::text));
    texts.set_if_some(Text::Customer, node.path("consumer.username").and_then(Node::text));
    let cached = plugin
        .path("cache.cache_status")
        .and_then(Node::text)
        .or_else(|| ai.path("cache.cache_status").and_then(Node::text));
    call.row.cache_hit = cached.map(|status| status.eq_ignore_ascii_case("hit"));
    if let Some(time) = node.get("started_at").or_else(|| node.get("time")) {
        call.time_micros = Some(micros(time, "started_at", Unit::Any)?);
    }
    Ok(Some(call))
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
    texts.set_if_some(Text::EventId, node.text_of("id").or_else(|| node.text_of("trace_id")));
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
