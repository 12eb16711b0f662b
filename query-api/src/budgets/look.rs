//! Which sums of the lake are needed. In come budgets and the time, out come as few statements as possible: budgets that
//! watch the same dimensions over the same time share one. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use spendstream_schemas::budget::{Budget, Quarter, ResolvedScope, ScopeKey, ScopeValue, Span};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::{Spellings, normal};

/// Values that a statement names at most; with more, all are read.
const MAX_VALUES: usize = 500;
/// Bytes of values that a statement names at most.
const MAX_VALUE_BYTES: usize = 32 << 10;

/// A budget with the time that it counts now.
#[derive(Clone, Debug)]
pub struct Counted {
    pub budget: Budget,
    pub span: Span,
    /// The start of the span, or the reset in it.
    pub from: DateTime<Utc>,
    /// The values that the scope names, in the order of its dimensions.
    pub named: Vec<Option<String>>,
}

impl Counted {
    #[must_use]
    pub fn new(budget: Budget, now: DateTime<Utc>) -> Self {
        let span = budget.period.span(Quarter::of(now));
        let reset = budget.reset_at.filter(|reset| span.start() < *reset && *reset < span.end());
        let named = budget.scope.iter().map(|(_, value)| match value {
            ScopeValue::Is(value) => Some(value.clone()),
            ScopeValue::Each => None,
        });
        Self { from: reset.unwrap_or_else(|| span.start()), span, named: named.collect(), budget }
    }

    /// The value that a cell has of a dimension.
    #[must_use]
    pub fn value_of<'v>(&self, values: &'v [Option<String>], key: &ScopeKey) -> Option<&'v str> {
        let mut named = self.budget.scope.keys().zip(values).filter(|(known, _)| *known == key);
        named.find_map(|(_, value)| value.as_deref())
    }

    fn group(&self) -> Group {
        (self.budget.scope.keys().cloned().collect(), self.from, self.span.end())
    }
}

type Group = (Vec<ScopeKey>, DateTime<Utc>, DateTime<Utc>);

/// Sums per cell of some dimensions over some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub keys: Vec<ScopeKey>,
    pub from: DateTime<Utc>,
    /// Exclusive.
    pub until: DateTime<Utc>,
    /// For each dimension the values of interest; `None`: all.
    only: Vec<Option<BTreeSet<String>>>,
}

/// The looks that these budgets need, and which one each of them reads.
#[must_use]
pub fn looks(counted: &[Counted]) -> (Vec<Look>, Vec<usize>) {
    let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
    for (position, one) in counted.iter().enumerate() {
        groups.entry(one.group()).or_default().push(position);
    }
    let mut of = vec![0; counted.len()];
    let mut looks = Vec::with_capacity(groups.len());
    for ((keys, from, until), members) in groups {
        for member in &members {
            of[*member] = looks.len();
        }
        let only = (0..keys.len()).map(|at| named(at, members.iter().map(|member| &counted[*member].budget))).collect();
        looks.push(Look { keys, from, until, only });
    }
    (looks, of)
}

/// The values that all of these budgets name for the dimension at that position; `None` when one wants each, or too many.
fn named<'b>(at: usize, budgets: impl Iterator<Item = &'b Budget>) -> Option<BTreeSet<String>> {
    let (mut values, mut bytes) = (BTreeSet::new(), 0);
    for budget in budgets {
        match budget.scope.iter().nth(at) {
            Some((_, ScopeValue::Is(value))) => {
                if values.insert(value.clone()) {
                    bytes += value.len();
                }
            }
            _ => return None,
        }
        if values.len() > MAX_VALUES || bytes > MAX_VALUE_BYTES {
            return None;
        }
    }
    Some(values)
}

impl Look {
    /// The statement: the dimensions in order, then `used`, `calls` and `unpriced_calls`.
    #[must_use]
    pub fn sql(&self, spellings: &Spellings) -> String {
        let columns: Vec<_> = self.keys.iter().map(column).collect();
        let shown: Vec<_> = columns.iter().enumerate().map(|(at, column)| format!("{column} AS k{at}, ")).collect();
        let group = if columns.is_empty() { String::new() } else { format!(" GROUP BY {}", columns.join(", ")) };
        let mut conditions = vec![during(self.from, self.until)];
        for ((key, column), values) in self.keys.iter().zip(&columns).zip(&self.only) {
            if let Some(values) = values {
                conditions.push(one_of(key, column, values, spellings));
            }
        }
        format!(
            "SELECT {}sum(cost) AS used, count(*) AS calls, count(*) - count(cost) AS unpriced_calls FROM usage \
             WHERE {}{group}",
            shown.concat(),
            conditions.join(" AND ")
        )
    }
}

/// Rows with one of these values, in whatever spelling where the directory knows them.
fn one_of(key: &ScopeKey, column: &str, values: &BTreeSet<String>, spellings: &Spellings) -> String {
    let known: BTreeSet<String> =
        values.iter().filter(|value| spellings.of(key, value).is_some()).map(|value| normal(key, value)).collect();
    let plain = format!("{column} IN ({})", literals(values));
    if known.is_empty() {
        return plain;
    }
    format!("({plain} OR {} IN ({}))", normalized(key, column), literals(&known))
}

/// [`normal`] of a name, as an expression.
fn normalized(key: &ScopeKey, column: &str) -> String {
    // Users differ by what separates words.
    if *key == ScopeKey::Text(Text::UserId) {
        return format!("trim(lower({column}))");
    }
    format!(r"trim(regexp_replace(lower({column}), '[\s_-]+', ' ', 'g'))")
}

