//! The places of an item where readers find names and figures, and what each becomes in a row. An item in, nodes of it out.
//!
//! A name is told by where it stands: under the same key elsewhere may be content. Here stands whatever a reader looks at and
//! [`super::lists`] does not tell by its key alone; the tests decode every example again without the rest.

use spendstream_schemas::dimension::Text;

use super::super::json::Node;
use super::super::litellm;
use super::Under;

pub(super) type Places<'n> = Vec<(&'n Node<'n>, Under)>;

/// What holds the counts of a body.
const USAGES: [&str; 5] =
    ["usage", "usageMetadata", "usage_metadata", "usage_info", "amazon-bedrock-invocationMetrics"];

/// Of an item, or of the items of a list.
pub(super) fn item<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    node.items().iter().for_each(|inner| item(inner, out));
    event(node, out);
    if let Some(usage) = node.get("usage") {
        nested(usage, out);
    }
    body(node, out);
    names(node, &[("tenant", Text::Organization), ("custom_id", Text::ItemId)], out);
    words(node, &["token_type"], out);
    if node.get("response").is_some() {
        // By their being there a line of a batch is known.
        for place in ["key", "processed_time"] {
            put(node.get(place), mark(node.get(place)), out);
        }
    }
    if node.get("specversion").is_some() {
        names(node, &[("subject", Text::Customer)], out);
        put(node.get("data_base64").filter(|data| data.text().is_some()), Under::Encoded, out);
        node.get("data").into_iter().for_each(|data| item(data, out));
    }
    if node.get("call_type").is_some() {
        litellm(node, out);
    }
    if node.text_of("schemaType") == Some("ModelInvocationLog") {
        invocation_log(node, out);
    }
    if let (Some(_), Some(properties)) = (node.get("transaction_id"), node.get("properties")) {
        lago(node, properties, out);
    }
    if let Some(ai) = node.get("ai") {
        kong(node, ai, out);
    }
    gateways(node, out);
}

/// The names of event v1, which metering events use too.
fn event<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    // A status is one of two words, or wrong.
    for text in Text::ALL.into_iter().filter(|text| *text != Text::Status && !text.event_name().is_empty()) {
        names(node, &[(text.event_name(), text)], out);
    }
}

/// A usage object, or a whole body around one.
pub(super) fn nested<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    const AROUND: [&str; 7] = ["response", "message", "result", "data", "output", "choices", "candidates"];
    if node.get("response").or_else(|| node.get("result")).is_some() {
        for place in ["key", "processed_time", "custom_id"] {
            put(node.get(place), mark(node.get(place)), out);
        }
        words(node, &["result.type"], out);
    }
    body(node, out);
    if !USAGES.iter().chain(&AROUND).any(|key| node.get(key).is_some()) {
        counts(node, out);
    }
}

