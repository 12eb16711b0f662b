//! What a rewrite does to closed months: no row of theirs changes, and what should have moved is charged in the open month. In: what should have moved. Out: charges,
//! or what they would come to.

use std::io::Write;

use anyhow::bail;
use chrono::DateTime;
use spendstream_pipeline::lake::charges::Charges;
use spendstream_pipeline::lake::corrections::{Making, charged, charges, missing};
use spendstream_pipeline::price::closed::{ClosedMonths, Corrections};
use spendstream_schemas::config::Config;
use spendstream_schemas::table::charges::Charge;
use spendstream_storage::Lake;

use super::super::now_micros;
use super::rewriting::amount;

/// The months that have a statement. Without statements none has.
pub fn months() -> ClosedMonths {
    ClosedMonths::default()
}

/// Refuses a span that means a part of a closed month: what was charged for it before could not be told from what is missing.
pub fn whole(months: &ClosedMonths, span: (i64, i64)) -> anyhow::Result<()> {
    if let Some(month) = months.cut_by(span).next() {
        bail!(
            "{month} is closed: its differences are charged for the whole month; let --from and --to take in all of it, or nothing"
        );
    }
    Ok(())
}

/// Why charges are made.
pub struct Why<'a> {
    /// Of the charges.
    pub source: &'a str,
    pub reason: &'a str,
}

/// Charges that are missing for what should have moved.
pub async fn due(
    corrections: &Corrections,
    (lake, config): (&Lake, &Config),
    months: &ClosedMonths,
    why: &Why<'_>,
) -> anyhow::Result<Vec<Charge>> {
    if corrections.is_empty() {
        return Ok(Vec::new());
    }
    let before = charged(lake, why.source, months).await?;
    let now = now_micros();
    let zone = config.reports.zone();
    let open =
        DateTime::from_timestamp_micros(now).unwrap_or_default().with_timezone(&zone).format("%Y-%m").to_string();
    let making = Making { source: why.source, reason: why.reason, open: &open, now, currency: &config.lake.currency };
    Ok(charges(&missing(corrections, &before), &before, months, &making))
}

/// Writes them, each once.
pub async fn write(lake: &Lake, due: &[Charge]) -> anyhow::Result<()> {
    Charges::new(lake).append(due).await?;
    Ok(())
}

/// Says what they come to.
pub fn show(due: &[Charge], out: &mut impl Write) -> anyhow::Result<()> {
    if !due.is_empty() {
        let total: i128 = due.iter().map(|charge| charge.amount.units()).sum();
        let count = due.len();
        writeln!(out, "closed months stay as they are: {count} charges of {} in the open month", amount(total))?;
    }
    Ok(())
}
