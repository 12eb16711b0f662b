//! Rows at the prices of another book. In: rows as they lie in the lake, the book, and which rows are meant. Out: the same rows, those whose price is another with that
//! price and what goes with it, the others untouched; and what it all comes to. Pure: a row's price is a function of its counts and words alone, so doing it
//! twice does nothing more.
//!
//! A row that has a price keeps it where the book has none: what was paid is not forgotten for a gap in a book.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::money::Amount;
use spendstream_schemas::note::{CostQuality, Note, Notes};
use spendstream_schemas::price_book::{PriceBook, Priced, glob};
use spendstream_schemas::table::usage::MONEY;

use super::engine::rate_units;
use super::kept::{KeptRows, PRICED, Pricer};
use super::words::{MODEL_ANSWERED, Words};
use crate::columns::owners::LABELS;
use crate::columns::replace::Replaced;
use crate::columns::texts::{TextList, Texts};

/// Notes that only pricing makes, and makes anew.
const OF_PRICE: [Note; 6] = [
    Note::RegionAssumed,
    Note::MeterFallback,
    Note::ModelSuffixDropped,
    Note::SearchSizeAssumed,
    Note::ModelOfAnswer,
    Note::ThinkingPrice,
];
/// Of what pricing may note, what lowers the quality of a cost.
const DOUBTS_OF_PRICE: [Note; 5] = [
    Note::RegionAssumed,
    Note::MeterFallback,
    Note::ModelSuffixDropped,
    Note::SearchSizeAssumed,
    Note::ExchangeRateOld,
];
/// Notes of an event that lower nothing.
const HARMLESS: [Note; 3] = [Note::ResponseCacheHit, Note::NoUsage, Note::Aggregate];

/// Which rows are meant; empty lists and `None` mean all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Event time, microseconds: from, and up to and without.
    pub span: Option<(i64, i64)>,
    /// Of the model as it was sent or as the book of then knew it; `*` stands for any run of characters.
    pub models: Vec<String>,
    /// Of the provider, as models.
    pub providers: Vec<String>,
    pub organizations: Vec<String>,
    /// Only rows that have no price.
    pub only_unpriced: bool,
}

/// Rows of one model and team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Rows whose price is another.
    pub rows: u64,
    /// Their cost before and after, in units of 10⁻¹⁵.
    pub old: i128,
    pub new: i128,
    /// Of [`Self::rows`], those that had no price.
    pub newly_priced: u64,
    pub unchanged: u64,
    /// Rows without a price, before and after.
    pub still_unpriced: u64,
}

impl Line {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.old += other.old;
        self.new += other.new;
        self.newly_priced += other.newly_priced;
        self.unchanged += other.unchanged;
        self.still_unpriced += other.still_unpriced;
    }
}

/// What a reprice comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By model (as the book knows it, else as it was sent) and team.
    pub lines: BTreeMap<(String, String), Line>,
    /// Why rows have no price in the book: those that stay without one, and those that keep the one they have.
    pub still_unpriced: BTreeMap<String, u64>,
    pub kept: BTreeMap<String, u64>,
    /// Rows that change, by the version that had priced them.
    pub versions: BTreeMap<String, u64>,
}

impl Tally {
    /// All lines together.
    #[must_use]
    pub fn total(&self) -> Line {
        let mut total = Line::default();
        self.lines.values().for_each(|line| total.add(line));
        total
    }

    /// Takes over what another part came to.
    pub fn add(&mut self, other: Self) {
        for (key, line) in other.lines {
            self.lines.entry(key).or_default().add(&line);
        }
        for (sums, others) in [
            (&mut self.still_unpriced, other.still_unpriced),
            (&mut self.kept, other.kept),
            (&mut self.versions, other.versions),
        ] {
            for (name, rows) in others {
                *sums.entry(name).or_default() += rows;
            }
        }
    }
}

