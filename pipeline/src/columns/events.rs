//! Decoded rows of one batch, column by column. In: [`UsageRow`]s; out: vectors that pricing reads and Arrow takes over.

use rust_decimal::Decimal;
use smallvec::SmallVec;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::dimension::{Keep, Text};
use spendstream_schemas::note::{CostQuality, Notes};
use spendstream_schemas::table::usage::{QUANTITY_PRECISION, QUANTITY_SCALE};
use spendstream_schemas::usage_event::UsageRow;

use super::interner::{Interner, Symbol, text_hash};

/// A column of unique texts: bytes end to end.
#[derive(Debug, Default)]
pub struct PlainColumn {
    pub bytes: Vec<u8>,
    pub ends: Vec<i32>,
    pub valid: Vec<bool>,
}

impl PlainColumn {
    fn push(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            self.bytes.extend_from_slice(text.as_bytes());
        }
        self.valid.push(text.is_some());
        // A batch holds a few MiB, so ends stay far below 2 GiB.
        self.ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }
}

/// A quantity as the lake keeps it: units of 10⁻⁹.
pub type QuantityUnits = i128;

/// One row ready to be pushed: texts interned, hashes known, quantities in the lake's precision.
#[derive(Debug)]
pub struct Staged {
    symbols: [Symbol; Text::COUNT],
    model_answered: Symbol,
    /// Hash of each text, 0 where there is none.
    pub hashes: [u64; Text::COUNT],
    tags: SmallVec<[(Symbol, Symbol); 4]>,
    pub tags_hash: u64,
    quantities: SmallVec<[(Symbol, QuantityUnits); 2]>,
    pub quantities_hash: u64,
}

impl Default for Staged {
    fn default() -> Self {
        Self {
            symbols: [Symbol::NONE; Text::COUNT],
            model_answered: Symbol::NONE,
            hashes: [0; Text::COUNT],
            tags: SmallVec::new(),
            tags_hash: 0,
            quantities: SmallVec::new(),
            quantities_hash: 0,
        }
    }
}

impl Staged {
    /// Interns the texts of a row.
    ///
    /// # Errors
    /// The meter of a quantity that does not fit decimal(28,9).
    pub fn stage(row: &UsageRow<'_>, interner: &mut Interner) -> Result<Self, String> {
        let mut staged = Self::default();
        for (text, value) in row.texts.iter() {
            let Some(value) = value else { continue };
            match text.keep() {
                Keep::Interned => {
                    let (symbol, hash) = interner.intern(value);
                    staged.symbols[text as usize] = symbol;
                    staged.hashes[text as usize] = hash;
                }
                Keep::Plain => staged.hashes[text as usize] = text_hash(value),
            }
        }
        if let Some(model) = &row.model_answered {
            staged.model_answered = interner.intern(model).0;
        }
        for (key, value) in &row.tags {
            let ((key, key_hash), (value, value_hash)) = (interner.intern(key), interner.intern(value));
            staged.tags.push((key, value));
            // A map has no order: the sum of its entries' hashes does not depend on one either.
            staged.tags_hash = staged.tags_hash.wrapping_add(pair_hash(key_hash, value_hash));
        }
        for (meter, amount) in &row.quantities {
            let units = quantity_units(*amount).ok_or_else(|| meter.to_string())?;
            let (meter, hash) = interner.intern(meter);
            staged.quantities.push((meter, units));
            staged.quantities_hash = staged.quantities_hash.wrapping_add(quantity_hash(hash, units));
        }
        Ok(staged)
    }
}

/// The hash of a key and its value.
#[must_use]
pub fn pair_hash(key: u64, value: u64) -> u64 {
    (key ^ value.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) ^ value
}

/// The hash of a meter's hash and its units.
#[must_use]
pub fn quantity_hash(meter: u64, units: QuantityUnits) -> u64 {
    let bytes = units.to_le_bytes();
    pair_hash(meter, xxhash_rust::xxh3::xxh3_64(&bytes))
}

/// A decimal in units of 10⁻⁹, rounded half-even; `None` when it does not fit decimal(28,9).
#[must_use]
pub fn quantity_units(amount: Decimal) -> Option<QuantityUnits> {
    let scale = amount.scale();
    let units = if scale <= QUANTITY_SCALE as u32 {
        amount.mantissa().checked_mul(10_i128.pow(QUANTITY_SCALE as u32 - scale))?
    } else {
        spendstream_schemas::money::div_half_even(amount.mantissa(), 10_i128.pow(scale - QUANTITY_SCALE as u32))
    };
    (units.abs() < 10_i128.pow(u32::from(QUANTITY_PRECISION))).then_some(units)
}

