//! Messages of one partition, copied into a batch until it is large enough. In: borrowed messages; out: [`RawBatch`]es that join.

use std::sync::Arc;

use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use spendstream_schemas::ids::{OffsetRange, SourcePartition};

use crate::batch::{Generation, Headers, RawBatch, RawMeta};
use crate::buffers::Buffers;

/// The message at an offset is not the one that was committed.
#[derive(Clone, Copy, Debug)]
pub struct Recreated {
    pub offset: i64,
    /// The timestamp by the lake, and the broker's.
    pub known: i64,
    pub found: Option<i64>,
}

/// Collects the next batch of a partition.
#[derive(Debug)]
pub struct Batching {
    source: Arc<SourcePartition>,
    generation: Generation,
    /// Where the batch being collected starts.
    from: i64,
    /// The next offset that counts; smaller ones were read before.
    next: i64,
    /// The message before the start: its offset and its timestamp by the lake. Read once, to be compared.
    before: Option<(i64, i64)>,
    /// Offset and timestamp of the newest message that was read.
    newest: Option<(i64, i64)>,
    bytes: Vec<u8>,
    messages: Vec<RawMeta>,
    buffers: Buffers,
}

impl Batching {
    /// Starts at an offset.
    #[must_use]
    pub fn new(
        source: Arc<SourcePartition>,
        generation: Generation,
        from: i64,
        before: Option<(i64, i64)>,
        buffers: Buffers,
    ) -> Self {
        Self {
            source,
            generation,
            from,
            next: from,
            before,
            newest: None,
            bytes: Vec::new(),
            messages: Vec::new(),
            buffers,
        }
    }

    /// Offset and timestamp of the newest message that was read.
    #[must_use]
    pub fn newest(&self) -> Option<(i64, i64)> {
        self.newest
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Copies a message; one that was read before is left out.
    ///
    /// # Errors
    /// When the message before the start is not the one that the lake knows: the topic was re-created.
    pub fn push(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Recreated> {
        if let Some((offset, known)) = self.before.take() {
            let found = message.timestamp().to_millis();
            if message.offset() == offset && found != Some(known) {
                return Err(Recreated { offset, known, found });
            }
        }
        if message.offset() < self.next {
            return Ok(());
        }
        self.next = message.offset() + 1;
        self.newest = message.timestamp().to_millis().map(|at| (message.offset(), at));
        let payload = message.payload().map(|payload| copy(&mut self.bytes, payload));
        let key = message.key().map(|key| copy(&mut self.bytes, key));
        self.messages.push(RawMeta {
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            payload,
            key,
            headers: headers(message),
        });
        Ok(())
    }

    /// The batch so far; the next one joins it.
    ///
    pub fn take(&mut self) -> Option<RawBatch> {
        if self.messages.is_empty() {
            return None;
        }
        let range = OffsetRange::new(self.from, self.next).ok()?;
        self.from = self.next;
        let (bytes, messages) = self.buffers.take();
        Some(RawBatch {
            source: Arc::clone(&self.source),
            generation: self.generation,
            range,
            bytes: std::mem::replace(&mut self.bytes, bytes),
            messages: std::mem::replace(&mut self.messages, messages),
            is_end: false,
        })
    }
}

fn copy(bytes: &mut Vec<u8>, value: &[u8]) -> (u32, u32) {
    // A batch is cut at a few MiB, far below 4 GiB.
    let at = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let from = at(bytes.len());
    bytes.extend_from_slice(value);
    (from, at(bytes.len()))
}

fn headers(message: &BorrowedMessage<'_>) -> Option<Box<Headers>> {
    let headers = message.headers()?;
    let all = headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect();
    Some(Box::new(Headers(all)))
}
