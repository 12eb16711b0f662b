//! What is read from the rollup is what the rows say, to the last digit; what it cannot say is read from the rows.

mod examples;
mod properties;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SessionStateBuilder;

use crate::catalog::Snapshot;
use crate::sql::engine::Engine;
use crate::testing::sealed::of_file;
use crate::testing::{Row, days};

pub(super) const DAYS: [&str; 3] = ["2026-11-01", "2026-11-02", "2026-11-03"];

/// An event, as far as sums can tell.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Of [`DAYS`].
    pub day: usize,
    /// Since its beginning.
    pub micros: i64,
    pub organization: Option<&'static str>,
    pub team: Option<&'static str>,
    pub cache_hit: Option<bool>,
    pub price_status: &'static str,
    /// Units of an amount.
    pub cost: Option<i64>,
    pub savings: Option<i64>,
    pub input: i64,
    pub output: i64,
    pub latency: Option<i64>,
    pub user: Option<&'static str>,
}

impl Event {
    pub const PLAIN: Self = Self {
        day: 0,
        micros: 0,
        organization: None,
        team: Some("search"),
        cache_hit: None,
        price_status: "priced",
        cost: Some(1),
        savings: None,
        input: 10,
        output: 1,
        latency: None,
        user: None,
    };

    fn time(&self) -> i64 {
        i64::from(days(DAYS[self.day])) * 86_400_000_000 + self.micros
    }
}

/// Events as a data file.
pub(super) fn file(events: &[Event]) -> RecordBatch {
    let plain = of_file(&vec![Row { id: "e", ..Row::BLANK }; events.len()]);
    let texts = |of: &dyn Fn(&Event) -> Option<&'static str>| -> ArrayRef {
        Arc::new(events.iter().map(of).collect::<StringArray>())
    };
    let wholes =
        |of: &dyn Fn(&Event) -> Option<i64>| -> ArrayRef { Arc::new(events.iter().map(of).collect::<Int64Array>()) };
    let money = |of: &dyn Fn(&Event) -> Option<i64>| -> ArrayRef {
        let units = events.iter().map(|event| of(event).map(i128::from)).collect::<Decimal128Array>();
        Arc::new(units.with_data_type(DataType::Decimal128(28, 15)))
    };
    let column = |name: &str| -> Option<ArrayRef> {
        Some(match name {
            "event_time" => {
                let times = TimestampMicrosecondArray::from_iter_values(events.iter().map(Event::time));
                Arc::new(times.with_timezone("UTC"))
            }
            "organization" => texts(&|event| event.organization),
            "team" => texts(&|event| event.team),
            "user_id" => texts(&|event| event.user),
            "price_status" => texts(&|event| Some(event.price_status)),
            "cache_hit" => Arc::new(events.iter().map(|event| event.cache_hit).collect::<BooleanArray>()),
            "cost" => money(&|event| event.cost),
            "cache_savings" => money(&|event| event.savings),
            "input_tokens" => wholes(&|event| Some(event.input)),
            "output_tokens" => wholes(&|event| Some(event.output)),
            "latency_ms" => wholes(&|event| event.latency),
            _ => return None,
        })
    };
    let schema = plain.schema();
    let columns = schema.fields().iter().zip(plain.columns());
    let columns = columns.map(|(field, known)| column(field.name()).unwrap_or_else(|| Arc::clone(known)));
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

/// The same version of a lake without the rule.
pub(super) fn by_rows(snapshot: &Snapshot) -> Snapshot {
    let rules = snapshot.state.optimizers().iter().filter(|rule| rule.name() != "sums_from_rollup").cloned();
    let state = SessionStateBuilder::new_from_existing(snapshot.state.clone()).with_optimizer_rules(rules.collect());
    Snapshot { state: state.build(), ..snapshot.clone() }
}

/// Columns and rows, or what is wrong; rows in an order of their own.
pub(super) async fn answer(engine: &Engine, snapshot: &Snapshot, sql: &str) -> (String, Vec<String>) {
    let mut answer = engine.query_at(snapshot, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = format!("{:?}", answer.schema().fields());
    let mut lines = Vec::new();
    let options = FormatOptions::default().with_null("∅");
    while let Some(batch) = answer.next().await {
        let batch = batch.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        lines.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|")),
        );
    }
    lines.sort();
    (columns, lines)
}

/// Both answers are one, and whether it came from the rollup.
pub(super) async fn compare(engine: &Engine, snapshot: &Snapshot, sql: &str) -> bool {
    let found = answer(engine, snapshot, sql).await;
    let expected = answer(engine, &by_rows(snapshot), sql).await;
    assert_eq!(found, expected, "{sql}");
    plan(engine, snapshot, sql).await.contains("usage_by_rollup")
}

pub(super) async fn plan(engine: &Engine, snapshot: &Snapshot, sql: &str) -> String {
    answer(engine, snapshot, &format!("EXPLAIN {sql}")).await.1.join("\n")
}
