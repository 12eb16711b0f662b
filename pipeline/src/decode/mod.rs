//! From bytes to rows: recognises every payload shape, checks it, strips content. Pure: no clock, no network, no metrics.
//!
//! In reading order: [`fast`] for the common event, [`items`] for what a message holds and whose shape it is, one file per
//! envelope, [`body`] for one file per provider, [`call`] and [`parts`] for the checks, [`strip`] for what a reject may keep,
//! [`door`] for what our own HTTP interface hands on.

mod body;
mod call;
mod cloudevents;
pub(crate) mod door;
mod event;
mod fast;
mod field;
mod gateways;
mod invocation_log;
mod items;
mod json;
mod litellm;
mod mapping;
mod metering;
mod otlp;
mod parts;
pub mod reject;
pub(crate) mod secret;
mod stream;
mod strip;
mod time;

use sha2::{Digest, Sha256};
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::hex::hex;
use spendstream_schemas::usage_event::UsageRow;

use crate::batch::RawMessage;
pub(crate) use call::is_committed;
use reject::{Reason, Reject};

/// What is kept of a message over the size limit.
const KEPT_BYTES: usize = 64 << 10;

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
    /// A chunk of a streamed answer that another one, the end of the stream, counts.
    StreamPart,
}

/// Takes what a decoder finds in one message. `index` is the position within the message and the same on every replay.
pub trait Sink {
    fn row(&mut self, index: u32, row: &UsageRow<'_>);
    fn reject(&mut self, index: u32, reject: Reject);
    fn ignore(&mut self, index: u32, why: Ignored);
    /// A span that is ignored (told by [`Self::ignore`] as well) but stands between others, by its ids: hexadecimal, the
    /// parent's empty at the root. Comes before the rows of its message.
    fn link(&mut self, _trace_id: &str, _span_id: &str, _parent_id: &str) {}
}

/// Decodes messages; made once per thread from the configuration.
pub struct Decoder {
    config: DecodeConfig,
}

impl Decoder {
    #[must_use]
    pub fn new(config: &DecodeConfig) -> Self {
        Self { config: config.clone() }
    }

    /// Every item of the message goes to the sink exactly once, as a row, a reject or ignored. An item that charges several
    /// things (Anthropic's iterations) gives a row for each.
    pub fn decode(&mut self, message: &RawMessage<'_>, sink: &mut dyn Sink) {
        let payload = message.payload;
        if payload.is_empty() {
            return sink.ignore(0, Ignored::Tombstone);
        }
        if payload.len() > self.config.max_message_bytes {
            return sink.reject(0, too_large(payload, self.config.max_message_bytes));
        }
        let context =
            call::Context { limits: &self.config, message_ms: message.timestamp_ms, speaks_for_stream: false };
        if !message.headers.is_some_and(cloudevents::concerned) && fast::decode(payload, context, sink) {
            return;
        }
        items::decode(message, context, sink);
    }
}

fn too_large(payload: &[u8], most: usize) -> Reject {
    let length = payload.len();
    Reject {
        reason: Reason::TooLarge,
        detail: format!(
            "the message has {length} bytes, more than decode.max_message_bytes = {most}; send usage without content"
        ),
        payload: Some(payload[..length.min(KEPT_BYTES)].to_vec()),
        truncated_sha256: Some(hex(&Sha256::digest(payload))),
    }
}
