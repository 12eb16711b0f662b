//! One call of the cast in, the Kafka message that its app would produce out: our own event, the same in CloudEvents,
//! a `LiteLLM` log record or an OpenTelemetry span.
//!
//! Never a prompt or a completion: none of these apps logs them.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::cast::{App, Envelope};
use super::usage::{Counts, body};

/// Everything about one call.
#[derive(Clone, Debug)]
pub struct Made<'a> {
    pub app: &'a App,
    pub counts: Counts,
    /// Unique for ever.
    pub id: String,
    pub user: &'static str,
    /// Empty when there is none.
    pub session: String,
    /// 128 random bits: the trace, and in them the span.
    pub trace: u128,
    /// When it ended, milliseconds since the epoch.
    pub ended_ms: i64,
    pub latency_ms: u64,
    /// The provider refused it: no tokens.
    pub failed: bool,
    /// Answered from the app's own cache.
    pub cache_hit: bool,
    /// What stands for the prompt.
    pub prompt_hash: u64,
}

/// Key, content type where the envelope has one, and payload.
pub fn message(made: &Made<'_>) -> (String, Option<&'static str>, Vec<u8>) {
    let (key, content_type, value) = match made.app.envelope {
        Envelope::Event => (made.id.clone(), None, event(made)),
        Envelope::CloudEvent => (made.id.clone(), Some("application/cloudevents+json"), cloud_event(made)),
        Envelope::LiteLlm => (made.id.clone(), None, litellm(made)),
        Envelope::Span => (format!("{:032x}", made.trace), None, span(made)),
    };
    (key, content_type, value.to_string().into_bytes())
}

/// Event v1.
fn event(made: &Made<'_>) -> Value {
    let app = made.app;
    let mut event = json!({
        "id": made.id,
        "time": rfc3339(made.ended_ms),
        "provider": app.provider,
        "model": app.model,
        "usage": body(&made.counts, app.shape),
        "organization": app.organization,
        "department": app.department,
        "team": app.team,
        "app": app.name,
        "user": made.user,
        "environment": "production",
        "status": if made.failed { "error" } else { "ok" },
        "latency_ms": made.latency_ms,
        "prompt_hash": format!("{:016x}", made.prompt_hash),
    });
    let mut set = |name: &str, value: Value| event[name] = value;
    if !made.session.is_empty() {
        set("session_id", json!(made.session));
    }
    if let Some(tier) = app.service_tier {
        set("service_tier", json!(tier));
    }
    if let Some(region) = app.region {
        set("region", json!(region));
    }
    if made.failed {
        set("error_type", json!("rate_limit_exceeded"));
    }
    if made.cache_hit {
        set("cache_hit", json!(true));
    }
    event
}

/// Event v1 as the data of CloudEvents.
fn cloud_event(made: &Made<'_>) -> Value {
    json!({
        "specversion": "1.0",
        "type": "com.example.llm.call",
        "source": format!("/{}/{}", made.app.organization, made.app.name),
        "id": made.id,
        "time": rfc3339(made.ended_ms),
        "datacontenttype": "application/json",
        "data": event(made),
    })
}

/// `LiteLLM`'s standard logging payload, the fields that matter.
fn litellm(made: &Made<'_>) -> Value {
    let (app, counts) = (made.app, &made.counts);
    let started_ms = made.ended_ms - i64::try_from(made.latency_ms).unwrap_or(0);
    json!({
        "id": made.id,
        "litellm_call_id": made.id,
        "trace_id": format!("{:032x}", made.trace),
        "call_type": "acompletion",
        "status": "success",
        "custom_llm_provider": app.provider,
        "model": app.model,
        "startTime": seconds(started_ms),
        "endTime": seconds(made.ended_ms),
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "cache_hit": false,
        "request_tags": [app.name],
        "metadata": {
            "user_api_key_org_alias": app.organization,
            "user_api_key_team_alias": app.team,
            "user_api_key_project_alias": app.name,
            "user_api_key_user_id": made.user,
            "usage_object": body(counts, app.shape),
        },
    })
}

/// An OpenTelemetry GenAI span, as the Collector's Kafka exporter writes it (`otlp_json`).
fn span(made: &Made<'_>) -> Value {
    let (app, counts) = (made.app, &made.counts);
    let started_ms = made.ended_ms - i64::try_from(made.latency_ms).unwrap_or(0);
    let nanos = |millis: i64| format!("{millis}000000");
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let count = |key: &str, value: u64| json!({ "key": key, "value": { "intValue": value.to_string() } });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", app.name),
            text("deployment.environment.name", "production"),
            text("organization", app.organization),
            text("team", app.team),
        ]},
        "scopeSpans": [{
            "scope": { "name": "opentelemetry.instrumentation.openai_v2" },
            "spans": [{
                "traceId": format!("{:032x}", made.trace),
                "spanId": format!("{:016x}", made.trace >> 64 | 1),
                "name": format!("chat {}", app.model),
                "kind": 3,
                "startTimeUnixNano": nanos(started_ms),
                "endTimeUnixNano": nanos(made.ended_ms),
                "attributes": [
                    text("gen_ai.operation.name", "chat"),
                    text("gen_ai.provider.name", app.provider),
                    text("gen_ai.request.model", app.model),
                    text("gen_ai.response.model", app.model),
                    text("gen_ai.conversation.id", &made.session),
                    text("user.id", made.user),
                    count("gen_ai.usage.input_tokens", counts.input),
                    count("gen_ai.usage.cache_read.input_tokens", counts.cache_read),
                    count("gen_ai.usage.output_tokens", counts.output),
                    count("gen_ai.usage.reasoning.output_tokens", counts.reasoning),
                ],
                "status": {},
            }],
        }],
    }]})
}

fn rfc3339(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Seconds with three decimals, the way `LiteLLM` writes times, without a binary float on the way.
fn seconds(millis: i64) -> Value {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    text.parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}
