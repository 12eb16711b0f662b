//! From bytes to rows: recognises every payload shape, checks it, strips content. Pure: no clock, no network, no metrics.

pub mod reject;

use spendstream_schemas::usage_event::UsageRow;

use crate::batch::RawMessage;
use reject::Reject;

/// Why something readable was not charged: it is nobody's cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// A null value.
    Tombstone,
    /// A span whose operation costs nothing (agent, tool, workflow, …).
    NotBillable,
    /// Of nested spans in one message, an outer one.
    NestedSpan,
    /// Another signal or event kind that carries no usage.
    NoUsage,
}

/// Takes what a decoder finds in one message. `index` is the position within the message and the same on every replay.
pub trait Sink {
    fn row(&mut self, index: u32, row: &UsageRow<'_>);
    fn reject(&mut self, index: u32, reject: Reject);
    fn ignore(&mut self, index: u32, why: Ignored);
}

/// Decodes messages; made once per thread from the configuration.
pub struct Decoder {}

impl Decoder {
    /// Every item of the message goes to the sink exactly once, as a row, a reject or ignored.
    pub fn decode(&mut self, message: &RawMessage<'_>, sink: &mut dyn Sink) {
        let _ = (message, sink);
    }
}
