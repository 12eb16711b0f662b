//! What a rewrite would have changed in months that are closed. In: rows of such months. Out: by owner, the money and calls that have to move there; a
//! statement stays as it is, and so do the rows that it was made of. Pure.

use std::collections::BTreeMap;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::count::Count;
use spendstream_schemas::dimension::Text;

use crate::columns::texts::Texts;

/// The texts by which money of closed months is kept apart; none that names a person.
pub const OWNED: [Text; 11] = [
    Text::Model,
    Text::Organization,
    Text::Team,
    Text::Department,
    Text::CostCenter,
    Text::Project,
    Text::App,
    Text::Feature,
    Text::Agent,
    Text::Environment,
    Text::BillingAccount,
];

/// Months that are closed: `(from, to, name)`, microseconds since the epoch, `to` not included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedMonths(Vec<(i64, i64, String)>);

impl ClosedMonths {
    /// Months in any order; they do not overlap.
    #[must_use]
    pub fn new(mut months: Vec<(i64, i64, String)>) -> Self {
        months.sort();
        Self(months)
    }

    /// The closed month that a moment lies in.
    #[must_use]
    pub fn of(&self, micros: i64) -> Option<&str> {
        let at = self.0.partition_point(|(from, ..)| *from <= micros).checked_sub(1)?;
        let (_, to, name) = &self.0[at];
        (micros < *to).then_some(name)
    }
}

impl ClosedMonths {
    /// From when to when a month is, by its name.
    #[must_use]
    pub fn span(&self, name: &str) -> Option<(i64, i64)> {
        self.0.iter().find(|(_, _, known)| known == name).map(|(from, to, _)| (*from, *to))
    }

    /// The months that a span of time touches and does not mean whole.
    pub fn cut_by(&self, (from, to): (i64, i64)) -> impl Iterator<Item = &str> {
        let touches = move |(begin, end, _): &&(i64, i64, String)| *begin < to && from < *end;
        let is_whole = move |(begin, end, _): &&(i64, i64, String)| from <= *begin && *end <= to;
        self.0.iter().filter(touches).filter(move |month| !is_whole(month)).map(|(_, _, name)| name.as_str())
    }
}

/// Whose money of a closed month.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    pub month: String,
    pub provider: Option<String>,
    pub model_id: Option<String>,
    /// In the order of [`OWNED`].
    pub texts: [Option<String>; OWNED.len()],
}

/// What moves to an owner; negative where it is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// In units of 10⁻¹⁵ of the lake's currency.
    pub amount: i128,
    pub calls: i64,
    pub counts: [i64; Count::ALL.len()],
}

/// By owner.
pub type Corrections = BTreeMap<Owner, Moved>;

/// Adds to an owner's.
pub fn add(corrections: &mut Corrections, owner: Owner, moved: Moved) {
    let sum = corrections.entry(owner).or_default();
    sum.amount += moved.amount;
    sum.calls += moved.calls;
    for (sum, count) in sum.counts.iter_mut().zip(moved.counts) {
        *sum += count;
    }
}

/// Owners of the rows of a batch.
pub struct Owners(Texts);

impl Owners {
    /// # Errors
    /// When a column is missing.
    pub fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self(Texts::new(batch, OWNED.map(Text::column).into_iter().chain(["provider", "model_id"]))?))
    }

    #[must_use]
    pub fn of(&self, month: &str, row: usize) -> Owner {
        let owned = |name: &str| self.0.get(name, row).map(str::to_owned);
        Owner {
            month: month.to_owned(),
            provider: owned("provider"),
            model_id: owned("model_id"),
            texts: OWNED.map(|text| owned(text.column())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ClosedMonths;

    #[test]
    fn a_moment_lies_in_the_month_that_has_it() {
        let months = ClosedMonths::new(vec![(20, 30, "b".into()), (0, 10, "a".into())]);
        for (micros, expected) in
            [(-1, None), (0, Some("a")), (9, Some("a")), (10, None), (20, Some("b")), (29, Some("b")), (30, None)]
        {
            assert_eq!(months.of(micros), expected, "{micros}");
        }
        assert_eq!(months.cut_by((0, 25)).collect::<Vec<_>>(), ["b"]);
        assert_eq!(months.cut_by((10, 30)).count(), 0);
        assert_eq!(months.span("b"), Some((20, 30)));
    }
}
