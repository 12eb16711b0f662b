//! What a committer knows of the table: its newest version, the offset of every partition, and their books. In: lines of the
//! log, in order. Out: whether a commit may follow. Pure.

use std::collections::BTreeMap;

use spendstream_schemas::ids::SourcePartition;
use uuid::Uuid;

use super::actions::{CommitBody, Line, MetaData, Note, Protocol, Txn};
use super::books::Book;
use super::error::CommitError;
use crate::batch::{LakeCommit, PartitionProgress};

/// How app ids of this program begin.
const OURS: &str = "spendstream";

/// The table at one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableState {
    pub version: u64,
    pub meta: Option<MetaData>,
    pub protocol: Option<Protocol>,
    /// The next offset of every partition: the `txn` actions that are ours.
    pub offsets: BTreeMap<SourcePartition, i64>,
    pub books: BTreeMap<SourcePartition, Book>,
    /// When each partition was committed last, milliseconds since the epoch.
    pub moved_ms: BTreeMap<SourcePartition, i64>,
    /// Numbers of our own that are no offsets: who maintains, moves taken in, rows removed.
    pub apps: BTreeMap<String, i64>,
    /// When the newest commit that was read was made, milliseconds since the epoch.
    pub committed_ms: Option<i64>,
}

impl TableState {
    /// Takes over one line of version `version` or older.
    pub fn apply(&mut self, line: Line) {
        if let Some(txn) = line.txn {
            match SourcePartition::parse(&txn.app_id) {
                Some(source) => {
                    self.moved_ms.extend(txn.last_updated.map(|at| (source.clone(), at)));
                    self.offsets.insert(source, txn.version);
                }
                None if txn.app_id.starts_with(OURS) => {
                    self.apps.insert(txn.app_id, txn.version);
                }
                None => {}
            }
        }
        if let Some(info) = line.commit_info {
            self.committed_ms = info.timestamp.or(self.committed_ms);
            if let Some(note) = info.spendstream {
                self.open_books(note);
            }
        }
        self.meta = line.meta_data.or(self.meta.take());
        self.protocol = line.protocol.or(self.protocol.take());
    }

    /// A number of our own; 0 where there is none yet.
    #[must_use]
    pub fn app(&self, id: &str) -> i64 {
        self.apps.get(id).copied().unwrap_or(0)
    }

    /// The books of all partitions, as a commit notes them.
    #[must_use]
    pub fn progress(&self) -> BTreeMap<String, Book> {
        self.books.iter().map(|(source, book)| (source.app_id(), *book)).collect()
    }

    /// Takes over the books of a commit; those of partitions that it did not know stay.
    pub fn open_books(&mut self, note: Note) {
        let known = note.progress.into_iter().filter_map(|(id, book)| Some((SourcePartition::parse(&id)?, book)));
        self.books.extend(known);
    }

    /// Whether every partition stands where its progress starts. One that the table does not know may start anywhere.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] for the first that does not.
    pub fn admits(&self, progress: &[PartitionProgress]) -> Result<(), CommitError> {
        for part in progress {
            match self.offsets.get(part.source.as_ref()) {
                Some(&found) if found != part.range.from() => {
                    let partition = part.source.as_ref().clone();
                    return Err(CommitError::Fenced { partition, expected: part.range.from(), found });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What version + 1 says when it is `commit`.
    #[must_use]
    pub fn next<'a>(&self, commit: &'a LakeCommit, id: Uuid, now_ms: i64) -> CommitBody<'a> {
        let mut books = self.books.clone();
        let mut txns = Vec::with_capacity(commit.progress.len());
        for part in &commit.progress {
            let source = part.source.as_ref();
            books.insert(source.clone(), Book::after(books.get(source).copied(), part));
            txns.push(Txn { app_id: source.app_id(), version: part.range.to(), last_updated: Some(now_ms) });
        }
        let progress = books.into_iter().map(|(source, book)| (source.app_id(), book)).collect();
        CommitBody { files: &commit.files, txns, note: Note { commit: id.to_string(), progress }, now_ms }
    }
}

/// Whether a commit's lines are the commit of that id.
#[must_use]
pub fn is_commit(lines: &[Line], id: Uuid) -> bool {
    let id = id.to_string();
    lines.iter().any(|line| {
        line.commit_info.as_ref().and_then(|info| info.spendstream.as_ref()).is_some_and(|note| note.commit == id)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use spendstream_schemas::ids::{OffsetRange, SourcePartition};
    use uuid::Uuid;

    use super::{TableState, is_commit};
    use crate::batch::{Generation, LakeCommit, PartitionProgress, Tally};
    use crate::lake::actions::read;
    use crate::lake::error::CommitError;

    fn source(partition: i32) -> SourcePartition {
        SourcePartition { cluster: "c".into(), topic: "t".into(), partition }
    }

    fn commit(parts: &[(i32, i64, i64)]) -> LakeCommit {
        let progress = parts
            .iter()
            .map(|&(partition, from, to)| PartitionProgress {
                source: Arc::new(source(partition)),
                generation: Generation(1),
                range: OffsetRange::new(from, to).unwrap(),
                tally: Tally { messages: 1, rows: u64::try_from(to - from).unwrap(), ..Tally::default() },
            })
            .collect();
        LakeCommit { files: Vec::new(), progress, dead_letters: Vec::new() }
    }

    /// Commits as a committer does; `false` when it is fenced.
    fn make(state: &mut TableState, commit: &LakeCommit) -> bool {
        if state.admits(&commit.progress).is_err() {
            return false;
        }
        let id = Uuid::new_v4();
        let lines = read(&state.next(commit, id, 5).to_bytes().unwrap()).unwrap();
        assert!(is_commit(&lines, id) && !is_commit(&lines, Uuid::new_v4()));
        for line in lines {
            state.apply(line);
        }
        state.version += 1;
        true
    }

    #[test]
    fn a_sleeper_that_would_move_forward_is_fenced() {
        let mut state = TableState::default();
        assert!(make(&mut state, &commit(&[(0, 0, 100)])));
        // Held [100, 200) while another instance committed [100, 150).
        let held = commit(&[(1, 0, 9), (0, 100, 200)]);
        assert!(make(&mut state, &commit(&[(0, 100, 150)])));
        let error = state.admits(&held.progress).unwrap_err();
        assert!(
            matches!(&error, CommitError::Fenced { partition, expected: 100, found: 150 } if partition.partition == 0),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            "spendstream/c/t/0 stands at 150 in the lake, not at 100: another instance committed it; \
             what was pending is dropped and read again from there"
        );
    }

    proptest! {
        /// Whatever is tried, in whatever order: what is in is gapless from the first offset, and the books say the same.
        #[test]
        fn any_history_is_gapless(tries in prop::collection::vec((0i32..3, 0i64..6, 0i64..6), 0..60)) {
            let mut state = TableState::default();
            let mut covered = std::collections::BTreeMap::<i32, (i64, i64)>::new();
            for (partition, from, length) in tries {
                if make(&mut state, &commit(&[(partition, from, from + length)])) {
                    let seen = covered.entry(partition).or_insert((from, from));
                    prop_assert_eq!(seen.1, from);
                    seen.1 = from + length;
                }
            }
            for (partition, (since, to)) in covered {
                let book = state.books[&source(partition)];
                prop_assert_eq!(state.offsets[&source(partition)], to);
                prop_assert_eq!((book.since, book.to, book.tally.rows), (since, to, u64::try_from(to - since).unwrap()));
            }
        }
    }
}
