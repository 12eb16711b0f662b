//! Attribute names: the convention's own first, then older and other spellings that real emitters send.

use spendstream_schemas::dimension::Text;

use super::super::{body, secret};

pub(super) const INPUT: &[&str] = &[
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.usage.input_tokens",
    "llm.token_count.prompt",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    // Of embeddings.
    "ai.usage.tokens",
];
pub(super) const OUTPUT: &[&str] = &[
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.usage.output_tokens",
    "llm.token_count.completion",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
];
pub(super) const TOTAL: &[&str] =
    &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens"];
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
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.details.cached_tokens",
    "gen_ai.usage.details.cached_content_tokens",
    "gen_ai.usage.cached_content_tokens",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.input_token_details.cache_read",
    "gen_ai.usage.input_token_details.flex_cache_read",
    "gen_ai.usage.input_token_details.priority_cache_read",
    "gen_ai.usage.input_tokens_details.cached_tokens",
    "gen_ai.usage.prompt_tokens_details.cached_tokens",
    "llm.usage.prompt_tokens_details.cached_tokens",
    "ai.usage.inputTokenDetails.cacheReadTokens",
];
/// Vercel's AI SDK before it told what was not cached.
pub(super) const CACHE_READ_OF_KIT: &[&str] = &["ai.usage.cachedInputTokens"];
/// Input that was neither read from a cache nor written to one.
pub(super) const NO_CACHE: &[&str] = &["ai.usage.inputTokenDetails.noCacheTokens"];
pub(super) const CACHE_WRITE: &[&str] = &[
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "llm.usage.cache_creation_input_tokens",
    "llm.anthropic.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.input_token_details.cache_creation",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
];
pub(super) const CACHE_WRITE_5M: &[&str] = &[
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    "gen_ai.usage.input_token_details.ephemeral_5m_input_tokens",
];
pub(super) const CACHE_WRITE_1H: &[&str] = &[
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    "gen_ai.usage.input_token_details.ephemeral_1h_input_tokens",
];
pub(super) const REASONING: &[&str] = &[
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "gen_ai.usage.details.thoughts_tokens",
    "gen_ai.usage.details.thinking_tokens",
    "gen_ai.usage.output_token_details.reasoning",
    "gen_ai.usage.output_tokens_details.reasoning_tokens",
    "gen_ai.usage.completion_tokens_details.reasoning_tokens",
    "llm.usage.completion_tokens_details.reasoning_tokens",
    "ai.usage.outputTokenDetails.reasoningTokens",
    "ai.usage.reasoningTokens",
];
pub(super) const AUDIO_IN: &[&str] = &[
    "gen_ai.usage.audio.input_tokens",
    "llm.token_count.prompt_details.audio",
    "gen_ai.usage.details.input_audio_tokens",
    "gen_ai.usage.details.audio_prompt_tokens",
    "gen_ai.usage.input_token_details.audio",
];
pub(super) const AUDIO_OUT: &[&str] = &[
    "gen_ai.usage.audio.output_tokens",
    "llm.token_count.completion_details.audio",
    "gen_ai.usage.details.output_audio_tokens",
    "gen_ai.usage.details.audio_candidates_tokens",
    "gen_ai.usage.output_token_details.audio",
];
pub(super) const IMAGE_IN: &[&str] = &["gen_ai.usage.image.input_tokens", "gen_ai.usage.details.image_prompt_tokens"];
pub(super) const VIDEO_IN: &[&str] = &["gen_ai.usage.video.input_tokens", "gen_ai.usage.details.video_prompt_tokens"];
pub(super) const IMAGE_OUT: &[&str] =
    &["gen_ai.usage.image.output_tokens", "gen_ai.usage.details.image_candidates_tokens"];
pub(super) const WEB_SEARCHES: &[&str] = &[
    "anthropic.usage.server_tool_use.web_search_requests",
    "gen_ai.usage.web_searches",
    "gen_ai.usage.details.web_search_requests",
];

/// Texts that are JSON objects of counts: each member is read as if it stood behind the name and a point.
pub(super) const DETAILS: &[&str] = &[
    "gen_ai.usage.input_token_details",
    "gen_ai.usage.output_token_details",
    "gen_ai.usage.input_tokens_details",
    "gen_ai.usage.output_tokens_details",
    "gen_ai.usage.prompt_tokens_details",
    "gen_ai.usage.completion_tokens_details",
    "llm.usage.prompt_tokens_details",
    "llm.usage.completion_tokens_details",
];
/// The same, of a whole call.
pub(super) const LANGFUSE_USAGE: &[&str] = &["langfuse.observation.usage_details"];

/// Parts of the totals: none may be left out, and none told twice by other figures.
pub(super) const PARTS: &[&[&str]] = &[
    CACHE_READ,
    CACHE_READ_OF_KIT,
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
];

/// Whether counts stand under such a name.
pub(super) fn is_usage(name: &str) -> bool {
    ["gen_ai.usage.", "ai.usage.", "llm.usage.", "llm.token_count."].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a name that is under none of these lists is that of a part of the tokens.
pub(super) fn sounds_like_a_part(name: &str) -> bool {
    /// What costs as its whole does.
    const ALIKE: [&str; 5] = ["text", "accepted_prediction", "rejected_prediction", "tool_use_prompt", "nocache"];
    let last = name.rsplit('.').next().unwrap_or(name);
    let lower = last.to_ascii_lowercase();
    let is_total = [INPUT, OUTPUT, TOTAL].iter().any(|names| names.contains(&name)) || lower.starts_with("total");
    // Under this prefix everything counts tokens, whatever it is called.
    let sounds = body::sounds(if name.starts_with("llm.token_count.") { name } else { last });
    is_usage(name) && sounds && !is_total && !ALIKE.iter().any(|word| lower.contains(word))
}

/// Vercel's AI SDK names its steps so: the one that calls the model ends in what it does, and one around it repeats the sums.
pub(super) const KIT_STEP: &[&str] = &["ai.operationId"];
pub(super) const OPERATION: &[&str] = &["gen_ai.operation.name", "llm.request.type"];
pub(super) const KIND: &[&str] = &["openinference.span.kind", "traceloop.span.kind", "langsmith.span.kind"];
pub(super) const LANGFUSE_KIND: &[&str] = &["langfuse.observation.type"];
pub(super) const PROVIDER: &[&str] = &[
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "llm.vendor",
    "ai.model.provider",
    "langfuse.observation.metadata.ls_provider",
];
pub(super) const MODEL: &[&str] = &[
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.request.model",
    "llm.model_name",
    "embedding.model_name",
    "ai.model.id",
    "langfuse.observation.model.name",
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
        NO_CACHE,
        DETAILS,
        LANGFUSE_USAGE,
        KIT_STEP,
        LANGFUSE_KIND,
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
    lists.iter().chain(PARTS).any(|list| list.contains(&name))
        || DIMENSIONS.iter().any(|(text, names)| text.event_name() == name || names.contains(&name))
}
