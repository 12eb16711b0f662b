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
