//! Fills in owners and prices a batch of decoded columns. In: [`EventColumns`], the book, where they came from; out: Arrow rows by date and what
//! metrics want to know. It does no IO and reads no clock; which prices apply is looked up once per distinct question.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use rust_decimal::Decimal;
use smallvec::SmallVec;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::Directory;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::note::{CostQuality, Note, Notes};
use spendstream_schemas::price_book::{Plan, PriceBook, Priced, Question, Unpriced, Usage};
use spendstream_schemas::usage_event::Quantity;

use super::summary::{Summary, SummaryBuilder};
pub use super::words::{MODEL_ANSWERED, REGION_SENT, STANDARD_TIER, TIER_SENT};
use super::{rows, spend, words};
use crate::aggregate::awaited::{Arrival, Awaited, Origin};
use crate::aggregate::group::{Grouper, PricedView, SetGroups};
use crate::aggregate::plan::WatchPlan;
use crate::columns::arrays::LocalIds;
use crate::columns::events::{EventColumns, quantity_decimal};
use crate::columns::interner::{Interner, Symbol};
use crate::columns::owners::{Filling, Owners};

/// The texts that decide which prices apply, in the order of [`Question`].
const QUESTION: [Text; 7] = [
    Text::ProviderSent,
    Text::Model,
    Text::ServiceTier,
    Text::Region,
    Text::Organization,
    Text::BillingAccount,
    Text::Operation,
];

/// Questions whose answers are kept between batches: an answer takes kilobytes, and organisations times models may be many.
const MOST_ANSWERS: usize = 20_000;

/// The texts of [`QUESTION`], and last the model that answered.
type QuestionKey = [Symbol; QUESTION.len() + 1];

/// What a question resolved to, with its words as symbols.
struct Answer {
    plan: Result<Plan, Unpriced>,
    provider: Symbol,
    model_id: Symbol,
    tier: Symbol,
    region: Symbol,
    inputs: SmallVec<[(Symbol, Symbol); 2]>,
}

/// Where and when a batch was read.
#[derive(Clone, Copy, Debug)]
pub struct Lineage<'a> {
    pub source: &'a SourcePartition,
    pub ingest_micros: i64,
}

/// The priced columns of a batch, one entry per row.
#[derive(Default)]
pub(super) struct PricedColumns {
    pub provider: Vec<Symbol>,
    pub model_id: Vec<Symbol>,
    pub tier: Vec<Symbol>,
    pub region: Vec<Symbol>,
    /// `cost`, `list_cost`, … as in `table::usage::MONEY`; `None` when unpriced.
    pub money: [Vec<Option<i128>>; 9],
    pub price_id: Vec<Symbol>,
    pub price_currency: Vec<Symbol>,
    pub fx_rate: Vec<Option<i128>>,
    pub category: Vec<Symbol>,
    pub status: Vec<Symbol>,
    pub unpriced_reason: Vec<Symbol>,
    pub quality: Vec<Symbol>,
    pub notes: Vec<Notes>,
    pub input_ends: Vec<i32>,
    pub inputs: Vec<(Symbol, Symbol)>,
    /// What the directory changed.
    pub filling: Filling,
}

/// Who watches what of a batch.
#[derive(Clone, Copy)]
pub struct Watching<'a> {
    pub plan: &'a WatchPlan,
    pub awaited: &'a Awaited,
}

/// What watchers get of a batch.
#[derive(Debug, Default)]
pub struct Watched {
    pub sets: Vec<SetGroups>,
    pub arrived: Vec<Arrival>,
    /// What events of runs that somebody waits for cost.
    pub runs: Vec<(Arrival, i128)>,
    /// The newest event time, microseconds since the epoch.
    pub newest_micros: Option<i64>,
}

/// Symbols of the words that pricing gives row after row, found by address instead of by hashing.
///
/// An address stands for a text only while the text lives: plans live as long as [`Engine::answers`], and this is cleared with
/// them. Addresses are compared, never followed.
#[derive(Default)]
struct Words([(usize, usize, Symbol); Word::COUNT]);

/// Which word; each has a place of its own, since it seldom changes from row to row.
#[derive(Clone, Copy)]
enum Word {
    PriceId,
    PriceCurrency,
    Category,
    Status,
    Quality,
}

impl Word {
    const COUNT: usize = 5;
}

impl Words {
    fn symbol(&mut self, word: Word, text: &str, interner: &mut Interner) -> Symbol {
        let (address, length, symbol) = &mut self.0[word as usize];
        if (*address, *length) != (text.as_ptr().addr(), text.len()) {
            (*address, *length, *symbol) = (text.as_ptr().addr(), text.len(), interner.intern(text).0);
        }
        *symbol
    }
}

/// See the module. One per decode thread.
pub struct Engine {
    pub interner: Interner,
    pub(super) ids: LocalIds,
    book: Arc<PriceBook>,
    answers: HashMap<QuestionKey, Answer>,
    words: Words,
    owners: Owners,
    grouper: Grouper,
    limits: (usize, usize),
}

