//! Charges that set closed months right. In: what should have moved there, and what was charged for it before. Out: charges in the open month for what is missing. A
//! charge of the same difference has the same id, so two at the same time write one; rows of `usage` are never touched.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion::prelude::SessionContext;
use deltalake_core::DeltaTable;
use sha2::{Digest, Sha256};
use spendstream_lake::tiered::scan;
use spendstream_schemas::count::Count;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::hex::hex;
use spendstream_schemas::lake_path::CHARGES_TABLE;
use spendstream_schemas::money::Amount;
use spendstream_schemas::table::charges::{Charge, ChargeCategory};
use spendstream_storage::Lake;

use super::error::LakeError;
use super::view::{failed, quoted, texts};
use crate::price::closed::{ClosedMonths, Corrections, Moved, OWNED, Owner, add};

/// Where and why charges are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Making<'a> {
    /// The charges' `source`: what was charged before under it counts as done.
    pub source: &'a str,
    /// For people.
    pub reason: &'a str,
    /// The month that is open, as `2026-11`.
    pub open: &'a str,
    /// The moment that they count at, microseconds.
    pub now: i64,
    pub currency: &'a str,
}

/// What is missing: what should have moved, without what was charged.
#[must_use]
pub fn missing(wanted: &Corrections, charged: &Corrections) -> Corrections {
    let mut missing = Corrections::new();
    for (owner, moved) in wanted {
        add(&mut missing, owner.clone(), *moved);
        if let Some(done) = charged.get(owner) {
            let counts = done.counts.map(|count| -count);
            add(&mut missing, owner.clone(), Moved { amount: -done.amount, calls: -done.calls, counts });
        }
    }
    missing.retain(|_, moved| *moved != Moved::default());
    missing
}

/// Charges for what is missing. `charged` is what it was reckoned on: the next difference of the same owner has another id.
#[must_use]
pub fn charges(
    missing: &Corrections,
    charged: &Corrections,
    months: &ClosedMonths,
    making: &Making<'_>,
) -> Vec<Charge> {
    let charge = |(owner, moved): (&Owner, &Moved)| {
        let before = charged.get(owner).copied().unwrap_or_default();
        let told = format!("{}\n{owner:?}\n{before:?}\n{moved:?}", making.source);
        let id = format!("{}-{}", making.source, hex(&Sha256::digest(told.as_bytes())[..16]));
        let names = OWNED.into_iter().zip(&owner.texts);
        Charge {
            time: making.now,
            period: months.span(&owner.month).unwrap_or((making.now, making.now)),
            billing_period: making.open.to_owned(),
            correction: true,
            amount: Amount::saturating(moved.amount),
            provider: owner.provider.clone(),
            model_id: owner.model_id.clone(),
            texts: names.filter_map(|(text, value)| Some((text, value.clone()?))).collect(),
            calls: moved.calls,
            counts: moved.counts,
            reason: Some(format!("{} ({})", making.reason, owner.month)),
            recorded_at: making.now,
            ..Charge::blank(id, ChargeCategory::Adjustment, making.currency, making.source)
        }
    };
    missing.iter().map(charge).collect()
}