/// A provider's body, with the envelopes that providers themselves put around it.
fn body<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    const NAMES: [(&str, Text); 10] = [
        ("model", Text::Model),
        ("modelVersion", Text::Model),
        ("model_version", Text::Model),
        ("id", Text::ResponseId),
        ("responseId", Text::ResponseId),
        ("response_id", Text::ResponseId),
        ("generation_id", Text::ResponseId),
        ("service_tier", Text::ServiceTier),
        ("serviceTier", Text::ServiceTier),
        ("serviceTier.type", Text::ServiceTier),
    ];
    names(node, &NAMES, out);
    words(node, &["type", "object", "performanceConfig.latency"], out);
    for place in ["status", "created", "created_at", "createTime"] {
        put(node.get(place).filter(|found| found.text().is_some()), Under::Name, out);
    }
    USAGES
        .iter()
        .filter_map(|key| node.get(key))
        .filter(|usage| usage.is_object())
        .for_each(|usage| counts(usage, out));
    node.get("meta").filter(|meta| meta.get("billed_units").is_some()).into_iter().for_each(|meta| counts(meta, out));
    chunk(node, out);
    for tools in ["server_side_tool_usage_details", "server_side_tool_usage", "num_server_side_tools_used"] {
        put(node.get(tools).filter(|tools| tools.text().is_none()), Under::Figures, out);
    }
    // Each picture is charged, each query and each call of a tool.
    for picture in list(node, "data") {
        for place in ["url", "b64_json"] {
            put(picture.get(place), mark(picture.get(place)), out);
        }
    }
    for candidate in list(node, "candidates") {
        words(candidate, &["finishReason", "finish_reason"], out);
        put(candidate.path("groundingMetadata.webSearchQueries"), Under::Secret, out);
        put(candidate.path("groundingMetadata.groundingChunks"), Under::Path, out);
        let chunks = candidate.path("groundingMetadata.groundingChunks").map(Node::items).unwrap_or_default();
        for chunk in chunks {
            put(chunk.get("maps"), mark(chunk.get("maps")), out);
        }
    }
    for call in list(node, "output") {
        words(call, &["type", "container_id", "action.type"], out);
    }
    if node.has_object("usage") || node.has_object("usageMetadata") {
        return;
    }
    let inner = [node.get("response"), node.get("message"), node.path("result.message"), node.get("body")];
    inner.into_iter().flatten().filter(|inner| inner.is_object()).for_each(|inner| body(inner, out));
}

/// The end of a stream that has its usage elsewhere, which is told by its choices.
fn chunk<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    let choices = list(node, "choices");
    let places = node.path("x_groq.usage").into_iter().chain(choices.iter().filter_map(|choice| choice.get("usage")));
    let mut usages = places.filter(|usage| usage.is_object()).peekable();
    if usages.peek().is_none() {
        return;
    }
    usages.for_each(|usage| counts(usage, out));
    put(node.get("choices"), Under::Path, out);
    for choice in choices {
        words(choice, &["finish_reason"], out);
    }
}

/// A usage object: all figures in it, however they are called, and the words that say what they are.
fn counts<'n>(usage: &'n Node<'n>, out: &mut Places<'n>) {
    const NAMES: [(&str, Text); 5] = [
        ("service_tier", Text::ServiceTier),
        ("serviceTier", Text::ServiceTier),
        ("trafficType", Text::ServiceTier),
        ("traffic_type", Text::ServiceTier),
        ("inference_geo", Text::Region),
    ];
    put(Some(usage), Under::Figures, out);
    names(usage, &NAMES, out);
    words(usage, &["speed", "type", "token_type", "search_context_size"], out);
    for part in usage.members().iter().flat_map(|(_, value)| value.items()) {
        words(part, &["type", "ttl", "modality"], out);
        names(part, &[("model", Text::Model)], out);
    }
}

fn litellm<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    const NAMES: [(&str, Text); 11] = [
        ("litellm_call_id", Text::EventId),
        ("custom_llm_provider", Text::ProviderSent),
        ("model_group", Text::Model),
        ("model_map_information.model_map_key", Text::Model),
        ("end_user", Text::Customer),
        ("model_parameters.service_tier", Text::ServiceTier),
        ("cost_breakdown.service_tier", Text::ServiceTier),
        ("cost_breakdown.vertex_location", Text::Region),
        ("cost_breakdown.data_residency", Text::Region),
        ("error_information.error_class", Text::ErrorType),
        ("error_information.error_code", Text::ErrorType),
    ];
    names(node, &NAMES, out);
    node.get("metadata").into_iter().for_each(|metadata| names(metadata, &litellm::METADATA, out));
    for place in ["metadata.usage_object", "hidden_params.usage_object"] {
        node.path(place).filter(|usage| usage.is_object()).into_iter().for_each(|usage| nested(usage, out));
    }
}

