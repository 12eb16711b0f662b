//! What the lake says beside a bill. In: a bill, one version of the lake. Out: its variance, and the charges that accept it. Days are UTC, as those of bills.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use spendstream_schemas::bill::variance::{Cell, Computed, Variance, compare};
use spendstream_schemas::bill::{Bill, Meter};
use spendstream_schemas::hex::hex;
use spendstream_schemas::money::{Amount, AmountError};
use spendstream_schemas::statement::Month;
use spendstream_schemas::statement::carry::Open;
use spendstream_schemas::table::charges::{Charge, ChargeCategory};

use super::super::view::{quoted, texts};
use super::StatementError;
use super::lines::Looked;

/// What charges that this makes have as their source.
pub const SOURCE: &str = "reconcile";

/// A bill beside the lake.
#[derive(Clone, Debug, Default)]
pub struct Reconciled {
    pub variances: Vec<Variance>,
    /// How often a cell was accepted before.
    times: BTreeMap<Cell, u64>,
}

/// The month that is open, and when that is.
#[derive(Clone, Copy, Debug)]
pub struct Booking {
    /// `None` where no month was ever closed.
    pub open: Option<Open>,
    pub zone: Tz,
    pub now: DateTime<Utc>,
}

/// Compares a bill whose models have the ids of the price book.
///
/// # Errors
/// When the lake cannot be read.
pub async fn reconcile(looked: &Looked, bill: &Bill) -> Result<Reconciled, StatementError> {
    let Some((from, to)) = bill.days() else { return Ok(Reconciled::default()) };
    let within = format!("provider = {} AND date BETWEEN DATE '{from}' AND DATE '{to}'", quoted(&bill.provider));
    let mut computed = calls(looked, &within).await?;
    let mut times = BTreeMap::new();
    for (sum, count) in accepted(looked, bill, from, to).await? {
        *times.entry(sum.cell.clone()).or_default() += count;
        computed.push(sum);
    }
    Ok(Reconciled { variances: compare(&bill.lines, &computed), times })
}

async fn calls(looked: &Looked, within: &str) -> Result<Vec<Computed>, StatementError> {
    let sql = format!(
        "SELECT date, coalesce(model_id, model), count(*) FILTER (WHERE price_status = 'unpriced'), \
         sum(input_cost), sum(output_cost), sum(cache_read_cost), sum(cache_write_cost), sum(other_cost), \
         sum(uncached_input_tokens), sum(output_tokens), sum(cache_read_tokens), \
         sum(cache_write_tokens) + sum(cache_write_1h_tokens), sum(web_searches) \
         FROM usage WHERE {within} GROUP BY 1, 2"
    );
    let mut sums = Vec::new();
    for batch in looked.view().rows(&sql).await? {
        let columns: Vec<Vec<Option<String>>> = (0..batch.num_columns()).map(|at| texts(&batch, at)).collect();
        for row in 0..batch.num_rows() {
            let text = |at: usize| columns.get(at).and_then(|column| column.get(row)?.as_deref());
            let number = |at: usize| text(at).and_then(|text| text.parse::<Decimal>().ok()).unwrap_or_default();
            let Some(date) = text(0).and_then(|text| text.parse().ok()) else { continue };
            for (at, meter) in Meter::ALL.into_iter().enumerate() {
                let (cost, quantity) = (number(3 + at), number(8 + at));
                // A meter without anything is no line, but where calls have no price.
                if cost.is_zero() && quantity.is_zero() {
                    continue;
                }
                let cell = Cell { date, model: text(1).map(str::to_owned), meter: Some(meter) };
                let unpriced_calls = text(2).and_then(|text| text.parse().ok()).unwrap_or(0);
                sums.push(Computed { cell, cost, quantity, unpriced_calls });
            }
        }
    }
    Ok(sums)
}

/// Differences of those days that were accepted before, of this bill or another.
async fn accepted(
    looked: &Looked,
    bill: &Bill,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<(Computed, u64)>, StatementError> {
    let sql = format!(
        "SELECT CAST(period_start AS DATE), model_id, get_field(tags, 'meter'), sum(amount), count(*) FROM charges \
         WHERE source = '{SOURCE}' AND provider = {} AND CAST(period_start AS DATE) BETWEEN DATE '{from}' AND DATE '{to}' \
         GROUP BY 1, 2, 3",
        quoted(&bill.provider)
    );
    let mut sums = Vec::new();
    for batch in looked.view().rows(&sql).await? {
        let columns: Vec<Vec<Option<String>>> = (0..batch.num_columns()).map(|at| texts(&batch, at)).collect();
        for row in 0..batch.num_rows() {
            let text = |at: usize| columns.get(at).and_then(|column| column.get(row)?.as_deref());
            let Some(date) = text(0).and_then(|text| text.parse().ok()) else { continue };
            let meter = text(2).and_then(|word| Meter::ALL.into_iter().find(|meter| meter.word() == word));
            let cell = Cell { date, model: text(1).map(str::to_owned), meter };
            let cost = text(3).and_then(|text| text.parse().ok()).unwrap_or_default();
            let count = text(4).and_then(|text| text.parse().ok()).unwrap_or(0);
            sums.push((Computed { cell, cost, quantity: Decimal::ZERO, unpriced_calls: 0 }, count));
        }
    }
    Ok(sums)
}

/// One charge for each cell that differs. Made again, it has the same id.
///
/// # Errors
/// When a difference does not fit a money column.
pub fn residuals(bill: &Bill, found: &Reconciled, booking: Booking) -> Result<Vec<Charge>, AmountError> {
    let differing = found.variances.iter().filter(|one| !one.difference().is_zero());
    differing.map(|one| residual(bill, one, found.times.get(&one.cell).copied().unwrap_or(0), booking)).collect()
}

fn residual(bill: &Bill, one: &Variance, times: u64, booking: Booking) -> Result<Charge, AmountError> {
    let Cell { date, model, meter } = &one.cell;
    let meter = meter.map_or("", Meter::word);
    let id = Sha256::digest(format!(
        "{SOURCE}\n{}\n{date}\n{}\n{meter}\n{times}",
        bill.provider,
        model.as_deref().unwrap_or_default()
    ));
    let mut charge = Charge::blank(hex(&id[..16]), ChargeCategory::Adjustment, &bill.currency, SOURCE);
    let start = date.and_time(NaiveTime::MIN).and_utc();
    charge.amount = Amount::from_decimal(one.difference())?;
    charge.period = (start.timestamp_micros(), (start + TimeDelta::days(1)).timestamp_micros());
    charge.time = charge.period.0;
    charge.billing_period = Month::of(start, booking.zone).to_string();
    if let Some(open) = booking.open.filter(|open| start < open.start) {
        charge.time = open.moment(booking.now);
        charge.billing_period = open.month.to_string();
    }
    charge.provider = Some(bill.provider.clone());
    charge.model_id.clone_from(model);
    if !meter.is_empty() {
        charge.tags.insert("meter".to_owned(), meter.to_owned());
    }
    charge.tags.insert("bill".to_owned(), bill.id.clone());
    charge.reason = Some(format!("the bill {} differs: {}", bill.file, one.reason.words()));
    charge.recorded_at = booking.now.timestamp_micros();
    Ok(charge)
}
