//! What hard budgets had used when they were judged last. In: cells with their figures; out: the same, while their totals are read anew. Pure.

use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use spendstream_schemas::budget::Span;
use spendstream_schemas::money::Amount;

use super::book::{BudgetCell, Entry};
use super::standing::Standing;

/// What hard budgets had used when they were judged last: where a total is being read anew (another instance came or went, the directory
/// spells a value otherwise), a limit that was reached stays reached. Within a period nothing but a reset takes away.
#[derive(Debug)]
pub struct LastKnown {
    by_cell: HashMap<BudgetCell, (Span, Option<DateTime<Utc>>, Amount)>,
    max: usize,
}

impl LastKnown {
    /// Of at most so many cells; when there are more it begins anew.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { by_cell: HashMap::new(), max }
    }

    pub(super) fn keep(&mut self, cell: BudgetCell, entry: &Entry, standing: &Standing) {
        if self.by_cell.len() >= self.max && !self.by_cell.contains_key(&cell) {
            self.by_cell.clear();
        }
        self.by_cell.insert(cell, (standing.span, entry.budget.reset_at, standing.used));
    }

    /// See [`Holds::rename`].
    pub fn rename(&mut self, from: BudgetCell, to: BudgetCell) {
        if let Some(known) = self.by_cell.remove(&from) {
            self.by_cell.insert(to, known);
        }
    }

    pub(super) fn of(&self, cell: BudgetCell, entry: &Entry, span: Span) -> Option<Amount> {
        let (known, reset_at, used) = self.by_cell.get(&cell)?;
        (*known == span && *reset_at == entry.budget.reset_at).then_some(*used)
    }
}