/// The price columns of a row that changes.
struct NewPrice {
    words: Words,
    money: [i128; PRICED],
    price_id: String,
    currency: String,
    fx_rate: Option<i128>,
    category: &'static str,
    quality: CostQuality,
    notes: Notes,
}

/// See the module.
pub struct Repricer {
    pricer: Pricer,
    selection: Selection,
}

impl Repricer {
    #[must_use]
    pub fn new(book: Arc<PriceBook>, selection: Selection) -> Self {
        Self { pricer: Pricer::new(book), selection }
    }

    #[must_use]
    pub fn book(&self) -> &PriceBook {
        self.pricer.book()
    }

    /// The rows that are meant.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The rows, and how many of them are others now.
    ///
    /// # Errors
    /// When a column is missing or has another type than the table's.
    pub fn rows(&mut self, batch: &RecordBatch, tally: &mut Tally) -> Result<(RecordBatch, u64), ArrowError> {
        let view = View::new(batch)?;
        let mut new: Vec<Option<NewPrice>> = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let price = if self.selection.means(&view, row) { self.row(&view, row, tally) } else { None };
            new.push(price);
        }
        let changed = new.iter().flatten().count() as u64;
        if changed == 0 {
            return Ok((batch.clone(), 0));
        }
        Ok((replaced(batch, &new, self.pricer.book().version())?, changed))
    }

    /// The new price of a row; `None` where it stays as it is.
    fn row(&mut self, view: &View, row: usize, tally: &mut Tally) -> Option<NewPrice> {
        let (kept, is_priced) = (&view.kept, view.kept.is_priced(row));
        let (words, priced) = self.pricer.price(kept, row);
        let model = words.model_id.as_deref().or_else(|| view.texts.get("model_id", row));
        let model = model.or_else(|| kept.text("model", row)).unwrap_or_default().to_owned();
        let key = (model, view.texts.get("team", row).unwrap_or_default().to_owned());
        let priced = match priced {
            Ok(priced) => priced,
            Err(unpriced) => {
                let reason = unpriced.reason().into_owned();
                let line = tally.lines.entry(key).or_default();
                if is_priced {
                    line.unchanged += 1;
                    *tally.kept.entry(reason).or_default() += 1;
                } else {
                    line.still_unpriced += 1;
                    *tally.still_unpriced.entry(reason).or_default() += 1;
                }
                return None;
            }
        };
        let (before, amounts) = (kept.money(row), priced.amounts().map(Amount::units));
        if is_priced && before == amounts.map(Some) {
            tally.lines.entry(key).or_default().unchanged += 1;
            return None;
        }
        let old = before[0].unwrap_or(0);
        let line = tally.lines.entry(key).or_default();
        line.add(&Line { rows: 1, old, new: amounts[0], newly_priced: u64::from(!is_priced), ..Line::default() });
        *tally.versions.entry(kept.version(row).to_owned()).or_default() += 1;
        Some(view.new_price(row, words, &priced, amounts))
    }
}

impl Selection {
    fn means(&self, view: &View, row: usize) -> bool {
        let kept = &view.kept;
        let any = |patterns: &[String], names: [Option<&str>; 2]| {
            let named = |pattern: &String| names.iter().flatten().any(|name| glob(pattern, name));
            patterns.is_empty() || patterns.iter().any(named)
        };
        let time = kept.time(row);
        self.span.is_none_or(|(from, to)| from <= time && time < to)
            && !(self.only_unpriced && kept.is_priced(row))
            && any(&self.models, [kept.text("model", row), view.texts.get("model_id", row)])
            && any(&self.providers, [kept.text("provider_sent", row), view.texts.get("provider", row)])
            && any(&self.organizations, [kept.text("organization", row), None])
    }
}

/// A batch, as far as repricing looks at it.
struct View {
    kept: KeptRows,
    texts: Texts,
    notes: TextList,
    has_reported: Vec<bool>,
}

