//! What calls cost, by time and dimensions: `GET /v1/summary`, `spendstream report summary`. In come words, out comes one table, which is the answer of one
//! statement.
//!
//! Calls alone, as `usage` has them. Buckets are cut by the clocks of the time zone. The mean cost is over priced calls, and null where there is none.

use super::asked::Asked;
use super::dimension::Dimension;
use super::document::Document;
use super::reader::Reader;
use super::statement::{Source, Statement, counted, counts_shown, latencies_shown, money, whole};
use super::{Ground, ReportError};
use crate::words::Words;

const SOURCE: Source = Source::Usage;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Granularity {
    Hour,
    Day,
    Week,
    Month,
    #[default]
    None,
}

impl Granularity {
    /// # Errors
    /// When it is no such word.
    pub fn new(word: Option<&str>) -> Result<Self, String> {
        match word {
            Some("hour") => Ok(Self::Hour),
            Some("day") => Ok(Self::Day),
            Some("week") => Ok(Self::Week),
            Some("month") => Ok(Self::Month),
            Some("none") | None => Ok(Self::None),
            Some(other) => Err(format!("granularity={other} is not known; write hour, day, week, month or none")),
        }
    }

    /// The unit, and how many letters of a time tell its buckets apart: `2026-11-02` of a day, and of the Monday of a week.
    fn unit(self) -> Option<(&'static str, Option<u8>)> {
        match self {
            Self::Hour => Some(("hour", None)),
            Self::Day => Some(("day", Some(10))),
            Self::Week => Some(("week", Some(10))),
            Self::Month => Some(("month", Some(7))),
            Self::None => None,
        }
    }
}

/// A page of a summary.
#[derive(Clone, Debug)]
pub struct Summary {
    pub asked: Asked,
    pub granularity: Granularity,
    pub by: Vec<Dimension>,
    pub limit: usize,
    /// Rows that were seen.
    pub after: usize,
}

impl Summary {
    /// # Errors
    /// When a word is wrong.
    pub fn new(mut words: Words, ground: &Ground<'_>) -> Result<Self, String> {
        let mut asked = Asked::new(&mut words, ground)?;
        asked.range(&mut words)?;
        let granularity = Granularity::new(words.take("granularity").as_deref())?;
        let by = Dimension::list("group_by", &words.take("group_by").unwrap_or_default(), SOURCE)?;
        let (limit, after) = (words.limit()?, words.take_as("after", "100")?.unwrap_or(0));
        asked.filter(&mut words, SOURCE, ground)?;
        Ok(Self { asked, granularity, by, limit, after })
    }

    /// The one statement.
    #[must_use]
    pub fn sql(&self) -> String {
        let (mut keys, mut shown) = (Vec::new(), Vec::new());
        if let Some((unit, letters)) = self.granularity.unit() {
            keys.push(format!("date_trunc('{unit}', event_time AT TIME ZONE '{}')", self.asked.zone));
            let text = "CAST(k0 AS VARCHAR)";
            shown.push(match letters {
                Some(letters) => format!("substr({text}, 1, {letters}) AS bucket"),
                None => format!("{text} AS bucket"),
            });
        }
        for dimension in &self.by {
            shown.push(format!("k{} AS {}", keys.len(), dimension.quoted()));
            keys.push(dimension.sql.clone());
        }
        let order: Vec<_> = (0..keys.len()).map(|at| format!("k{at} NULLS LAST")).collect();
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        let currency = self.asked.currency.as_deref();
        shown.extend(counts_shown());
        shown.push("cost".to_owned());
        shown.push("cost / nullif(calls - unpriced, 0) AS mean_cost".to_owned());
        shown.push("cache_savings".to_owned());
        shown.extend([whole("failed", "failures"), whole("unpriced", "unpriced_calls")]);
        shown.extend(latencies_shown());
        let mut statement = Statement {
            source: SOURCE,
            keys,
            sums: counted(SOURCE),
            condition: self.asked.rows(&self.asked.span.rows()),
            shown,
            tail: format!("{order} LIMIT {} OFFSET {}", self.limit, self.after),
        };
        statement.sum("cost", money("cost", currency));
        statement.sum("cache_savings", money("cache_savings", currency));
        statement.sum("latency", "latency_sketch(latency_ms)".to_owned());
        statement.sql()
    }
}

/// # Errors
/// When a word is wrong, and as any query.
pub async fn make(ground: &Ground<'_>, words: Words) -> Result<Document, ReportError> {
    let summary = Summary::new(words, ground)?;
    let reader = Reader::open(ground).await?;
    let rows = reader.part("rows", summary.sql()).await?;
    let next = (rows.rows.len() == summary.limit).then(|| summary.after + summary.limit);
    let by: Vec<_> = summary.by.iter().map(|dimension| dimension.name.as_str()).collect();
    let title = if by.is_empty() { "Summary".to_owned() } else { format!("Summary by {}", by.join(", ")) };
    Ok(Document { report: "summary", title, facts: summary.asked.facts(&reader), parts: vec![rows], next })
}
