//! What of a readable item may be kept when it is rejected: names and figures a decoder knows, never prompts, completions or keys.
//!
//! An allow-list: an unknown key is dropped with all that hangs on it, and a text stays only under a key that names things.

use super::call::looks_secret;
use super::json::Node;

/// A longer text names nothing.
const MAX_TEXT: usize = 256;

/// Keys whose texts are names, ids, times or figures.
const NAMES: [&str; 106] = [
    "id",
    "source",
    "time",
    "provider",
    "model",
    "operation",
    "organization",
    "tenant",
    "team",
    "department",
    "project",
    "user",
    "customer",
    "app",
    "feature",
    "agent",
    "environment",
    "endpoint",
    "task_type",
    "complexity",
    "run_id",
    "metric",
    "item_id",
    "session_id",
    "api_key_id",
    "billing_account",
    "service_tier",
    "serviceTier",
    "region",
    "status",
    "error_type",
    "prompt_hash",
    "response_id",
    "amount",
    "currency",
    "specversion",
    "type",
    "subject",
    "datacontenttype",
    "dataschema",
    "object",
    "modelVersion",
    "responseId",
    "createTime",
    "created",
    "created_at",
    "trafficType",
    "modality",
    "ttl",
    "inference_geo",
    "speed",
    "custom_id",
    "container_id",
    "generation_id",
    "call_type",
    "custom_llm_provider",
    "litellm_call_id",
    "trace_id",
    "model_group",
    "startTime",
    "endTime",
    "completionStartTime",
    "end_user",
    "error_class",
    "error_code",
    "schemaType",
    "schemaVersion",
    "timestamp",
    "accountId",
    "inferenceRegion",
    "requestId",
    "modelId",
    "arn",
    "organization_id",
    "external_subscription_id",
    "transaction_id",
    "code",
    "request_model",
    "response_model",
    "provider_name",
    "cache_status",
    "ai_org",
    "ai_model",
    "cost_currency",
    "virtual_key",
    "prompt_slug",
    "genai_model_name",
    "genai_model_name_override",
    "genai_backend_name",
    "start_time",
    "x-request-id",
    "started_at",
    "user_api_key_hash",
    "user_api_key_alias",
    "user_api_key_org_id",
    "user_api_key_org_alias",
    "user_api_key_team_id",
    "user_api_key_team_alias",
    "user_api_key_project_id",
    "user_api_key_project_alias",
    "user_api_key_user_id",
    "user_api_key_end_user_id",
    "user_api_key_request_route",
    "team_id",
    "team_alias",
    "request_id",
];

/// Keys that hold figures or further known keys; a text under them is content.
const HOLDERS: [&str; 58] = [
    "usage",
    "usageMetadata",
    "usage_metadata",
    "usage_object",
    "usage_info",
    "response",
    "message",
    "body",
    "data",
    "meta",
    "metadata",
    "hidden_params",
    "properties",
    "tags",
    "reported_cost",
    "metrics",
    "input",
    "output",
    "outputBodyJson",
    "identity",
    "requestMetadata",
    "iterations",
    "cacheDetails",
    "billed_units",
    "tokens",
    "cache_creation",
    "server_tool_use",
    "cost",
    "cost_breakdown",
    "cost_details",
    "latency_ms",
    "cache_hit",
    "response_cost",
    "saved_cache_cost",
    "response_time",
    "stream",
    "total_time",
    "seconds",
    "ai",
    "cache",
    "llm_latency",
    "status_code",
    "response_code",
    "is_success",
    "req_units",
    "res_units",
    "total_units",
    "response_status_code",
    "is_byok",
    "cost_in_usd_ticks",
    "error_information",
    "status_fields",
    "action",
    "request_tags",
    "performanceConfig",
    "amazon-bedrock-invocationMetrics",
    "precise_total_amount_cents",
    "number",
];

fn is_name(key: &str) -> bool {
    NAMES.contains(&key)
}

/// Counts are recognised by how they are called: a number under such a key says nothing secret.
fn is_figure(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    [
        "token", "count", "latency", "second", "searches", "requests", "queries", "details", "cost", "units", "usage",
        "_in", "_out",
    ]
    .iter()
    .any(|part| lower.contains(part))
        || spendstream_schemas::meter::is_known(key)
        || !spendstream_schemas::meter::alternatives(key).is_empty()
}

/// The item as JSON, with only what may be kept.
pub(super) fn json(node: &Node<'_>) -> Vec<u8> {
    let mut text = String::new();
    write(node, Under::Top, &mut text);
    text.into_bytes()
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
    /// Texts are kept.
    Name,
    /// Only figures and further objects.
    Holder,
    /// The producer's own short labels.
    Labels,
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
            for item in items.iter().filter(|item| keeps(item, under)) {
                separate(&mut first, out);
                write(item, under, out);
            }
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            let mut first = true;
            for (key, value) in members {
                let Some(below) = below(key, under) else { continue };
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

fn below(key: &str, under: Under) -> Option<Under> {
    match key {
        _ if under == Under::Labels => Some(Under::Labels),
        "tags" | "request_tags" | "requestMetadata" => Some(Under::Labels),
        _ if is_name(key) => Some(Under::Name),
        _ if HOLDERS.contains(&key) || is_figure(key) => Some(Under::Holder),
        _ => None,
    }
}

fn keeps(node: &Node<'_>, under: Under) -> bool {
    match node {
        Node::Text(text) => under != Under::Holder && text.len() <= MAX_TEXT,
        _ => true,
    }
}

fn write_text(text: &str, under: Under, out: &mut String) {
    let kept = if looks_secret(text) || (under == Under::Top && text.len() > MAX_TEXT) { "[removed]" } else { text };
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
    fn what_is_kept_is_json() {
        check(r#"{"id":"a\"b\u0001","usage":{}}"#, r#"{"id":"a\"b\u0001","usage":{}}"#);
    }
}
