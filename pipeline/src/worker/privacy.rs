//! Who is not to be named, for one decode thread. In: decoded rows and dead letters; out: the same as they are kept. Decides once per distinct
//! value; never looks at the clock or the store, which tell it by a channel who is erased.

use std::sync::Arc;

use spendstream_schemas::config::MappingConfig;
use spendstream_schemas::pseudonym::Cover;
use spendstream_schemas::pseudonym::cover::Fates;
use spendstream_schemas::usage_event::UsageRow;
use tokio::sync::watch;

use super::letter::{Names, covered};
use crate::batch::DeadLetter;

/// What is to be covered, to follow.
pub type CurrentCover = watch::Receiver<Arc<Cover>>;

/// See the module.
pub(super) struct Privacy {
    newest: CurrentCover,
    cover: Arc<Cover>,
    known: Fates,
    mappings: Vec<MappingConfig>,
    names: Names,
}

impl Privacy {
    pub(super) fn new(newest: CurrentCover, mappings: &[MappingConfig]) -> Self {
        let cover = Arc::clone(&newest.borrow());
        let names = Names::new(&cover, mappings);
        Self { newest, cover, known: Fates::default(), mappings: mappings.to_vec(), names }
    }

    /// Between two batches: goes by the newest list.
    pub(super) fn refresh(&mut self) {
        let newest = Arc::clone(&self.newest.borrow());
        if !Arc::ptr_eq(&newest, &self.cover) {
            self.names = Names::new(&newest, &self.mappings);
            (self.cover, self.known) = (newest, Fates::default());
        }
    }

    /// The row as it is kept; `None`: as it is.
    pub(super) fn row<'r>(&mut self, row: &'r UsageRow<'_>) -> Option<UsageRow<'r>> {
        if self.cover.is_nothing() { None } else { self.cover.row(row, &mut self.known) }
    }

    /// The row as it was kept before its person was erased, where a pseudonym stood for the person then.
    pub(super) fn before_erasure<'r>(&mut self, row: &'r UsageRow<'_>) -> Option<UsageRow<'r>> {
        self.cover.before_erasure().row(row, &mut Fates::default())
    }

    /// The letter as it is kept; `message` is what it was made of.
    pub(super) fn letter(&self, letter: DeadLetter, message: &[u8]) -> DeadLetter {
        if self.cover.is_nothing() { letter } else { covered(letter, message, &self.cover, &self.names) }
    }
}
