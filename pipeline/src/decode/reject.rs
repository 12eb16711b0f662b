//! Why a message, or an item of one, could not become a row.

/// A rejected item: goes to the dead-letter topic and advances the offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub reason: Reason,
    /// One line for people: what, where, why, what to do. Never content, never a secret.
    pub detail: String,
    /// What is kept for the dead-letter topic. `None`: the message's bytes as they came.
    pub payload: Option<Vec<u8>>,
    /// SHA-256 of the whole message, hex, when `payload` is only its beginning.
    pub truncated_sha256: Option<String>,
}

/// The words of `spendstream.reason` and of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    NotJson,
    UnknownShape,
    MissingField,
    WrongType,
    NegativeCount,
    PartExceedsTotal,
    TimeTooOld,
    TimeInFuture,
    TooLarge,
    TextTooLong,
    TooManyTags,
    TooManyRows,
    /// The same identity came before with other content.
    IdConflict,
}

impl Reason {
    pub const ALL: [Reason; 13] = [
        Reason::NotJson,
        Reason::UnknownShape,
        Reason::MissingField,
        Reason::WrongType,
        Reason::NegativeCount,
        Reason::PartExceedsTotal,
        Reason::TimeTooOld,
        Reason::TimeInFuture,
        Reason::TooLarge,
        Reason::TextTooLong,
        Reason::TooManyTags,
        Reason::TooManyRows,
        Reason::IdConflict,
    ];

    /// The word in the header `spendstream.reason` and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NotJson => "not_json",
            Reason::UnknownShape => "unknown_shape",
            Reason::MissingField => "missing_field",
            Reason::WrongType => "wrong_type",
            Reason::NegativeCount => "negative_count",
            Reason::PartExceedsTotal => "part_exceeds_total",
            Reason::TimeTooOld => "time_too_old",
            Reason::TimeInFuture => "time_in_future",
            Reason::TooLarge => "too_large",
            Reason::TextTooLong => "text_too_long",
            Reason::TooManyTags => "too_many_tags",
            Reason::TooManyRows => "too_many_rows",
            Reason::IdConflict => "id_conflict",
        }
    }
}

/// What is wrong with an item, before anyone decided what to keep of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    /// One line: field, figures, what to do. Never a text value of the event.
    pub detail: String,
}

impl Fault {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(super) fn missing(field: &str, advice: &str) -> Self {
        Self::new(Reason::MissingField, format!("'{field}' is missing; {advice}"))
    }

    pub(super) fn wrong_type(field: &str, found: &str, expected: &str) -> Self {
        Self::new(Reason::WrongType, format!("'{field}' is {found}; send {expected}"))
    }

    /// Says which names what is kept of the item does not have: who replays it counts the call without them.
    pub(super) fn without(mut self, left_out: &[String]) -> Self {
        if !left_out.is_empty() {
            self.detail.extend(["; left out of what is kept, so a replay lacks it: ", &left_out.join(", ")]);
        }
        self
    }

    /// Turns the fault into a reject that keeps `payload`.
    #[must_use]
    pub fn keeping(self, payload: Option<Vec<u8>>) -> Reject {
        Reject { reason: self.reason, detail: self.detail, payload, truncated_sha256: None }
    }
}
