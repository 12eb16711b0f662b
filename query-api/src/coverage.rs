//! How much of the spend has an owner: in come required dimensions and a time, out comes the share of spend that carries each.
//!
//! Which dimensions an organisation's events must have is said in `directory.required`. Never guesses an owner.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use spendstream_schemas::budget::ScopeKey;
use spendstream_schemas::money::Amount;

use crate::budgets::look::{column, during, literal, literals};
use crate::budgets::sums::{integers, money, rows};
use crate::catalog::Snapshot;
use crate::error::QueryError;
use crate::sql::engine::Engine;

/// Any organisation that has no line of its own.
const ANY: &str = "*";

/// One organisation (`*`: all others) and the dimensions that its spend should carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub organization: String,
    pub dimensions: Vec<ScopeKey>,
    /// What `*` leaves out.
    others: Vec<String>,
}

/// The rules of the configuration; without any, team, department and cost centre for all. The configuration was checked before:
/// a word that is no dimension is left out.
#[must_use]
pub fn rules(required: &BTreeMap<String, Vec<String>>) -> Vec<Rule> {
    if required.is_empty() {
        let dimensions = ["team", "department", "cost_center"].map(str::to_owned).to_vec();
        return rules(&BTreeMap::from([(ANY.to_owned(), dimensions)]));
    }
    let others: Vec<_> = required.keys().filter(|name| *name != ANY).cloned().collect();
    let rule = |(name, words): (&String, &Vec<String>)| Rule {
        organization: name.clone(),
        dimensions: words.iter().filter_map(|word| word.parse().ok()).collect(),
        others: if name == ANY { others.clone() } else { Vec::new() },
    };
    required.iter().map(rule).collect()
}

/// One rule for all organisations.
#[must_use]
pub fn rule_for_all(dimensions: Vec<ScopeKey>) -> Vec<Rule> {
    vec![Rule { organization: ANY.to_owned(), dimensions, others: Vec::new() }]
}

/// Spend under one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    pub organization: String,
    pub cost: String,
    pub calls: i64,
    pub dimensions: Vec<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// Spend that carries a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    pub dimension: ScopeKey,
    pub with: String,
    pub without: String,
    /// Of the cost, cut off after four digits; `None` when nothing was spent.
    pub percent: Option<Decimal>,
    pub calls_without: i64,
}

impl Rule {
    /// Cost and calls, then for each dimension the cost and the calls that carry it.
    #[must_use]
    pub fn sql(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> String {
        let shares = self.dimensions.iter().map(column).enumerate().map(|(at, column)| {
            format!(", sum(CASE WHEN {column} IS NOT NULL THEN cost END) AS cost{at}, count({column}) AS calls{at}")
        });
        let whose = if self.organization != ANY {
            format!(" AND organization = {}", literal(&self.organization))
        } else if self.others.is_empty() {
            String::new()
        } else {
            format!(" AND (organization IS NULL OR organization NOT IN ({}))", literals(&self.others))
        };
        format!(
            "SELECT sum(cost) AS cost, count(*) AS calls{} FROM usage WHERE {}{whose}",
            shares.collect::<String>(),
            during(from, until)
        )
    }

    /// Runs it.
    ///
    /// # Errors
    /// As any query.
    pub async fn covered(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        (from, until): (DateTime<Utc>, DateTime<Utc>),
        explain: bool,
    ) -> Result<Covered, QueryError> {
        let sql = self.sql(from, until);
        let batches = rows(engine, snapshot, &sql).await?;
        let batch = batches.iter().find(|batch| batch.num_rows() > 0);
        let batch = batch.ok_or_else(|| QueryError::Internal("a sum without a row".into()))?;
        let (cost, calls) = (money(batch, 0)?[0], integers(batch, 1)?[0]);
        let mut dimensions = Vec::with_capacity(self.dimensions.len());
        for (position, key) in self.dimensions.iter().enumerate() {
            let (with, having) = (money(batch, 2 + 2 * position)?[0], integers(batch, 3 + 2 * position)?[0]);
            dimensions.push(Share {
                dimension: key.clone(),
                with: with.to_string(),
                without: (cost - with).to_string(),
                percent: percent(with, cost),
                calls_without: calls - having,
            });
        }
        let (organization, sql) = (self.organization.clone(), explain.then_some(sql));
        Ok(Covered { organization, cost: cost.to_string(), calls, dimensions, sql })
    }
}

fn percent(part: Amount, all: Amount) -> Option<Decimal> {
    let units = part.units().checked_mul(1_000_000)?.checked_div(all.units())?;
    Some(Decimal::try_from_i128_with_scale(units, 4).ok()?.normalize())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{percent, rules};
    use spendstream_schemas::money::Amount;

    #[test]
    fn each_organisation_has_one_rule() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let required = BTreeMap::from([
            ("*".to_owned(), words(&["team"])),
            ("acme".to_owned(), words(&["project", "tags.env"])),
            ("o'neil".to_owned(), words(&["team"])),
        ]);
        let (from, until) = ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-11-02T00:00:00Z".parse().unwrap());
        let shown: Vec<_> = rules(&required).iter().map(|rule| rule.sql(from, until)).collect();
        assert!(
            shown[0].ends_with(" AND (organization IS NULL OR organization NOT IN ('acme', 'o''neil'))"),
            "{shown:?}"
        );
        assert!(shown[1].contains("count(tags['env']) AS calls1 FROM usage"), "{shown:?}");
        assert!(shown[2].ends_with(" AND organization = 'o''neil'"), "{shown:?}");
        let dimensions: Vec<_> = rules(&BTreeMap::new())[0].dimensions.iter().map(ToString::to_string).collect();
        assert_eq!(dimensions, ["team", "department", "cost_center"]);
    }

    #[test]
    fn a_share_is_cut_off_not_rounded_up() {
        let check = |part: i128, all: i128, expected: Option<&str>| {
            let amount = |units| Amount::from_units(units).unwrap();
            assert_eq!(percent(amount(part), amount(all)).map(|share| share.to_string()).as_deref(), expected);
        };
        check(2, 3, Some("66.6666"));
        check(3, 3, Some("100"));
        check(0, 3, Some("0"));
        check(0, 0, None);
    }
}
