//! Names of things that outlive a process: a source partition and its range of offsets.

use std::fmt;

use thiserror::Error;

/// One partition of one topic of one Kafka cluster: the unit of work and of exactly-once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePartition {
    /// `kafka.cluster` of the configuration; a re-created topic gets a new one.
    pub cluster: String,
    pub topic: String,
    pub partition: i32,
}

impl SourcePartition {
    const PREFIX: &'static str = "spendstream";

    /// The app id of this partition's `txn` action in the Delta log: `spendstream/<cluster>/<topic>/<partition>`.
    #[must_use]
    pub fn app_id(&self) -> String {
        self.to_string()
    }

    /// Reads an app id back; `None` for somebody else's.
    #[must_use]
    pub fn parse(app_id: &str) -> Option<Self> {
        let rest = app_id.strip_prefix(Self::PREFIX)?.strip_prefix('/')?;
        let (cluster, rest) = rest.split_once('/')?;
        let (topic, partition) = rest.rsplit_once('/')?;
        let partition = partition.parse().ok()?;
        Some(Self { cluster: cluster.to_owned(), topic: topic.to_owned(), partition })
    }
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}/{}", Self::PREFIX, self.cluster, self.topic, self.partition)
    }
}

/// Offsets `from <= offset < to` of one partition. Holes inside are normal (transaction markers, compaction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetRange {
    from: i64,
    to: i64,
}

/// Why ranges do not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    #[error("offsets run backwards: {from} to {to}")]
    Backwards { from: i64, to: i64 },
    #[error("expected a range that starts at {expected}, got one that starts at {got}")]
    Gap { expected: i64, got: i64 },
}

impl OffsetRange {
    /// # Errors
    /// When `to < from` or `from < 0`.
    pub fn new(from: i64, to: i64) -> Result<Self, RangeError> {
        if from < 0 || to < from {
            return Err(RangeError::Backwards { from, to });
        }
        Ok(Self { from, to })
    }

    /// The first offset that is covered.
    #[must_use]
    pub fn from(self) -> i64 {
        self.from
    }

    /// The next offset: the first that is not covered.
    #[must_use]
    pub fn to(self) -> i64 {
        self.to
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// Joins the range that follows at once.
    ///
    /// # Errors
    /// When `next` does not start exactly where this one ends.
    pub fn then(self, next: OffsetRange) -> Result<Self, RangeError> {
        if next.from != self.to {
            return Err(RangeError::Gap { expected: self.to, got: next.from });
        }
        Ok(Self { from: self.from, to: next.to })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{OffsetRange, RangeError, SourcePartition};

    proptest! {
        #[test]
        fn ranges_join_only_without_gap(from in 0i64..1000, first in 0i64..1000, gap in -5i64..5, second in 0i64..1000) {
            let one = OffsetRange::new(from, from + first).unwrap();
            let start = from + first + gap;
            prop_assume!(start >= 0);
            let two = OffsetRange::new(start, start + second).unwrap();
            match one.then(two) {
                Ok(joined) => {
                    prop_assert_eq!(gap, 0);
                    prop_assert_eq!(joined, OffsetRange::new(from, start + second).unwrap());
                }
                Err(error) => prop_assert_eq!(error, RangeError::Gap { expected: from + first, got: start }),
            }
        }

        #[test]
        fn joining_is_associative(from in 0i64..1000, a in 0i64..9, b in 0i64..9, c in 0i64..9) {
            let range = |start, length| OffsetRange::new(start, start + length).unwrap();
            let (x, y, z) = (range(from, a), range(from + a, b), range(from + a + b, c));
            prop_assert_eq!(x.then(y).unwrap().then(z), x.then(y.then(z).unwrap()));
        }

        #[test]
        fn an_app_id_reads_back(cluster in "[a-z0-9.-]{1,12}", topic in "[a-zA-Z0-9._-]{1,12}", partition in 0i32..9999) {
            let source = SourcePartition { cluster, topic, partition };
            prop_assert_eq!(SourcePartition::parse(&source.app_id()), Some(source));
        }
    }

    #[test]
    fn a_foreign_app_id_is_not_ours() {
        for id in ["", "spendstream", "spendstream/moves", "spark/a/b/1", "spendstream/a/b/x"] {
            assert_eq!(SourcePartition::parse(id), None, "{id}");
        }
    }
}