/// A statement that gives `used` of one cell, to show and to check by.
#[must_use]
pub fn cell_sql(scope: &ResolvedScope, from: DateTime<Utc>, until: DateTime<Utc>, spellings: &Spellings) -> String {
    let cell = scope.iter().map(|(key, value)| match value {
        Some(value) if spellings.of(key, value).is_some() => {
            format!("{} = {}", normalized(key, &column(key)), literal(&normal(key, value)))
        }
        Some(value) => format!("{} = {}", column(key), literal(value)),
        None => format!("{} IS NULL", column(key)),
    });
    let conditions: Vec<_> = [during(from, until)].into_iter().chain(cell).collect();
    format!("SELECT coalesce(sum(cost), 0) AS used FROM usage WHERE {}", conditions.join(" AND "))
}

/// Rows of that time; the date is there so that other days are not even opened.
#[must_use]
pub fn during(from: DateTime<Utc>, until: DateTime<Utc>) -> String {
    let show = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let last = until - TimeDelta::microseconds(1);
    format!(
        "date >= DATE '{}' AND date <= DATE '{}' AND event_time >= TIMESTAMPTZ '{}' AND event_time < TIMESTAMPTZ '{}'",
        from.date_naive(),
        last.date_naive(),
        show(from),
        show(until)
    )
}

/// How a statement names a dimension.
#[must_use]
pub fn column(key: &ScopeKey) -> String {
    match key {
        ScopeKey::Tag(name) => format!("tags[{}]", literal(name)),
        // As live totals sum up: the price book's id, or the name that was sent where it has none.
        ScopeKey::Text(Text::Model) => "coalesce(model_id, model)".to_owned(),
        _ => key.column().to_owned(),
    }
}

/// A text as SQL writes it.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as SQL lists them.
pub fn literals<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    texts.into_iter().map(|text| literal(text)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};
    use spendstream_schemas::budget::{Budget, BudgetDraft, Context};
    use spendstream_schemas::directory::Spellings;

    use super::{Counted, looks};

    fn budget(id: &str, scope: &Value, more: &Value) -> Budget {
        let mut draft = json!({"name": id, "scope": scope, "period": "monthly", "amount": "10"});
        draft.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let context = Context { id, currency: "USD", now: DateTime::UNIX_EPOCH };
        serde_json::from_value::<BudgetDraft>(draft).unwrap().check(None, &context).unwrap()
    }

    fn check(budgets: Vec<Budget>, expected: &[&str]) {
        let now: DateTime<Utc> = "2026-11-22T12:07:00Z".parse().unwrap();
        let counted: Vec<_> = budgets.into_iter().map(|budget| Counted::new(budget, now)).collect();
        let shown: Vec<_> = looks(&counted).0.iter().map(|look| look.sql(&Spellings::default())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn budgets_of_the_same_dimensions_and_time_share_a_statement() {
        let none = json!({});
        check(
            vec![
                budget("a", &json!({"team": "o'neil"}), &none),
                budget("b", &json!({"team": "ads"}), &none),
                budget("c", &json!({"team": "ads", "tags.env": "*"}), &json!({"period": "PT1H"})),
                budget("d", &json!({}), &json!({"period": "daily", "timezone": "Asia/Kolkata"})),
            ],
            &[
                "SELECT sum(cost) AS used, count(*) AS calls, count(*) - count(cost) AS unpriced_calls FROM usage WHERE \
                 date >= DATE '2026-11-21' AND date <= DATE '2026-11-22' AND event_time >= TIMESTAMPTZ \
                 '2026-11-21T18:30:00Z' AND event_time < TIMESTAMPTZ '2026-11-22T18:30:00Z'",
                "SELECT team AS k0, sum(cost) AS used, count(*) AS calls, count(*) - count(cost) AS unpriced_calls FROM \
                 usage WHERE date >= DATE '2026-11-01' AND date <= DATE '2026-11-30' AND event_time >= TIMESTAMPTZ \
                 '2026-11-01T00:00:00Z' AND event_time < TIMESTAMPTZ '2026-12-01T00:00:00Z' AND team IN ('ads', \
                 'o''neil') GROUP BY team",
                "SELECT team AS k0, tags['env'] AS k1, sum(cost) AS used, count(*) AS calls, count(*) - count(cost) AS \
                 unpriced_calls FROM usage WHERE date >= DATE '2026-11-22' AND date <= DATE '2026-11-22' AND event_time \
                 >= TIMESTAMPTZ '2026-11-22T11:15:00Z' AND event_time < TIMESTAMPTZ '2026-11-22T12:15:00Z' AND team IN \
                 ('ads') GROUP BY team, tags['env']",
            ],
        );
    }

    #[test]
    fn one_that_wants_each_value_reads_all() {
        let none = json!({});
        check(
            vec![budget("a", &json!({"user": "ann"}), &none), budget("b", &json!({"user": "*"}), &none)],
            &["SELECT user_id AS k0, sum(cost) AS used, count(*) AS calls, count(*) - count(cost) AS unpriced_calls \
               FROM usage WHERE date >= DATE '2026-11-01' AND date <= DATE '2026-11-30' AND event_time >= TIMESTAMPTZ \
               '2026-11-01T00:00:00Z' AND event_time < TIMESTAMPTZ '2026-12-01T00:00:00Z' GROUP BY user_id"],
        );
    }
}