impl View {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let reported = batch.column_by_name(MONEY[PRICED]);
        let has_reported = |row: usize| reported.is_some_and(|column| column.is_valid(row));
        Ok(Self {
            kept: KeptRows::new(batch)?,
            texts: Texts::new(batch, ["team", "provider", "model_id", "cost_quality"])?,
            notes: TextList::new(batch, "price_notes")?,
            has_reported: (0..batch.num_rows()).map(has_reported).collect(),
        })
    }

    fn new_price(&self, row: usize, words: &Words, priced: &Priced<'_>, money: [i128; PRICED]) -> NewPrice {
        let (notes, quality) = self.own_trust(row);
        let mut words = words.clone();
        // What somebody else needs to know of what was sent, and what another book may ask for.
        let carried = self
            .kept
            .inputs(row)
            .filter(|(name, _)| *name == MODEL_ANSWERED || LABELS.iter().any(|(_, label)| label == name));
        for (name, value) in carried {
            if !words.inputs.iter().any(|(known, _)| known == name) {
                words.inputs.push((name.to_owned(), value.to_owned()));
            }
        }
        NewPrice {
            words,
            money,
            price_id: priced.price_id.to_owned(),
            currency: priced.price_currency.to_owned(),
            fx_rate: rate_units(priced.fx_rate),
            category: priced.category,
            quality: quality.max(priced.quality),
            notes: notes.union(priced.notes),
        }
    }

    /// What the event itself made of its notes and quality. A doubt that may be the event's own as well as a price's stays.
    fn own_trust(&self, row: usize) -> (Notes, CostQuality) {
        let mut notes = Notes::NONE;
        self.notes.of(row).filter_map(Note::from_name).for_each(|note| notes.insert(note));
        let quality = self.texts.get("cost_quality", row).map_or(CostQuality::Estimated, CostQuality::from_name);
        if !self.kept.is_priced(row) {
            return (notes, quality);
        }
        let mut own = notes.without(&OF_PRICE);
        if !self.has_reported[row] {
            own = own.without(&[Note::ExchangeRateOld]);
        }
        let is_own = !notes.has_any(&DOUBTS_OF_PRICE) || !own.without(&HARMLESS).is_empty();
        (own, if is_own { quality } else { CostQuality::Exact })
    }
}

fn replaced(batch: &RecordBatch, new: &[Option<NewPrice>], version: &str) -> Result<RecordBatch, ArrowError> {
    let mut out = Replaced::new(batch);
    out.texts("provider", |row| Some(new[row].as_ref()?.words.provider.as_deref()))?;
    out.texts("model_id", |row| Some(new[row].as_ref()?.words.model_id.as_deref()))?;
    out.texts("service_tier", |row| Some(new[row].as_ref()?.words.service_tier.as_deref()))?;
    out.texts("region", |row| Some(new[row].as_ref()?.words.region.as_deref()))?;
    for (at, name) in MONEY[..PRICED].iter().enumerate() {
        out.decimals(name, |row| Some(Some(new[row].as_ref()?.money[at])))?;
    }
    out.texts("price_currency", |row| Some(Some(new[row].as_ref()?.currency.as_str())))?;
    out.decimals("fx_rate", |row| Some(new[row].as_ref()?.fx_rate))?;
    out.texts("price_id", |row| Some(Some(new[row].as_ref()?.price_id.as_str())))?;
    out.texts("price_book_version", |row| new[row].as_ref().map(|_| Some(version)))?;
    out.map("pricing_inputs", |row| Some(new[row].as_ref()?.words.inputs.as_slice()))?;
    out.texts("pricing_category", |row| Some(Some(new[row].as_ref()?.category)))?;
    out.texts("price_status", |row| new[row].as_ref().map(|_| Some("priced")))?;
    out.texts("unpriced_reason", |row| new[row].as_ref().map(|_| None))?;
    out.texts("cost_quality", |row| Some(Some(new[row].as_ref()?.quality.name())))?;
    out.list("price_notes", |row| Some(new[row].as_ref()?.notes.iter().map(Note::name).collect()))?;
    out.finish()
}
