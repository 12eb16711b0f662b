//! The books of a partition: what became of every message since they were opened. In: progress. Out: cumulative counts.
//! Pure.

use serde::{Deserialize, Serialize};

use crate::batch::{PartitionProgress, Tally};

/// Cumulative counts of one partition, with the range of the newest commit that moved it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Book {
    /// The offset at which counting began.
    pub since: i64,
    pub from: i64,
    pub to: i64,
    /// Everything in `since..to`.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Book {
    /// The books after `progress`. Books that do not end where it starts were left behind by somebody who moved the offset
    /// without them: they are opened anew, and `since` says so.
    #[must_use]
    pub fn after(before: Option<Book>, progress: &PartitionProgress) -> Book {
        let (from, to) = (progress.range.from(), progress.range.to());
        let mut book = before.filter(|book| book.to == from).unwrap_or(Book {
            since: from,
            from,
            to: from,
            tally: Tally::default(),
        });
        book.tally.add(progress.tally);
        Book { from, to, ..book }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spendstream_schemas::ids::{OffsetRange, SourcePartition};

    use super::Book;
    use crate::batch::{Generation, PartitionProgress, Tally};

    fn progress(from: i64, to: i64, rows: u64) -> PartitionProgress {
        let source = SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 0 };
        PartitionProgress {
            source: Arc::new(source),
            generation: Generation(0),
            range: OffsetRange::new(from, to).unwrap(),
            tally: Tally { messages: rows, rows, ..Tally::default() },
        }
    }

    /// Written down by a commit of nothing, and read back by whoever starts next.
    #[test]
    fn that_a_topic_was_re_created_stays_in_the_books() {
        let mut mark = progress(20, 20, 0);
        mark.tally.is_ended = true;
        let book = Book::after(Some(Book::after(None, &progress(10, 20, 7))), &mark);
        let text = serde_json::to_string(&book).unwrap();
        let read: Book = serde_json::from_str(&text).unwrap();
        assert!(read.tally.is_ended && read.tally.rows == 7, "{text}");
        let plain = serde_json::to_string(&Book::after(None, &progress(10, 20, 7))).unwrap();
        assert!(!plain.contains("is_ended"), "{plain}");
    }

    #[test]
    fn counts_add_up_and_restart_after_a_gap() {
        let first = Book::after(None, &progress(10, 20, 7));
        let second = Book::after(Some(first), &progress(20, 30, 5));
        assert_eq!((second.since, second.from, second.to, second.tally.rows), (10, 20, 30, 12));
        let moved = Book::after(Some(second), &progress(99, 100, 1));
        assert_eq!((moved.since, moved.to, moved.tally.rows), (99, 100, 1));
    }
}
