//! What is found for a closed month goes into an open one. In: the changes of a statement, and the open month. Out: charges, two for each change: one takes
//! the difference out of the closed month, so that it stays what its statement says, and one puts it into the open month. Together they are
//! nothing: no sum over all time moves. Pure.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::change::Change;
use super::line::{Figures, Key};
use super::{Month, Statement};
use crate::dimension::Text;
use crate::hex::hex;
use crate::money::AmountError;
use crate::table::charges::{Charge, ChargeCategory, TEXTS};

/// What charges that this makes have as their source.
pub const SOURCE: &str = "close";

/// The month that takes what is found late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    pub month: Month,
    pub start: DateTime<Utc>,
    /// Exclusive.
    pub end: DateTime<Utc>,
}

impl Open {
    /// The moment at which charges of now count in it.
    #[must_use]
    pub fn moment(&self, now: DateTime<Utc>) -> i64 {
        now.timestamp_micros().clamp(self.start.timestamp_micros(), self.end.timestamp_micros() - 1)
    }
}

/// Two charges for each change that is not carried yet. Made again on the same tables, or by two at the same time, they have the same ids.
///
/// # Errors
/// When a sum does not fit a money column.
pub fn charges(
    statement: &Statement,
    changes: &[Change],
    open: Open,
    now: DateTime<Utc>,
) -> Result<Vec<Charge>, AmountError> {
    let mut made = Vec::new();
    for change in changes {
        let figures = change.open()?;
        if figures.is_nothing() {
            continue;
        }
        let mut out = charge(statement, change, &figures.negative(), "out", now);
        out.time = statement.period_end.timestamp_micros() - 1;
        out.billing_period = statement.month.to_string();
        let mut into = charge(statement, change, &figures, "in", now);
        into.time = open.moment(now);
        into.billing_period = open.month.to_string();
        into.category = ChargeCategory::Adjustment;
        into.corrects = Some(out.id.clone());
        made.extend([out, into]);
    }
    Ok(made)
}

fn charge(statement: &Statement, change: &Change, figures: &Figures, side: &str, now: DateTime<Utc>) -> Charge {
    let id = id(&statement.id, &change.key, change.times, side);
    let category = change.key.get("charge_category").and_then(|word| word.parse().ok());
    let mut charge = Charge::blank(id, category.unwrap_or(ChargeCategory::Usage), &statement.currency, SOURCE);
    charge.period = (statement.period_start.timestamp_micros(), statement.period_end.timestamp_micros());
    charge.correction = true;
    charge.amount = figures.cost();
    charge.calls = figures.calls;
    charge.counts = figures.counts;
    charge.provider = change.key.get("provider").map(str::to_owned);
    charge.model_id = change.key.get("model").map(str::to_owned);
    let is_dimension = |text: &Text| *text != Text::Model;
    for text in TEXTS.into_iter().filter(is_dimension) {
        if let Some(value) = change.key.get(text.column()) {
            charge.texts.insert(text, value.to_owned());
        }
    }
    let causes: Vec<&str> = change.causes.iter().map(|cause| cause.words()).collect();
    let causes = if causes.is_empty() { "as it was".to_owned() } else { causes.join(", ") };
    charge.reason = Some(format!("{} is closed: {causes}", statement.month));
    charge.statement_id = Some(statement.id.clone());
    charge.recorded_at = now.timestamp_micros();
    charge
}

/// Of what has the same statement, line and number, only one is ever written.
fn id(statement: &str, key: &Key, times: u64, side: &str) -> String {
    let mut hash = Sha256::new();
    for part in [Some(statement), Some(side)].into_iter().chain(key.0.iter().map(Option::as_deref)) {
        match part {
            Some(text) => {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
            None => hash.update(u64::MAX.to_le_bytes()),
        }
    }
    hash.update(times.to_le_bytes());
    hex(&hash.finalize()[..16])
}
