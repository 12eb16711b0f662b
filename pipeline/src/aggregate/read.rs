//! What readers of [`Totals`] ask. In: a watch, values, a span. Out: sums, or why they are not known. Pure; changes nothing.

use std::sync::Arc;

use rust_decimal::Decimal;
use spendstream_schemas::budget::{Quarter, Span};
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::money::{Amount, div_half_even};
use thiserror::Error;

use super::buckets::{NoSum, PartitionNo};
use super::cells::{CellId, Cells};
use super::key;
use super::plan::{WatchId, WatchPlan};
use super::sums::Sums;
use super::totals::{Held, State, Totals};
use crate::batch::Generation;

/// Why there is no total. Whoever asks has a policy for it; a part of a sum is never given instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unknown {
    #[error("nothing watches that")]
    NotWatched,
    #[error("the base is being read from the lake")]
    Loading,
    #[error("that time is not held in memory")]
    NotHeld,
    #[error("live.max_cells is reached and these values came after it")]
    Full,
}

/// How far totals reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// The watermark, microseconds since the epoch; `None` before the first event.
    pub watermark: Option<i64>,
    /// The newest event time that was added, microseconds.
    pub newest: Option<i64>,
}

/// What decides and alerts need of totals.
pub trait Spend {
    /// The cost by these values (in the order of the watch's keys) over a span of whole buckets.
    ///
    /// # Errors
    /// When it is not known.
    fn used(&self, watch: WatchId, values: &[Option<&str>], span: Span) -> Result<Amount, Unknown>;
    /// How far the totals reach.
    fn as_of(&self) -> AsOf;
}

/// The last 60 minutes, moving by quarter-hours: the one that runs and the three before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    pub span: Span,
    pub sums: Sums,
    /// Cost of a priced request, rounded half-even; `None` without one.
    pub mean: Option<Amount>,
    /// Requests by the minutes that have passed, two digits.
    pub per_minute: Decimal,
}

impl Recent {
    /// What the priced requests cost together; the largest amount where it does not fit.
    #[must_use]
    pub fn cost(&self) -> Amount {
        money(self.sums.cost)
    }
}

/// A sum of more than 28 digits is more than any limit, and must not lift one.
fn money(units: i128) -> Amount {
    Amount::from_units(units).unwrap_or(if units > 0 { Amount::MAX } else { Amount::ZERO })
}

impl Totals {
    #[must_use]
    pub fn plan(&self) -> &Arc<WatchPlan> {
        &self.plan
    }

    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether a watch can answer.
    #[must_use]
    pub fn is_known(&self, id: WatchId) -> bool {
        self.watches.get(&id).is_some_and(|state| state.live.is_some())
    }

    /// Sums held, one per watch, bucket and cell.
    #[must_use]
    pub fn held_cells(&self) -> usize {
        self.watches.values().filter_map(|state| state.live.as_ref()).map(|held| held.buckets.cells()).sum()
    }

    /// Groups left out at the limit of cells, and groups too late for what is held, since the start.
    #[must_use]
    pub fn left_out(&self) -> (u64, u64) {
        (self.refused, self.late)
    }

    /// Groups of batches held.
    #[must_use]
    pub fn held_groups(&self) -> usize {
        self.pending.groups()
    }

    /// Bytes of cells and sums, the allocator's overhead left out.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let buckets = self.watches.values().filter_map(|state| state.live.as_ref()).map(|held| held.buckets.bytes());
        self.cells.values().map(Cells::bytes).sum::<usize>() + buckets.sum::<usize>()
    }

    /// The next offset of each partition that a watch's sums reach.
    #[must_use]
    pub fn covered(&self, id: WatchId) -> Vec<(Arc<SourcePartition>, i64)> {
        let Some(held) = self.watches.get(&id).and_then(|state| state.live.as_ref()) else { return Vec::new() };
        let named = |(no, offset): (&PartitionNo, &i64)| Some((Arc::clone(self.sources.get(*no as usize)?), *offset));
        held.covered.iter().filter_map(named).collect()
    }

    fn live(&self, id: WatchId) -> Result<(&State, &Held), Unknown> {
        let state = self.watches.get(&id).ok_or(Unknown::NotWatched)?;
        Ok((state, state.live.as_ref().ok_or(Unknown::Loading)?))
    }

    /// The sums by these values (in the order of the watch's keys) over a span of whole buckets.
    ///
    /// # Errors
    /// When they are not known.
    pub fn sums(&self, id: WatchId, values: &[Option<&str>], span: Span) -> Result<Sums, Unknown> {
        let (state, held) = self.live(id)?;
        let key = key::of(values);
        let cell = self.cells.get(&state.watch.set).and_then(|cells| cells.find(key::hash(&key), &key));
        held.buckets.sums(span, cell).map_err(unknown)
    }

    /// The sums of a cell, as a [`Touch`] names it, over a span of whole buckets.
    ///
    /// # Errors
    /// When they are not known.
    pub fn cell_sums(&self, id: WatchId, cell: CellId, span: Span) -> Result<Sums, Unknown> {
        self.live(id)?.1.buckets.sums(span, Some(cell)).map_err(unknown)
    }

    /// The spans that are held of a watch, in order; none while it is not known.
    #[must_use]
    pub fn held_spans(&self, id: WatchId) -> &[Span] {
        self.live(id).map_or(&[], |(_, held)| held.buckets.cover().spans())
    }

    /// The values of a cell, in the order of the watch's keys.
    #[must_use]
    pub fn values(&self, id: WatchId, cell: CellId) -> Vec<Option<String>> {
        let cells = self.watches.get(&id).and_then(|state| self.cells.get(&state.watch.set));
        cells.map_or_else(Vec::new, |cells| key::values(cells.key(cell)).map(|text| text.map(str::to_owned)).collect())
    }

    /// Every cell that has a sum in the span, each bucket's anew; the same one may be told several times.
    ///
    /// # Errors
    /// When the watch is not known.
    pub fn cells_in(&self, id: WatchId, span: Span) -> Result<impl Iterator<Item = (Quarter, CellId)>, Unknown> {
        Ok(self.live(id)?.1.buckets.cells_in(span))
    }

    /// The last 60 minutes, of a watch by quarter-hours.
    ///
    /// # Errors
    /// When they are not known.
    pub fn recent(&self, id: WatchId, values: &[Option<&str>], now: i64) -> Result<Recent, Unknown> {
        let quarter = Quarter::of_micros(now);
        let span = Span { from: quarter.plus(-3), to: quarter.plus(1) };
        let sums = self.sums(id, values, span)?;
        let priced = i128::from(sums.requests - sums.unpriced);
        let mean = if priced == 0 { None } else { Amount::from_units(div_half_even(sums.cost, priced)).ok() };
        let seconds = (now.div_euclid(1_000_000) - span.start().timestamp()).max(1);
        let per_minute = (Decimal::from(sums.requests) * Decimal::from(60) / Decimal::from(seconds)).round_dp(2);
        Ok(Recent { span, sums, mean, per_minute })
    }
}

impl Spend for Totals {
    fn used(&self, watch: WatchId, values: &[Option<&str>], span: Span) -> Result<Amount, Unknown> {
        Ok(money(self.sums(watch, values, span)?.cost))
    }

    fn as_of(&self) -> AsOf {
        self.as_of
    }
}

fn unknown(none: NoSum) -> Unknown {
    match none {
        NoSum::NotHeld => Unknown::NotHeld,
        NoSum::Refused => Unknown::Full,
    }
}
