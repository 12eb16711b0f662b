//! The text columns of a usage event: which there are, what they are called in events and in the lake.
//!
//! An event carries at most one value per [`Text`]; absent is `None`, never an empty string.

/// How a column is kept: `Interned` values repeat (a team, a model) and become dictionary arrays,
/// `Plain` values are mostly unique (ids) and are stored as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Interned,
    Plain,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $event:literal, $column:literal, $keep:ident;)*) => {
        /// A text column of the table `usage` that comes from the event itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Text { $($(#[$doc])* $name,)* }

        impl Text {
            /// Every text column, in the order of the lake's schema.
            pub const ALL: [Text; [$(Text::$name),*].len()] = [$(Text::$name),*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The field's name in event v1 (empty where the event has no such field).
            #[must_use]
            pub const fn event_name(self) -> &'static str {
                match self { $(Text::$name => $event,)* }
            }

            /// The column's name in the table `usage`.
            #[must_use]
            pub const fn column(self) -> &'static str {
                match self { $(Text::$name => $column,)* }
            }

            /// Whether values are interned or kept as they are.
            #[inline]
            #[must_use]
            pub const fn keep(self) -> Keep {
                match self { $(Text::$name => Keep::$keep,)* }
            }
        }
    };
}

texts! {
    /// The producer's id of the call; unique within (`organization`, `event_source`).
    EventId, "id", "event_id", Plain;
    /// Namespace of the id: CloudEvents `source`, an app's name.
    EventSource, "source", "event_source", Interned;
    /// The provider's name as it was sent; the price book's id is the column `provider`.
    ProviderSent, "provider", "provider_sent", Interned;
    /// The model as it was sent; the price book's id is the column `model_id`.
    Model, "model", "model", Interned;
    Operation, "operation", "operation", Interned;
    ResponseId, "response_id", "response_id", Plain;
    TraceId, "", "trace_id", Plain;
    SpanId, "", "span_id", Plain;
    ParentSpanId, "", "parent_span_id", Plain;
    /// Which decoder read it: `event.v1`, `otlp.json`, `litellm`, ….
    PayloadKind, "", "payload_kind", Interned;
    Organization, "organization", "organization", Interned;
    Team, "team", "team", Interned;
    Department, "department", "department", Interned;
    CostCenter, "", "cost_center", Interned;
    Project, "project", "project", Interned;
    UserId, "user", "user_id", Interned;
    Customer, "customer", "customer", Interned;
    App, "app", "app", Interned;
    Feature, "feature", "feature", Interned;
    Agent, "agent", "agent", Interned;
    Environment, "environment", "environment", Interned;
    Endpoint, "endpoint", "endpoint", Interned;
    TaskType, "task_type", "task_type", Interned;
    Complexity, "complexity", "complexity", Interned;
    RunId, "run_id", "run_id", Interned;
    Metric, "metric", "metric", Interned;
    ItemId, "item_id", "item_id", Plain;
    SessionId, "session_id", "session_id", Plain;
    ApiKeyId, "api_key_id", "api_key_id", Interned;
    BillingAccount, "billing_account", "billing_account", Interned;
    /// Sent as the provider named it; in the lake it is the price book's word (`standard`, `batch`, `flex`, `priority`, …).
    ServiceTier, "service_tier", "service_tier", Interned;
    /// Sent as the provider named it; in the lake it is the price book's word.
    Region, "region", "region", Interned;
    /// `ok` or `error`.
    Status, "status", "status", Interned;
    ErrorType, "error_type", "error_type", Interned;
    PromptHash, "prompt_hash", "prompt_hash", Plain;
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn the_discriminant_is_the_position_in_all() {
        for (position, text) in Text::ALL.into_iter().enumerate() {
            assert_eq!(text as usize, position);
        }
    }
}