/// What was charged before under a source, by owner and closed month.
///
/// # Errors
/// When there are charges that cannot be read.
pub async fn charged(lake: &Lake, source: &str, months: &ClosedMonths) -> Result<Corrections, LakeError> {
    let broken = |error: &dyn std::fmt::Display| failed(lake, error);
    let mut table = DeltaTable::new(lake.log_store(CHARGES_TABLE));
    if !table.verify_deltatable_existence().await.map_err(|error| broken(&error))? {
        return Ok(Corrections::new());
    }
    table.load().await.map_err(|error| broken(&error))?;
    let context = SessionContext::new();
    let rows = scan(&table, &context.state(), None).map_err(|error| broken(&error))?;
    context.register_table(CHARGES_TABLE, rows).map_err(|error| broken(&error))?;
    let frame = context.sql(&query(source)).await.map_err(|error| broken(&error))?;
    let mut found = Corrections::new();
    for batch in frame.collect().await.map_err(|error| broken(&error))? {
        let keys: Vec<_> = (0..KEYS).map(|column| texts(&batch, column)).collect();
        let integers = |at: usize| {
            let column = cast(batch.column(at), &DataType::Int64).map_err(|error| broken(&error))?;
            Ok::<_, LakeError>(column.as_primitive::<Int64Type>().clone())
        };
        let (starts, calls) = (integers(KEYS)?, integers(KEYS + 2)?);
        let amounts = cast(batch.column(KEYS + 1), &DataType::Decimal128(38, 15)).map_err(|error| broken(&error))?;
        let amounts = amounts.as_primitive::<Decimal128Type>();
        let counts = (0..Count::ALL.len()).map(|at| integers(KEYS + 3 + at)).collect::<Result<Vec<_>, _>>()?;
        for (row, start) in starts.values().iter().enumerate() {
            let Some(month) = months.of(*start) else { continue };
            let value = |at: usize| keys[at][row].clone();
            let texts = std::array::from_fn(|at| value(2 + at));
            let owner = Owner { month: month.to_owned(), provider: value(0), model_id: value(1), texts };
            let amount = if amounts.is_valid(row) { amounts.value(row) } else { 0 };
            let counts = std::array::from_fn(|at| counts[at].value(row));
            add(&mut found, owner, Moved { amount, calls: calls.value(row), counts });
        }
    }
    Ok(found)
}

/// Texts of an owner: provider and model of the book, and [`OWNED`].
const KEYS: usize = 2 + OWNED.len();

fn query(source: &str) -> String {
    let keys: Vec<&str> = ["provider", "model_id"].into_iter().chain(OWNED.map(Text::column)).collect();
    let keys = keys.join(", ");
    let counts: Vec<String> = Count::ALL.iter().map(|count| format!("sum({})", count.column())).collect();
    format!(
        "SELECT {keys}, CAST(period_start AS BIGINT), sum(amount), sum(calls), {} FROM {CHARGES_TABLE} WHERE source = {} \
         GROUP BY {keys}, period_start",
        counts.join(", "),
        quoted(source)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use spendstream_storage::Lake;

    use super::{Making, charged, charges, missing};
    use crate::lake::charges::Charges;
    use crate::price::closed::{ClosedMonths, Corrections, Moved, OWNED, Owner};

    const MAKING: Making<'static> =
        Making { source: "reprice", reason: "reprice", open: "2026-11", now: 5_000, currency: "USD" };

    fn wanted(amount: i128) -> Corrections {
        let mut texts = std::array::from_fn(|_| None);
        texts[2] = Some("core".to_owned());
        assert_eq!(OWNED[2].column(), "team");
        let owner = Owner { month: "2026-10".into(), provider: Some("openai".into()), model_id: None, texts };
        Corrections::from([(owner, Moved { amount, ..Moved::default() })])
    }

    /// To another book, once more, back, and there again: what is charged in all is always what the book says.
    #[tokio::test]
    async fn a_difference_is_charged_once_and_taken_back_with_its_book() {
        let lake = Lake::with_store("s3://bucket/lake".parse().unwrap(), Arc::new(InMemory::new())).unwrap();
        let months = ClosedMonths::new(vec![(0, 1_000, "2026-10".into())]);
        let mut written = Vec::new();
        for amount in [7, 7, 0, 7, 5] {
            let before = charged(&lake, "reprice", &months).await.unwrap();
            let new = charges(&missing(&wanted(amount), &before), &before, &months, &MAKING);
            written.extend(new.iter().map(|charge| charge.amount.units()));
            Charges::new(&lake).append(&new).await.unwrap();
            let after = charged(&lake, "reprice", &months).await.unwrap();
            assert_eq!(after.values().map(|moved| moved.amount).sum::<i128>(), amount);
        }
        assert_eq!(written, [7, -7, 7, -2]);
        assert_eq!(charged(&lake, "reattribute:x", &months).await.unwrap(), Corrections::new());
    }
}