impl Engine {
    /// `max_values` and `max_bytes` bound the interner.
    #[must_use]
    pub fn new(book: Arc<PriceBook>, max_values: usize, max_bytes: usize) -> Self {
        Self {
            interner: Interner::new(max_values, max_bytes),
            ids: LocalIds::default(),
            book,
            answers: HashMap::new(),
            words: Words::default(),
            owners: Owners::default(),
            grouper: Grouper::default(),
            limits: (max_values, max_bytes),
        }
    }

    /// Between two batches: takes the newest book, and starts afresh what has grown to its limit.
    pub fn refresh(&mut self, book: &Arc<PriceBook>) {
        if !Arc::ptr_eq(&self.book, book) {
            self.book = Arc::clone(book);
            self.answers.clear();
            self.words = Words::default();
        }
        if self.interner.is_full() {
            self.interner = Interner::new(self.limits.0, self.limits.1);
            self.ids = LocalIds::default();
            self.answers.clear();
            self.words = Words::default();
            self.owners.forget();
        }
        if self.answers.len() > MOST_ANSWERS {
            self.answers.clear();
            self.words = Words::default();
        }
    }

    /// Between two batches: fills in owners by this directory from now on.
    pub fn set_directory(&mut self, directory: &Arc<Directory>) {
        self.owners.set(directory);
    }

    /// The book in force for this batch.
    #[must_use]
    pub fn book(&self) -> &Arc<PriceBook> {
        &self.book
    }

    /// Prices every row; none is left out.
    ///
    /// # Errors
    /// Only when Arrow refuses consistent columns, which is a fault of this program.
    pub fn price(
        &mut self,
        columns: EventColumns,
        lineage: Lineage<'_>,
    ) -> Result<(Vec<(i32, RecordBatch)>, Summary), ArrowError> {
        let (plan, awaited) = (WatchPlan::default(), Awaited::default());
        let (rows, summary, _) = self.price_watched(columns, lineage, Watching { plan: &plan, awaited: &awaited })?;
        Ok((rows, summary))
    }

    /// Prices every row, and sums them up for who watches.
    ///
    /// # Errors
    /// As [`Engine::price`].
    #[expect(clippy::type_complexity, reason = "read once, where it is taken apart")]
    pub fn price_watched(
        &mut self,
        mut columns: EventColumns,
        lineage: Lineage<'_>,
        watching: Watching<'_>,
    ) -> Result<(Vec<(i32, RecordBatch)>, Summary, Watched), ArrowError> {
        let filling = self.owners.fill(&mut columns, &mut self.interner);
        let mut priced = PricedColumns { filling, ..PricedColumns::default() };
        let mut summary = SummaryBuilder::default();
        for row in 0..columns.len() {
            self.price_row(&columns, row, &mut priced, &mut summary);
        }
        let spend = spend::of(&columns, &priced, &self.interner);
        let summary = Summary { spend, ..summary.finish(&self.interner) };
        let watched = self.watched(&columns, &priced, watching);
        let batches = rows::build(self, columns, priced, lineage)?;
        Ok((batches, summary, watched))
    }

    /// Before the rows are built, which takes columns over.
    fn watched(&mut self, columns: &EventColumns, priced: &PricedColumns, watching: Watching<'_>) -> Watched {
        let PricedColumns { provider, model_id, tier, region, money, .. } = priced;
        let view = PricedView { provider, model_id, tier, region, cost: &money[0] };
        let whose =
            |row: usize| [Text::Organization, Text::EventSource].map(|text| columns.symbols[text as usize][row]);
        Watched {
            sets: self.grouper.group(watching.plan, columns, view, &mut self.interner),
            arrived: watching.awaited.among(&columns.plain[Text::EventId as usize], |row| {
                let [organization, source] = whose(row).map(|symbol| self.interner.text(symbol));
                Origin::of(organization, source)
            }),
            runs: {
                let names = columns.symbols[Text::RunId as usize].iter().copied().enumerate();
                let rows = names.zip(money[0].iter().copied()).map(|((row, run), cost)| (run, whose(row), cost));
                watching.awaited.of_runs(rows, |symbol| self.interner.text(symbol))
            },
            newest_micros: columns.times.iter().copied().max(),
        }
    }

