//! LiteLLM's `StandardLoggingPayload`. Token details are in `metadata.usage_object`; content, errors and keys are never looked at.

use rust_decimal::Decimal;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::meter::REQUEST;
use spendstream_schemas::note::{CostQuality, Note};
use spendstream_schemas::usage_event::ReportedCost;

use super::body::{self, Hint, Reading};
use super::call::Call;
use super::field::{cost_of, count_of, loose_text};
use super::json::Node;
use super::parts::Parts;
use super::reject::Fault;
use super::time::{Unit, micros};

/// Keys of `metadata`, and what they say; the first that is there wins.
pub(super) const METADATA: [(&str, Text); 15] = [
    ("user_api_key_org_alias", Text::Organization),
    ("user_api_key_org_id", Text::Organization),
    ("user_api_key_team_alias", Text::Team),
    ("team_alias", Text::Team),
    ("user_api_key_team_id", Text::Team),
    ("team_id", Text::Team),
    ("user_api_key_project_alias", Text::Project),
    ("user_api_key_project_id", Text::Project),
    ("user_api_key_user_id", Text::UserId),
    ("user_api_key_end_user_id", Text::Customer),
    ("user_api_key_request_route", Text::Endpoint),
    ("user_api_key_alias", Text::ApiKeyId),
    ("user_api_key_hash", Text::ApiKeyId),
    ("session_id", Text::SessionId),
    ("agent_id", Text::Agent),
];

/// Reads one payload; `None` when it is something else.
///
/// # Errors
/// When a count or time is not one.
pub(super) fn read<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    if node.get("call_type").is_none()
        || (node.get("litellm_call_id").is_none() && node.get("custom_llm_provider").is_none())
    {
        return Ok(None);
    }
    let mut call = Call::of_kind("litellm");
    texts(node, &mut call);
    // A hit is served by LiteLLM's own cache, an absent flag says nothing.
    call.row.cache_hit = match node.get("cache_hit") {
        Some(Node::Bool(hit)) => Some(*hit),
        _ => None,
    };
    let cost = node.get("response_cost").and_then(cost_of);
    call.row.reported_cost = cost.map(|amount| ReportedCost { amount, currency: "USD".into() });
    if let Some(time) = node.get("endTime") {
        call.time_micros = Some(micros(time, "endTime", Unit::Any)?);
        if let Some(start) = node.get("startTime") {
            let took = call.time_micros.unwrap_or(0).saturating_sub(micros(start, "startTime", Unit::Any)?);
            call.row.latency_ms = (took >= 0).then_some(took / 1_000);
        }
    }
    // The tags are a list; as labels they are present or not.
    for tag in node.get("request_tags").map(Node::items).unwrap_or_default().iter().filter_map(Node::text) {
        call.tag(tag, "true");
    }
    let mut reading = usage(node)?;
    // Usage tells of tokens; what the answer searched for stands in the answer.
    if let Some(response) = node.get("response") {
        body::tool_calls(response, &mut reading);
    }
    reading.time_micros = None;
    reading.response_id = None;
    reading.provider = None;
    reading.operation = None;
    reading.reported_usd = None;
    call.take(reading);
    let tools = node.path("cost_breakdown.tool_usage_cost").and_then(cost_of);
    if tools.is_some_and(|cost| !cost.is_zero()) && call.parts.web_searches == 0 && call.parts.quantities.is_empty() {
        // Tools were paid for that nothing here counts.
        call.row.notes.insert(Note::TokensUnexplained);
        call.row.quality = call.row.quality.max(CostQuality::Estimated);
    }
    if cost.is_some_and(|cost| !cost.is_zero()) && call.row.cache_hit != Some(true) && counted_nothing(&call.parts) {
        // Something was paid for that LiteLLM does not count (characters of speech): without a count it would look free.
        call.parts.add_quantity(REQUEST, Decimal::ONE);
        call.row.notes.insert(Note::TokensUnexplained);
        call.row.quality = CostQuality::Estimated;
    }
    Ok(Some(call))
}

fn counted_nothing(parts: &Parts<'_>) -> bool {
    let tokens = [parts.input, parts.output].into_iter().flatten().any(|count| count != 0);
    !tokens && parts.web_searches == 0 && parts.quantities.is_empty()
}