fn invocation_log<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    const NAMES: [(&str, Text); 6] = [
        ("requestId", Text::EventId),
        ("modelId", Text::Model),
        ("accountId", Text::BillingAccount),
        ("identity.arn", Text::UserId),
        ("inferenceRegion", Text::Region),
        ("errorCode", Text::ErrorType),
    ];
    names(node, &NAMES, out);
    match node.path("output.outputBodyJson") {
        // A streamed answer: each chunk is a body.
        Some(Node::Array(chunks)) => chunks.iter().for_each(|chunk| body(chunk, out)),
        Some(answer) => nested(answer, out),
        None => {}
    }
}

fn lago<'n>(node: &'n Node<'n>, properties: &'n Node<'n>, out: &mut Places<'n>) {
    const NAMES: [(&str, Text); 4] = [
        ("transaction_id", Text::EventId),
        ("external_subscription_id", Text::EventSource),
        ("organization_id", Text::Organization),
        ("code", Text::Feature),
    ];
    names(node, &NAMES, out);
    event(properties, out);
    nested(properties, out);
}

/// `ai.<plugin>`, each with a usage and what it asked; older versions without the plugin's name.
fn kong<'n>(node: &'n Node<'n>, ai: &'n Node<'n>, out: &mut Places<'n>) {
    const NAMES: [(&str, Text); 5] = [
        ("request_id", Text::EventId),
        ("request.id", Text::EventId),
        ("route.name", Text::Endpoint),
        ("service.name", Text::App),
        ("consumer.username", Text::Customer),
    ];
    const ASKED: [(&str, Text); 3] = [
        ("meta.provider_name", Text::ProviderSent),
        ("meta.response_model", Text::Model),
        ("meta.request_model", Text::Model),
    ];
    names(node, &NAMES, out);
    for plugin in std::iter::once(ai).chain(ai.members().iter().map(|(_, plugin)| plugin)) {
        put(plugin.path("cache.cache_status").filter(|status| status.text().is_some()), Under::Name, out);
        if let Some(usage) = plugin.get("usage").filter(|usage| usage.is_object()) {
            counts(usage, out);
            names(plugin, &ASKED, out);
            put(plugin.path("meta.llm_latency"), Under::Name, out);
        }
    }
}

/// The flat logs of Portkey and Envoy.
fn gateways<'n>(node: &'n Node<'n>, out: &mut Places<'n>) {
    const NAMES: [(&str, Text); 8] = [
        ("trace_id", Text::TraceId),
        ("ai_org", Text::ProviderSent),
        ("ai_model", Text::Model),
        ("virtual_key", Text::ApiKeyId),
        ("prompt_slug", Text::Feature),
        ("x-request-id", Text::EventId),
        ("genai_model_name", Text::Model),
        ("genai_model_name_override", Text::Model),
    ];
    names(node, &NAMES, out);
    if node.get("ai_model").is_some() {
        put(node.get("metadata").filter(|labels| labels.is_object()), Under::Labels, out);
    }
}

fn list<'n>(node: &'n Node<'n>, key: &str) -> &'n [Node<'n>] {
    node.get(key).map(Node::items).unwrap_or_default()
}

/// What only has to be there: of a text that it was, of an object nothing inside.
fn mark(node: Option<&Node<'_>>) -> Under {
    if node.is_some_and(|node| node.text().is_some()) { Under::Secret } else { Under::Path }
}

fn put<'n>(node: Option<&'n Node<'n>>, under: Under, out: &mut Places<'n>) {
    out.extend(node.map(|node| (node, under)));
}

fn names<'n>(node: &'n Node<'n>, places: &[(&str, Text)], out: &mut Places<'n>) {
    for (path, text) in places {
        put(node.path(path).filter(|found| found.text().is_some()), Under::Read(*text), out);
    }
}

fn words<'n>(node: &'n Node<'n>, places: &[&str], out: &mut Places<'n>) {
    let is_word = |found: &&Node<'_>| found.text().is_some_and(|text| !text.contains(char::is_whitespace));
    for path in places {
        put(node.path(path).filter(is_word), Under::Word, out);
    }
}