    fn price_row(&mut self, columns: &EventColumns, row: usize, out: &mut PricedColumns, summary: &mut SummaryBuilder) {
        let mut key = [columns.models_answered[row]; QUESTION.len() + 1];
        for (word, text) in key.iter_mut().zip(QUESTION) {
            *word = columns.symbols[text as usize][row];
        }
        let Self { interner, answers, book, words, .. } = self;
        let answer = answers.entry(key).or_insert_with(|| answer(book, &key, interner));
        out.provider.push(answer.provider);
        out.model_id.push(answer.model_id);
        out.tier.push(answer.tier);
        out.region.push(answer.region);
        out.inputs.extend_from_slice(&answer.inputs);
        out.inputs.extend(out.filling.sent(row).map(|(name, sent)| (interner.intern(name).0, sent)));
        out.input_ends.push(i32::try_from(out.inputs.len()).unwrap_or(i32::MAX));
        let quantities: SmallVec<[Quantity<'_>; 2]> = columns
            .row_quantities(row)
            .iter()
            .map(|(meter, units)| (Cow::Borrowed(interner.text(*meter).unwrap_or_default()), quantity_decimal(*units)))
            .collect();
        let usage = Usage {
            counts: &columns.counts[row],
            quantities: &quantities,
            committed: columns.committed[row],
            cache_hit: columns.cache_hits[row].unwrap_or(false),
        };
        let result = match &answer.plan {
            Ok(plan) => plan.price(columns.times[row], &usage),
            Err(unpriced) => Err(unpriced.clone()),
        };
        drop(quantities);
        let reported = columns.reported[row]
            .and_then(|(amount, currency)| book.convert_dated(amount, interner.text(currency)?, columns.times[row]));
        out.money[8].push(reported.map(|(amount, _)| amount.units()));
        let mut own = (columns.notes[row], columns.qualities[row]);
        if reported.is_some_and(|(_, is_old)| is_old) {
            own.0.insert(Note::ExchangeRateOld);
        }
        match result {
            Ok(priced) => out.push_priced(&priced, own, (words, interner), summary),
            Err(unpriced) => {
                summary.unpriced(key[0], key[1], unpriced.word());
                out.push_unpriced(&unpriced, own, (words, interner), summary);
            }
        }
    }
}

impl PricedColumns {
    fn push_priced(
        &mut self,
        priced: &Priced<'_>,
        own: (Notes, CostQuality),
        (words, interner): (&mut Words, &mut Interner),
        summary: &mut SummaryBuilder,
    ) {
        for (column, amount) in self.money.iter_mut().zip(priced.amounts()) {
            column.push(Some(amount.units()));
        }
        summary.cost = summary.cost + priced.cost;
        self.price_id.push(words.symbol(Word::PriceId, priced.price_id, interner));
        self.price_currency.push(words.symbol(Word::PriceCurrency, priced.price_currency, interner));
        self.fx_rate.push(rate_units(priced.fx_rate));
        self.category.push(words.symbol(Word::Category, priced.category, interner));
        self.status.push(words.symbol(Word::Status, "priced", interner));
        self.unpriced_reason.push(Symbol::NONE);
        self.push_trust(own.0.union(priced.notes), own.1.max(priced.quality), (words, interner), summary);
    }

    fn push_unpriced(
        &mut self,
        unpriced: &Unpriced,
        own: (Notes, CostQuality),
        (words, interner): (&mut Words, &mut Interner),
        summary: &mut SummaryBuilder,
    ) {
        for column in &mut self.money[..8] {
            column.push(None);
        }
        for column in [&mut self.price_id, &mut self.price_currency, &mut self.category] {
            column.push(Symbol::NONE);
        }
        self.fx_rate.push(None);
        self.status.push(words.symbol(Word::Status, "unpriced", interner));
        self.unpriced_reason.push(interner.intern(&unpriced.reason()).0);
        self.push_trust(own.0, own.1, (words, interner), summary);
    }

    fn push_trust(
        &mut self,
        notes: Notes,
        quality: CostQuality,
        (words, interner): (&mut Words, &mut Interner),
        summary: &mut SummaryBuilder,
    ) {
        if !notes.is_empty() {
            summary.note(notes);
        }
        summary.quality(quality);
        self.notes.push(notes);
        self.quality.push(words.symbol(Word::Quality, quality.name(), interner));
    }
}

fn answer(book: &PriceBook, key: &QuestionKey, interner: &mut Interner) -> Answer {
    let words = key.map(|symbol| interner.text(symbol).map(ToOwned::to_owned));
    let [provider, model, service_tier, region, organization, billing_account, operation, model_answered] = &words;
    let question = Question {
        provider: provider.as_deref(),
        model: model.as_deref(),
        service_tier: service_tier.as_deref(),
        region: region.as_deref(),
        organization: organization.as_deref(),
        billing_account: billing_account.as_deref(),
        operation: operation.as_deref(),
        model_answered: model_answered.as_deref(),
    };
    let plan = book.resolve(&question);
    let words = words::of(book, &question, &plan);
    let mut intern = |text: &str| if text.is_empty() { Symbol::NONE } else { interner.intern(text).0 };
    let inputs = words.inputs.iter().map(|(name, value)| (intern(name), intern(value))).collect();
    let [provider, model_id, tier, region] = [words.provider, words.model_id, words.service_tier, words.region]
        .map(|text| text.as_deref().map_or(Symbol::NONE, &mut intern));
    Answer { plan, provider, model_id, tier, region, inputs }
}

/// A rate in units of 10⁻¹²; `None` when it has more digits, which `price_book` does not allow.
pub(super) fn rate_units(rate: Decimal) -> Option<i128> {
    use spendstream_schemas::table::usage::RATE_SCALE;
    let scale = u32::from(RATE_SCALE.unsigned_abs());
    match scale.checked_sub(rate.scale()) {
        Some(missing) => rate.mantissa().checked_mul(10_i128.pow(missing)),
        None => Some(spendstream_schemas::money::div_half_even(rate.mantissa(), 10_i128.pow(rate.scale() - scale))),
    }
}
