//! What evaluation runs cost: `GET /v1/reports/runs`, `spendstream report runs`. In come words, out come two tables: by run, and by run and metric.
//!
//! Calls that name a run. An item is a distinct `item_id`; a run lasts from its first event to its last.

use super::asked::Asked;
use super::dimension::Dimension;
use super::document::Document;
use super::reader::Reader;
use super::statement::{Source, Statement, counted, latencies_shown, money, whole};
use super::{Ground, ReportError};
use crate::words::Words;

const SOURCE: Source = Source::Usage;

/// A page of runs.
#[derive(Clone, Debug)]
pub struct Runs {
    pub asked: Asked,
    pub limit: usize,
    /// Runs that were seen.
    pub after: usize,
}

impl Runs {
    /// # Errors
    /// When a word is wrong.
    pub fn new(mut words: Words, ground: &Ground<'_>) -> Result<Self, String> {
        let mut asked = Asked::new(&mut words, ground)?;
        asked.range(&mut words)?;
        let (limit, after) = (words.limit()?, words.take_as("after", "100")?.unwrap_or(0));
        asked.filter(&mut words, SOURCE, ground)?;
        Ok(Self { asked, limit, after })
    }

    /// The statement that sums up by these dimensions.
    fn sql(&self, by: &[&Dimension], condition: &str, tail: String) -> String {
        let currency = self.asked.currency.as_deref();
        let mut shown: Vec<_> = by.iter().enumerate().map(|(at, one)| format!("k{at} AS {}", one.quoted())).collect();
        shown.extend(["calls", "input_tokens", "output_tokens"].map(|name| whole(name, name)));
        shown.extend(["cost", "items", "cost / nullif(items, 0) AS cost_per_item"].map(str::to_owned));
        shown.extend([whole("failed", "failures"), whole("unpriced", "unpriced_calls")]);
        shown.extend(latencies_shown());
        shown.extend(["started_at", "ended_at"].map(str::to_owned));
        shown.push("(CAST(ended_at AS BIGINT) - CAST(started_at AS BIGINT)) / 1000 AS duration_ms".to_owned());
        let mut statement = Statement {
            source: SOURCE,
            keys: by.iter().map(|dimension| dimension.sql.clone()).collect(),
            sums: counted(SOURCE),
            condition: format!("{} AND {condition}", self.asked.rows(&self.asked.span.rows())),
            shown,
            tail,
        };
        statement.sum("cost", money("cost", currency));
        statement.sum("items", "count(DISTINCT item_id)".to_owned());
        statement.sum("latency", "latency_sketch(latency_ms)".to_owned());
        statement.sum("started_at", "min(event_time)".to_owned());
        statement.sum("ended_at", "max(event_time)".to_owned());
        statement.sql()
    }
}

/// # Errors
/// When a word is wrong, and as any query.
pub async fn make(ground: &Ground<'_>, words: Words) -> Result<Document, ReportError> {
    let asked = Runs::new(words, ground)?;
    let (run, metric) = (Dimension::new("run_id", SOURCE)?, Dimension::new("metric", SOURCE)?);
    let reader = Reader::open(ground).await?;
    let page = format!(" ORDER BY k0 LIMIT {} OFFSET {}", asked.limit, asked.after);
    let runs = reader.part("runs", asked.sql(&[&run], "run_id IS NOT NULL", page)).await?;
    let names: Vec<_> = runs.rows.iter().filter_map(|row| row.first()?.shown()).collect();
    let next = (runs.rows.len() == asked.limit).then(|| asked.after + asked.limit);
    let mut parts = vec![runs];
    if !names.is_empty() {
        let these = format!("run_id IN ({})", crate::budgets::look::literals(&names));
        let sql = asked.sql(&[&run, &metric], &these, " ORDER BY k0, k1 NULLS LAST".to_owned());
        parts.push(reader.part("metrics", sql).await?);
    }
    let facts = asked.asked.facts(&reader);
    Ok(Document { report: "runs", title: "Evaluation runs".to_owned(), facts, parts, next })
}
