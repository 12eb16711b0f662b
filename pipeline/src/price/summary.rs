//! What metrics and the live line want to know of a priced batch: row by row in, one [`Summary`] out. Pure.

use hashbrown::HashMap;
use spendstream_schemas::money::Amount;
use spendstream_schemas::note::{CostQuality, Note, Notes};

use super::spend::Spend;
use crate::columns::interner::{Interner, Symbol};

/// What metrics and the live line want to know of a batch.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub cost: Amount,
    /// (provider as sent, model as sent, reason) → rows.
    pub unpriced: Vec<((String, String, &'static str), u64)>,
    /// Rows by note.
    pub noted: Vec<(Note, u64)>,
    /// Rows whose cost is not exact, by how far it can be trusted.
    pub doubted: Vec<(CostQuality, u64)>,
    pub spend: Spend,
}

#[derive(Default)]
pub(super) struct SummaryBuilder {
    pub(super) cost: Amount,
    unpriced: HashMap<(Symbol, Symbol, &'static str), u64>,
    noted: [u64; Note::ALL.len()],
    upper_bounds: u64,
    estimates: u64,
}

impl SummaryBuilder {
    pub(super) fn unpriced(&mut self, provider: Symbol, model: Symbol, reason: &'static str) {
        *self.unpriced.entry((provider, model, reason)).or_default() += 1;
    }

    pub(super) fn note(&mut self, notes: Notes) {
        for note in notes.iter() {
            self.noted[note as usize] += 1;
        }
    }

    pub(super) fn quality(&mut self, quality: CostQuality) {
        match quality {
            CostQuality::Exact => {}
            CostQuality::UpperBound => self.upper_bounds += 1,
            CostQuality::Estimated => self.estimates += 1,
        }
    }

    pub(super) fn finish(self, interner: &Interner) -> Summary {
        let text = |symbol| interner.text(symbol).unwrap_or_default().to_owned();
        Summary {
            cost: self.cost,
            unpriced: self
                .unpriced
                .into_iter()
                .map(|((provider, model, reason), rows)| ((text(provider), text(model), reason), rows))
                .collect(),
            noted: Note::ALL.into_iter().zip(self.noted).filter(|(_, rows)| *rows > 0).collect(),
            doubted: [(CostQuality::UpperBound, self.upper_bounds), (CostQuality::Estimated, self.estimates)]
                .into_iter()
                .filter(|(_, rows)| *rows > 0)
                .collect(),
            spend: Spend::default(),
        }
    }
}
