//! Attribute names: the convention's own first, then older and other spellings that real emitters send.

use spendstream_schemas::dimension::Text;

use super::super::secret;

pub(super) const INPUT: &[&str] = &[
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.usage.input_tokens",
    "llm.token_count.prompt",
];
pub(super) const OUTPUT: &[&str] = &[
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.usage.output_tokens",
    "llm.token_count.completion",
];
pub(super) const TOTAL: &[&str] = &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"];
pub(super) const CACHE_READ: &[&str] = &[
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cached_tokens",
    "llm.usage.cache_read_input_tokens",
    "llm.anthropic.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
    "gen_ai.usage.details.cache_read_tokens",
];
pub(super) const CACHE_WRITE: &[&str] = &[
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "llm.usage.cache_creation_input_tokens",
    "llm.anthropic.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
    "gen_ai.usage.details.cache_write_tokens",
];
pub(super) const CACHE_WRITE_5M: &[&str] = &["anthropic.usage.cache_creation.ephemeral_5m_input_tokens"];
pub(super) const CACHE_WRITE_1H: &[&str] = &["anthropic.usage.cache_creation.ephemeral_1h_input_tokens"];
pub(super) const REASONING: &[&str] = &[
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
];
pub(super) const AUDIO_IN: &[&str] = &["gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"];
pub(super) const AUDIO_OUT: &[&str] = &["gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"];
pub(super) const IMAGE_IN: &[&str] = &["gen_ai.usage.image.input_tokens"];
pub(super) const VIDEO_IN: &[&str] = &["gen_ai.usage.video.input_tokens"];
pub(super) const IMAGE_OUT: &[&str] = &["gen_ai.usage.image.output_tokens"];
pub(super) const WEB_SEARCHES: &[&str] = &[
    "anthropic.usage.server_tool_use.web_search_requests",
    "gen_ai.usage.web_searches",
    "gen_ai.usage.details.web_search_requests",
];

pub(super) const OPERATION: &[&str] = &["gen_ai.operation.name", "llm.request.type"];
pub(super) const KIND: &[&str] = &["openinference.span.kind", "traceloop.span.kind"];
pub(super) const PROVIDER: &[&str] =
    &["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor", "ai.model.provider"];
pub(super) const MODEL: &[&str] = &[
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.request.model",
    "llm.model_name",
    "embedding.model_name",
    "ai.model.id",
];
pub(super) const RESPONSE_ID: &[&str] = &["gen_ai.response.id", "llm.response.id", "ai.response.id"];
pub(super) const ADDRESS: &[&str] = &["server.address", "gen_ai.openai.api_base", "net.peer.name"];
pub(super) const TIER: &[&str] = &[
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "anthropic.response.service_tier",
    "gen_ai.response.service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
];
pub(super) const REGION: &[&str] =
    &["anthropic.usage.inference_geo", "anthropic.response.inference_geo", "gen_ai.request.region"];
pub(super) const ERROR_TYPE: &[&str] = &["error.type", "exception.type"];

/// Span attributes, then resource attributes, that name a dimension. Every dimension also goes by its own name.
pub(super) const DIMENSIONS: &[(Text, &[&str])] = &[
    (Text::Organization, &["tenant", "tenant.id", "organization.id", "organization.name"]),
    (Text::Team, &["team.name", "team.id", "service.team"]),
    (Text::Department, &["department.name"]),
    (Text::Project, &["project.name", "project.id", "langsmith.project", "openinference.project.name"]),
    (Text::UserId, &["user.id", "enduser.id", "gen_ai.user", "llm.user", "traceloop.association.properties.user_id"]),
    (Text::Customer, &["customer.id", "traceloop.association.properties.customer_id"]),
    (Text::App, &["service.name"]),
    (Text::Feature, &["gen_ai.workflow.name", "traceloop.workflow.name"]),
    (Text::Agent, &["gen_ai.agent.name", "gen_ai.agent.id"]),
    (Text::Environment, &["deployment.environment.name", "deployment.environment"]),
    (Text::SessionId, &["gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"]),
    (Text::Endpoint, &[]),
    (Text::TaskType, &[]),
    (Text::Complexity, &[]),
    (Text::RunId, &[]),
    (Text::Metric, &[]),
    (Text::ItemId, &[]),
    (Text::ApiKeyId, &[]),
    (Text::BillingAccount, &[]),
    (Text::PromptHash, &[]),
];

/// Whether calls are told apart by what is under this name, so that a hash must stand for a key that is found there.
pub(super) fn tells_apart(name: &str) -> bool {
    let names_it = |(text, names): &&(Text, &[&str])| text.event_name() == name || names.contains(&name);
    RESPONSE_ID.contains(&name) || DIMENSIONS.iter().find(names_it).is_some_and(|(text, _)| secret::tells_apart(*text))
}

/// What may be kept of a rejected span.
pub(super) fn is_known(name: &str) -> bool {
    let lists = [
        INPUT,
        OUTPUT,
        TOTAL,
        CACHE_READ,
        CACHE_WRITE,
        CACHE_WRITE_5M,
        CACHE_WRITE_1H,
        REASONING,
        AUDIO_IN,
        AUDIO_OUT,
        IMAGE_IN,
        VIDEO_IN,
        IMAGE_OUT,
        WEB_SEARCHES,
        OPERATION,
        KIND,
        PROVIDER,
        MODEL,
        RESPONSE_ID,
        ADDRESS,
        TIER,
        REGION,
        ERROR_TYPE,
    ];
    lists.iter().any(|list| list.contains(&name))
        || DIMENSIONS.iter().any(|(text, names)| text.event_name() == name || names.contains(&name))
}
