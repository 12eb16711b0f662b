//! Memory of raw batches, used again: fresh pages for every few megabytes would be zeroed by the kernel first. In: batches that were decoded; out:
//! their empty vectors. Bounded; what does not fit is freed.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::batch::{RawBatch, RawMeta};

/// Vectors that wait: about as many as batches are under way at a time.
const MOST: usize = 8;

type Vectors = (Vec<u8>, Vec<RawMeta>);

/// Shared by the intake and the decode threads.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vectors>>>);

impl Buffers {
    /// Empty vectors, with the room that an earlier batch needed.
    #[must_use]
    pub fn take(&self) -> Vectors {
        self.0.lock().pop().unwrap_or_default()
    }

    /// The batch was decoded: its memory is free.
    pub fn give_back(&self, batch: RawBatch) {
        let RawBatch { mut bytes, mut messages, .. } = batch;
        bytes.clear();
        messages.clear();
        let mut waiting = self.0.lock();
        if waiting.len() < MOST {
            waiting.push((bytes, messages));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spendstream_schemas::ids::{OffsetRange, SourcePartition};

    use super::{Buffers, MOST};
    use crate::batch::{Generation, RawBatch};

    #[test]
    fn memory_comes_back_empty_and_bounded() {
        let buffers = Buffers::default();
        for from in 0..10 {
            buffers.give_back(RawBatch {
                source: Arc::new(SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 0 }),
                generation: Generation(1),
                range: OffsetRange::new(from, from + 1).unwrap(),
                bytes: vec![1; 1_000],
                messages: Vec::new(),
                is_end: false,
            });
        }
        for _ in 0..MOST {
            let (bytes, messages) = buffers.take();
            assert!(bytes.is_empty() && messages.is_empty() && bytes.capacity() >= 1_000);
        }
        assert_eq!(buffers.take().0.capacity(), 0);
    }
}
