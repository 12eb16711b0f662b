//! What the demo shows at its end: queries over the lake come in, aligned tables and a check of the books come out.
//!
//! Reads through the query engine like every other client. Never prints.

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use spendstream_query_api::Engine;
use spendstream_schemas::money::Amount;

use super::live::{count, dollars};
use super::producer::Totals;

/// Texts of an answer, column names first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub names: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Which columns hold numbers.
    right: Vec<bool>,
}

/// Spend of one run by organisation and team.
pub fn by_team(run: &str) -> String {
    format!(
        "SELECT organization AS organisation, team, COUNT(*) AS calls, SUM(input_tokens) AS \"input tokens\", \
         SUM(output_tokens) AS \"output tokens\", SUM(cost) AS cost \
         FROM usage WHERE source_cluster = '{run}' GROUP BY 1, 2 ORDER BY cost DESC NULLS LAST, 1, 2"
    )
}

/// Spend of one run by model, with what prompt caches saved.
pub fn by_model(run: &str) -> String {
    format!(
        "SELECT provider, model, COUNT(*) AS calls, SUM(input_tokens) AS \"input tokens\", \
         SUM(cache_read_tokens) AS \"of them cached\", SUM(output_tokens) AS \"output tokens\", \
         SUM(cache_savings) AS \"saved by caching\", SUM(cost) AS cost \
         FROM usage WHERE source_cluster = '{run}' GROUP BY 1, 2 ORDER BY cost DESC NULLS LAST, 1, 2"
    )
}

/// Calls of one run that nobody has a price for.
pub fn unpriced(run: &str) -> String {
    format!(
        "SELECT provider_sent AS provider, model, unpriced_reason AS reason, COUNT(*) AS calls, \
         SUM(input_tokens + output_tokens) AS tokens \
         FROM usage WHERE source_cluster = '{run}' AND price_status = 'unpriced' GROUP BY 1, 2, 3 ORDER BY calls DESC"
    )
}

/// What the lake holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub calls: u64,
    pub input: u64,
    pub cache_read: u64,
    pub output: u64,
    pub cost: Amount,
}

/// Asks for what the lake holds of one run, or of all of them.
///
/// # Errors
/// When the lake cannot be read.
pub async fn held(engine: &Engine, run: Option<&str>) -> anyhow::Result<Held> {
    let of = run.map_or(String::new(), |run| format!("WHERE source_cluster = '{run}'"));
    let sql = format!(
        "SELECT COUNT(*), COALESCE(SUM(input_tokens), 0), COALESCE(SUM(cache_read_tokens), 0), \
         COALESCE(SUM(output_tokens), 0), SUM(cost) FROM usage {of}"
    );
    let batches = answer(engine, &sql).await?.1;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { bail!("no answer to {sql}") };
    let number = |column: usize| {
        let value = batch.column(column).as_primitive_opt::<Int64Type>().map_or(0, |values| values.value(0));
        u64::try_from(value).unwrap_or(0)
    };
    let cost = batch.column(4).as_primitive_opt::<Decimal128Type>();
    let units = cost.filter(|cost| cost.is_valid(0)).map_or(0, |cost| cost.value(0));
    let cost = Amount::from_units(units)?;
    Ok(Held { calls: number(0), input: number(1), cache_read: number(2), output: number(3), cost })
}

impl Held {
    /// Whether every call that was sent is there once, with its tokens.
    pub fn agrees_with(&self, sent: &Totals) -> bool {
        (self.calls, self.input, self.cache_read, self.output) == (sent.calls, sent.input, sent.cache_read, sent.output)
    }
}

/// Runs a query and makes its answer readable: numbers grouped, money in dollars, a missing cost said loudly.
///
/// # Errors
/// When the lake cannot be read.
pub async fn table(engine: &Engine, sql: &str) -> anyhow::Result<Table> {
    let (schema, batches) = answer(engine, sql).await?;
    let mut table = Table {
        names: schema.fields().iter().map(|field| field.name().clone()).collect(),
        right: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
        rows: Vec::new(),
    };
    for batch in &batches {
        let columns = batch.columns().iter().map(|column| texts(column)).collect::<anyhow::Result<Vec<_>>>()?;
        table.rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    Ok(table)
}

async fn answer(engine: &Engine, sql: &str) -> anyhow::Result<(arrow::datatypes::SchemaRef, Vec<RecordBatch>)> {
    let mut answer = engine.query(sql).await.context("reading the lake")?;
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await {
        batches.push(batch.context("reading the lake")?);
    }
    Ok((answer.schema().clone(), batches))
}

fn texts(column: &dyn Array) -> anyhow::Result<Vec<String>> {
    match column.data_type() {
        DataType::Decimal128(_, _) => {
            let money = |units: Option<i128>| match units {
                Some(units) => Ok(dollars(Amount::from_units(units)?)),
                None => Ok("UNPRICED".to_owned()),
            };
            column.as_primitive::<Decimal128Type>().iter().map(money).collect()
        }
        DataType::Int64 => {
            Ok(column.as_primitive::<Int64Type>().iter().map(|number| number.map_or(String::new(), count)).collect())
        }
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options)?;
            Ok((0..column.len()).map(|row| formatter.value(row).to_string()).collect())
        }
    }
}

impl Table {
    /// Aligned lines, indented by two.
    pub fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| &row[column]).chain([&self.names[column]]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.names.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cell = |(column, text): (usize, &String)| {
                let width = widths[column];
                if self.right[column] { format!("  {text:>width$}") } else { format!("  {text:<width$}") }
            };
            row.iter().enumerate().map(cell).collect::<String>().trim_end().to_owned()
        };
        [&self.names].into_iter().chain(&self.rows).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array, StringArray};

    use super::{Held, Table, texts};
    use crate::demo::producer::Totals;

    #[test]
    fn a_missing_cost_is_said_loudly() {
        let money = Decimal128Array::from(vec![Some(1_500_000_000_000_000), None]).with_precision_and_scale(38, 15);
        assert_eq!(texts(&money.unwrap()).unwrap(), ["$1.50", "UNPRICED"]);
        assert_eq!(texts(&Int64Array::from(vec![1_234])).unwrap(), ["1,234"]);
        assert_eq!(texts(&StringArray::from(vec!["gpt-5"])).unwrap(), ["gpt-5"]);
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = Table {
            names: row(["team", "cost"]),
            rows: vec![row(["search", "$1.00"]), row(["lab", "UNPRICED"])],
            right: vec![false, true],
        };
        assert_eq!(table.lines(), ["  team        cost", "  search     $1.00", "  lab     UNPRICED"]);
    }

    #[test]
    fn one_token_more_or_less_is_seen() {
        let sent = Totals { calls: 2, input: 30, cache_read: 10, output: 7, repeats: 1, unreadable: 1 };
        let held = Held { calls: 2, input: 30, cache_read: 10, output: 7, ..Held::default() };
        assert!(held.agrees_with(&sent));
        assert!(!Held { calls: 3, ..held }.agrees_with(&sent));
        assert!(!Held { output: 8, ..held }.agrees_with(&sent));
    }
}
