//! The statements behind reports: in come keys, sums and conditions, out comes SQL. Pure.
//!
//! Every row is converted by itself where money is shown in another currency, so that groupings of any kind add up to the same, to the last digit.

use spendstream_schemas::count::Count;

use crate::budgets::look::literal;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Calls alone.
    Usage,
    /// Calls and charges.
    Spend,
}

impl Source {
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Spend => "spend",
        }
    }

    /// How many calls a row is.
    #[must_use]
    pub const fn calls(self) -> &'static str {
        match self {
            Self::Usage => "1",
            Self::Spend => "calls",
        }
    }
}

/// `SELECT outer FROM (SELECT keys, sums … GROUP BY keys)`.
#[derive(Clone, Debug)]
pub struct Statement {
    pub source: Source,
    /// Expressions; they are called `k0`, `k1`, … inside.
    pub keys: Vec<String>,
    /// Sums and what they are called inside.
    pub sums: Vec<(String, String)>,
    pub condition: String,
    /// What is shown of them: expressions with names.
    pub shown: Vec<String>,
    /// What follows: the order, and how many rows.
    pub tail: String,
}

impl Statement {
    #[must_use]
    pub fn sql(&self) -> String {
        let keys = self.keys.iter().enumerate().map(|(at, key)| format!("{key} AS k{at}"));
        let sums = self.sums.iter().map(|(name, sum)| format!("{sum} AS {name}"));
        let inner: Vec<_> = keys.chain(sums).collect();
        let group = if self.keys.is_empty() { String::new() } else { format!(" GROUP BY {}", self.keys.join(", ")) };
        format!(
            "SELECT {} FROM (SELECT {} FROM {} WHERE {}{group}) AS sums{}",
            self.shown.join(", "),
            inner.join(", "),
            self.source.table(),
            self.condition,
            self.tail
        )
    }

    /// A sum under a name.
    pub fn sum(&mut self, name: &str, sum: String) {
        self.sums.push((name.to_owned(), sum));
    }
}

/// The sum of an amount, converted where another currency is asked for.
#[must_use]
pub fn money(amount: &str, currency: Option<&str>) -> String {
    match currency {
        None => format!("sum({amount})"),
        Some(code) => format!("sum(to_currency({amount}, {}, date))", literal(code)),
    }
}

/// How many calls; those of some kind where there is a condition.
#[must_use]
pub fn calls(source: Source, when: Option<&str>) -> String {
    match (source, when) {
        (Source::Usage, None) => "count(*)".to_owned(),
        (Source::Spend, None) => "sum(calls)".to_owned(),
        (_, Some(when)) => format!("sum(CASE WHEN {when} THEN {} ELSE 0 END)", source.calls()),
    }
}

/// Calls that failed.
pub const FAILED: &str = "status = 'error'";
/// Calls whose cost nobody knows.
pub const UNPRICED: &str = "price_status = 'unpriced'";

/// The sums of calls and tokens, with their names.
#[must_use]
pub fn counted(source: Source) -> Vec<(String, String)> {
    let calls = [
        ("calls", calls(source, None)),
        ("failed", calls(source, Some(FAILED))),
        ("unpriced", calls(source, Some(UNPRICED))),
    ];
    let tokens = Count::ALL.map(|count| (count.column(), format!("sum({})", count.column())));
    calls.into_iter().chain(tokens).map(|(name, sum)| (name.to_owned(), sum)).collect()
}

/// What was counted under its name; 0 of no row.
#[must_use]
pub fn whole(name: &str, shown: &str) -> String {
    format!("coalesce({name}, 0) AS {shown}")
}

/// Calls and every count, shown.
#[must_use]
pub fn counts_shown() -> Vec<String> {
    let mut shown = vec![whole("calls", "calls")];
    shown.extend(Count::ALL.map(|count| whole(count.column(), count.column())));
    shown
}

/// How long calls took: three quantiles of a sketch, in milliseconds, within one percent.
#[must_use]
pub fn latencies_shown() -> Vec<String> {
    let quantile = |(of, name): (&str, &str)| format!("sketch_quantile(latency, {of}) AS latency_{name}_ms");
    [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")].map(quantile).to_vec()
}
