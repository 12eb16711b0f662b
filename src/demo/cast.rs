//! Who makes the calls of the demo: three invented organisations, their teams and apps, and which model each app uses.

use Envelope::{CloudEvent, LiteLlm, Span};
use Recording::{Contexts, Conversations};
use Shape::{Anthropic, BedrockConverse, Gemini, OpenAiChat, OpenAiResponses};

use super::trace::Recording;

/// The provider's own usage object that an app sends along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    OpenAiChat,
    OpenAiResponses,
    Anthropic,
    Gemini,
    BedrockConverse,
}

/// What an app puts around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// Our own event.
    Event,
    /// Our own event in the envelope of CloudEvents.
    CloudEvent,
    /// What a `LiteLLM` proxy logs.
    LiteLlm,
    /// An OpenTelemetry span as a Collector writes it.
    Span,
}

/// One app: everything about its calls but their figures.
#[derive(Clone, Copy, Debug)]
pub struct App {
    pub organization: &'static str,
    pub department: &'static str,
    pub team: &'static str,
    pub name: &'static str,
    pub provider: &'static str,
    pub model: &'static str,
    pub region: Option<&'static str>,
    pub service_tier: Option<&'static str>,
    pub shape: Shape,
    pub envelope: Envelope,
    pub recording: Recording,
    /// Its part of the recording's calls, beside the other apps of that recording.
    pub share: u64,
}

const fn app(organization: &'static str, department: &'static str, team: &'static str, name: &'static str) -> App {
    App {
        organization,
        department,
        team,
        name,
        provider: "",
        model: "",
        region: None,
        service_tier: None,
        shape: OpenAiChat,
        envelope: Envelope::Event,
        recording: Conversations,
        share: 1,
    }
}

impl App {
    const fn calls(self, provider: &'static str, model: &'static str, shape: Shape) -> Self {
        Self { provider, model, shape, ..self }
    }

    const fn by(self, envelope: Envelope) -> Self {
        Self { envelope, ..self }
    }

    const fn replays(self, recording: Recording, share: u64) -> Self {
        Self { recording, share, ..self }
    }

    const fn tier(self, tier: &'static str) -> Self {
        Self { service_tier: Some(tier), ..self }
    }

    const fn region(self, region: &'static str) -> Self {
        Self { region: Some(region), ..self }
    }
}

/// A model that no price book knows: its calls must show up as unpriced, never as $0.
pub const UNKNOWN_MODEL: &str = "gpt-next-internal";

/// All apps of the demo.
pub const CAST: [App; 12] = [
    app("acme", "engineering", "search", "answer-box")
        .calls("openai", "gpt-5-mini", OpenAiChat)
        .replays(Conversations, 30),
    app("acme", "customer care", "support", "ticket-triage")
        .calls("anthropic", "claude-haiku-4-5", Anthropic)
        .replays(Conversations, 14),
    app("globex", "growth", "marketing", "copywriter")
        .calls("google", "gemini-2.5-flash", Gemini)
        .by(CloudEvent)
        .replays(Conversations, 20),
    app("globex", "product", "mobile", "in-app-chat")
        .calls("openai", "gpt-4.1-mini", OpenAiChat)
        .by(LiteLlm)
        .replays(Conversations, 18),
    app("initech", "finance", "claims", "claim-notes")
        .calls("aws", "amazon.nova-pro-v1:0", BedrockConverse)
        .region("us-east-1")
        .replays(Conversations, 12),
    app("initech", "it", "platform", "nightly-digest")
        .calls("openai", "gpt-5-mini", OpenAiResponses)
        .tier("flex")
        .replays(Conversations, 6),
    app("acme", "engineering", "research", "paper-reader")
        .calls("openai", "gpt-5.2", OpenAiResponses)
        .replays(Contexts, 22),
    app("acme", "engineering", "developer tools", "coding-agent")
        .calls("anthropic", "claude-sonnet-4-5", Anthropic)
        .replays(Contexts, 26),
    app("globex", "legal", "contracts", "contract-review")
        .calls("google", "gemini-2.5-pro", Gemini)
        .replays(Contexts, 18),
    app("globex", "data", "analytics", "bi-copilot")
        .calls("openai", "gpt-5", OpenAiChat)
        .by(Span)
        .replays(Contexts, 18),
    app("initech", "finance", "underwriting", "case-files")
        .calls("aws", "global.anthropic.claude-haiku-4-5-20251001-v1:0", BedrockConverse)
        .region("us-east-1")
        .replays(Contexts, 15),
    app("initech", "it", "lab", "prototype").calls("openai", UNKNOWN_MODEL, OpenAiChat).replays(Contexts, 1),
];

/// People; each organisation has its own set of accounts with these names.
pub const USERS: [&str; 24] = [
    "ada", "alan", "barbara", "claude", "dennis", "donald", "edsger", "frances", "grace", "hedy", "joan", "john",
    "karen", "ken", "leslie", "linus", "margaret", "niklaus", "radia", "robin", "sophie", "tim", "tony", "vint",
];