fn texts<'n>(node: &'n Node<'_>, call: &mut Call<'n>) {
    let metadata = node.get("metadata");
    for (key, text) in METADATA {
        call.default_text(text, metadata.and_then(|metadata| metadata.text_of(key)));
    }
    let response = node.get("response");
    let texts = &mut call.row.texts;
    let by_call = node.text_of("litellm_call_id").or_else(|| node.text_of("id"));
    let is_batch = node.text_of("call_type").is_some_and(|call_type| call_type.ends_with("_batch"));
    // A finished batch counts whenever it is looked at; it is one charge.
    let counted = is_batch && count_of(node, "total_tokens").ok().flatten().is_some_and(|total| total > 0);
    texts.set_if_some(Text::EventId, node.text_of("id").filter(|_| counted).or(by_call));
    texts.set_if_some(Text::ResponseId, node.text_of("id"));
    texts.set_if_some(Text::EventSource, Some("litellm"));
    texts.set_if_some(Text::ProviderSent, node.text_of("custom_llm_provider"));
    let provider = node.text_of("custom_llm_provider").unwrap_or_default();
    let (model, routed) = node.text_of("model").map(|model| plain_model(model, provider)).unzip();
    texts.set_if_some(Text::Model, model);
    texts.set_if_some(Text::Region, routed.flatten());
    // The name of a deployment is nobody's model: what answered, and what LiteLLM itself prices by, says more.
    let answered = response.and_then(|response| response.text_of("model")).filter(|answered| {
        // The proxy answers by the name that its client asked for.
        Some(*answered) != node.text_of("model_group") || mapped_model(node).is_none()
    });
    let others = [answered, mapped_model(node)];
    call.row.model_answered = others.into_iter().flatten().find(|other| Some(*other) != model).map(Into::into);
    let texts = &mut call.row.texts;
    texts.set(Text::Operation, operation(node.text_of("call_type").unwrap_or_default()));
    texts.set_if_some(Text::Customer, node.get("end_user").and_then(loose_text));
    texts.set_if_some(Text::SessionId, node.text_of("session_id"));
    let tiers = [
        response.and_then(|response| response.text_of("service_tier")),
        node.path("cost_breakdown.service_tier").and_then(Node::text),
    ];
    let asked = node.path("model_parameters.service_tier").and_then(Node::text);
    match tiers.into_iter().flatten().next().or(is_batch.then_some("batch")) {
        Some(tier) => texts.set(Text::ServiceTier, tier),
        // Asked for is not yet got.
        None => {
            if let Some(asked) = asked.filter(|asked| !matches!(*asked, "auto" | "default")) {
                texts.set(Text::ServiceTier, asked);
                call.row.notes.insert(Note::TierAssumed);
                call.row.quality = CostQuality::Estimated;
            }
        }
    }
    let texts = &mut call.row.texts;
    let places = ["cost_breakdown.vertex_location", "cost_breakdown.data_residency"];
    texts.set_if_some(Text::Region, places.iter().find_map(|place| node.path(place).and_then(Node::text)));
    if node.text_of("status") == Some("failure") {
        texts.set(Text::Status, "error");
        // A retry keeps the call's id, and is the one that is paid; of several failed tries the beginning tells which it is.
        let begun = node.get("startTime").and_then(loose_text).map(|time| format!("@{time}")).unwrap_or_default();
        texts.set_if_some(Text::EventId, node.text_of("litellm_call_id").map(|id| format!("{id}#failure{begun}")));
        let class = node.path("error_information.error_class").and_then(Node::text);
        texts.set_if_some(
            Text::ErrorType,
            class.or_else(|| node.path("error_information.error_code").and_then(Node::text)),
        );
    }
}

/// The model whose price LiteLLM's own list has.
fn mapped_model<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    node.path("model_map_information.model_map_key").and_then(Node::text)
}

/// The model without what LiteLLM puts before it, and the region that a Bedrock route names.
///
/// Only the provider's own name goes: OpenRouter, Groq and others know their models as `vendor/model`.
fn plain_model<'n>(model: &'n str, provider: &str) -> (&'n str, Option<&'n str>) {
    /// Providers with several names of their own (`vertex_ai_beta`, `bedrock_converse`, `azure_text`).
    const FAMILIES: [&str; 3] = ["azure", "bedrock", "vertex_ai"];
    let is_own = |head: &str| {
        head == provider
            || (FAMILIES.contains(&head) && provider.starts_with(head))
            || (head == "openai" && provider == "text-completion-openai")
    };
    let mut plain = match model.split_once('/') {
        // OpenRouter has a model `openrouter/auto`.
        Some((head, rest)) if is_own(head) && (head != "openrouter" || rest.contains('/')) => rest,
        _ => model,
    };
    let mut region = None;
    if provider.starts_with("bedrock") {
        while let Some((head, rest)) = plain.split_once('/') {
            if is_region(head) {
                region = Some(head);
            } else if !matches!(head, "converse" | "converse_like" | "invoke") {
                break;
            }
            plain = rest;
        }
    }
    (plain, region)
}

/// `eu-central-1`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let ends_in_number = parts.next_back().is_some_and(|last| last.parse::<u8>().is_ok());
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    ends_in_number && text.matches('-').count() >= 2 && parts.all(is_word)
}

fn operation(call_type: &str) -> &'static str {
    let call_type = call_type.strip_prefix('a').unwrap_or(call_type);
    match call_type {
        "embedding" => "embeddings",
        "text_completion" => "completion",
        "image_generation" | "image_edit" => "image",
        "transcription" | "speech" => "audio",
        "rerank" => "rerank",
        _ => "chat",
    }
}

/// The usage object where it is; else the plain totals.
fn usage<'n>(node: &'n Node<'_>) -> Result<Reading<'n>, Fault> {
    let hint = Hint { model: node.text_of("model"), operation: None, lenient: true };
    let places = ["metadata.usage_object", "hidden_params.usage_object", "response.usage", "response.usageMetadata"];
    for place in places {
        if let Some(usage) = node.path(place).filter(|usage| usage.is_object())
            && let Some(reading) = body::read(usage, hint)?
        {
            return Ok(reading);
        }
    }
    let parts = Parts {
        input: count_of(node, "prompt_tokens")?,
        output: count_of(node, "completion_tokens")?,
        total: count_of(node, "total_tokens")?,
        ..Parts::default()
    };
    Ok(Reading { parts, ..Reading::default() })
}