/// Units of 10⁻⁹ as a decimal.
#[must_use]
pub fn quantity_decimal(units: QuantityUnits) -> Decimal {
    Decimal::from_i128_with_scale(units, QUANTITY_SCALE as u32)
}

/// See the module. All vectors have one entry per row unless they say otherwise.
#[derive(Debug, Default)]
pub struct EventColumns {
    pub offsets: Vec<i64>,
    pub indexes: Vec<i32>,
    pub times: Vec<i64>,
    /// By `Text as usize`; filled for interned columns.
    pub symbols: Vec<Vec<Symbol>>,
    /// By `Text as usize`; filled for plain columns.
    pub plain: Vec<PlainColumn>,
    pub latencies: Vec<Option<i64>>,
    pub cache_hits: Vec<Option<bool>>,
    pub counts: Vec<Counts>,
    /// End of each row's entries in `tags`.
    pub tag_ends: Vec<i32>,
    pub tags: Vec<(Symbol, Symbol)>,
    /// End of each row's entries in `quantities`.
    pub quantity_ends: Vec<i32>,
    pub quantities: Vec<(Symbol, QuantityUnits)>,
    pub reported: Vec<Option<(Decimal, Symbol)>>,
    /// The model that the answer names, where that is another.
    pub models_answered: Vec<Symbol>,
    pub committed: Vec<bool>,
    pub notes: Vec<Notes>,
    pub qualities: Vec<CostQuality>,
}

impl EventColumns {
    /// With room for so many rows: most batches have a row per message, and growing step by step copies and touches memory twice.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        let of_kind = |text: &Text, keep: Keep| if text.keep() == keep { rows } else { 0 };
        let plain = |text: &Text| PlainColumn {
            bytes: Vec::new(),
            ends: Vec::with_capacity(of_kind(text, Keep::Plain)),
            valid: Vec::with_capacity(of_kind(text, Keep::Plain)),
        };
        Self {
            offsets: Vec::with_capacity(rows),
            indexes: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            symbols: Text::ALL.iter().map(|text| Vec::with_capacity(of_kind(text, Keep::Interned))).collect(),
            plain: Text::ALL.iter().map(plain).collect(),
            latencies: Vec::with_capacity(rows),
            cache_hits: Vec::with_capacity(rows),
            counts: Vec::with_capacity(rows),
            tag_ends: Vec::with_capacity(rows),
            quantity_ends: Vec::with_capacity(rows),
            reported: Vec::with_capacity(rows),
            models_answered: Vec::with_capacity(rows),
            committed: Vec::with_capacity(rows),
            notes: Vec::with_capacity(rows),
            qualities: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Adds a row; `staged` is what [`Staged::stage`] made of it with the same interner.
    pub fn push(&mut self, offset: i64, index: u32, row: &UsageRow<'_>, staged: &Staged, interner: &mut Interner) {
        self.offsets.push(offset);
        self.indexes.push(i32::try_from(index).unwrap_or(i32::MAX));
        self.times.push(row.time_micros);
        for text in Text::ALL {
            match text.keep() {
                Keep::Interned => self.symbols[text as usize].push(staged.symbols[text as usize]),
                Keep::Plain => self.plain[text as usize].push(row.texts.get(text)),
            }
        }
        self.latencies.push(row.latency_ms);
        self.cache_hits.push(row.cache_hit);
        self.counts.push(row.counts);
        self.tags.extend_from_slice(&staged.tags);
        self.tag_ends.push(end(self.tags.len()));
        self.quantities.extend_from_slice(&staged.quantities);
        self.quantity_ends.push(end(self.quantities.len()));
        self.reported.push(row.reported_cost.as_ref().map(|cost| (cost.amount, interner.intern(&cost.currency).0)));
        self.models_answered.push(staged.model_answered);
        self.committed.push(row.committed);
        self.notes.push(row.notes);
        self.qualities.push(row.quality);
    }

    /// A row's quantities.
    #[must_use]
    pub fn row_quantities(&self, row: usize) -> &[(Symbol, QuantityUnits)] {
        &self.quantities[range(&self.quantity_ends, row)]
    }

    /// The values of a count column.
    pub fn count_column(&self, count: Count) -> impl Iterator<Item = i64> + '_ {
        self.counts.iter().map(move |counts| counts.get(count))
    }
}

fn end(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn range(ends: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |row: usize| usize::try_from(ends[row]).unwrap_or(0);
    let from = if row == 0 { 0 } else { at(row - 1) };
    from..at(row)
}
