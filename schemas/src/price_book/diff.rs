//! What changes between two lists of prices. Rows come in, changes go out; nothing is applied.

use std::collections::BTreeMap;
use std::fmt;

use super::row::PriceRow;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Added(PriceRow),
    Removed(PriceRow),
    /// Same model, meter, tier, region, schedule and start; another price, unit, currency or end.
    Changed {
        before: PriceRow,
        after: PriceRow,
    },
}

impl Change {
    /// The row after the change, or the one that goes.
    #[must_use]
    pub fn row(&self) -> &PriceRow {
        match self {
            Change::Added(row) | Change::Removed(row) | Change::Changed { after: row, .. } => row,
        }
    }
}

/// What [`Change`] compares by, in the order in which changes are listed.
fn key(row: &PriceRow) -> impl Ord + use<> {
    let model = (row.provider.clone(), row.model.clone(), row.meter.clone());
    (model, row.service_tier.clone(), row.region.clone(), row.schedule.clone(), row.tier_min_tokens, row.effective_from)
}

/// The changes that make `after` of `before`, by provider, model and meter. A price is the same when it is for the same call and
/// costs the same: 2.5 per 1 000 000 and 0.0000025 per 1 are equal, and so is a price from another source.
#[must_use]
pub fn diff(before: &[PriceRow], after: &[PriceRow]) -> Vec<Change> {
    let mut pairs: BTreeMap<_, (Option<&PriceRow>, Option<&PriceRow>)> = BTreeMap::new();
    for row in before {
        pairs.entry(key(row)).or_default().0 = Some(row);
    }
    for row in after {
        pairs.entry(key(row)).or_default().1 = Some(row);
    }
    let change = |pair| match pair {
        (Some(before), Some(after)) if same(before, after) => None,
        (Some(before), Some(after)) => Some(Change::Changed { before: before.clone(), after: after.clone() }),
        (Some(before), None) => Some(Change::Removed(before.clone())),
        (None, Some(after)) => Some(Change::Added(after.clone())),
        (None, None) => None,
    };
    pairs
        .into_values()
        .filter_map(|(before, after): (Option<&PriceRow>, Option<&PriceRow>)| change((before, after)))
        .collect()
}

fn same(before: &PriceRow, after: &PriceRow) -> bool {
    before.currency == after.currency
        && before.effective_until == after.effective_until
        && super::ratio::Ratio::of(before.price, before.per) == super::ratio::Ratio::of(after.price, after.per)
}

/// `+ openai/gpt-9 input 2 per 1000000 USD`, `~ openai/gpt-5 output 10 → 8 per 1000000 USD`.
impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row();
        let sign = match self {
            Change::Added(_) => '+',
            Change::Removed(_) => '-',
            Change::Changed { .. } => '~',
        };
        write!(out, "{sign} {}/{} {} ", row.provider, row.model, row.meter)?;
        if let Change::Changed { before, .. } = self {
            write!(out, "{} per {} → ", before.price.normalize(), before.per)?;
        }
        write!(out, "{} per {} {}", row.price.normalize(), row.per, row.currency)?;
        let fields = row.fields();
        for (name, value) in
            super::row::COLUMNS.iter().zip(&fields).skip(6).take(6).filter(|(_, value)| !value.is_empty())
        {
            write!(out, " {name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::diff;
    use crate::price_book::row::{COLUMNS, parse};

    #[test]
    fn only_what_a_call_would_notice_is_a_change() {
        let rows = |lines: &str| parse(&format!("{}\n{lines}", COLUMNS.join(",")), &mut Vec::new());
        let before = rows(
            "p,a,input,2.5,1000000,USD,,,,,,,s,\np,a,output,10,1000000,USD,,,,,,,s,\np,gone,input,1,1,USD,,,,,,,s,\n",
        );
        let after = rows(
            "p,a,input,0.0000025,1,USD,,,,,,,t,\np,a,output,8,1000000,USD,,,,,,,t,\np,new,input,1,1,USD,2026-01-01,,,batch,,,s,\n",
        );
        let changes: Vec<_> = diff(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(
            changes,
            [
                "~ p/a output 10 per 1000000 → 8 per 1000000 USD",
                "- p/gone input 1 per 1 USD",
                "+ p/new input 1 per 1 USD effective_from=2026-01-01 service_tier=batch",
            ]
        );
        assert_eq!(diff(&before, &before), Vec::new());
    }
}
