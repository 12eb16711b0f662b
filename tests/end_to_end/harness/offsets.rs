//! The producer's books by source offset: what a lake that has read so far must hold, at any moment. In: events as they are sent. Out: whether an
//! answer of the query API is one that can be right.

use std::collections::BTreeMap;

use super::events::{Event, Femto, femto};
use super::lake::{Row, text};

/// One statement, so one state of the lake: how far each partition is there, and the same total once more as reports ask for it.
pub const TOTALS: &str = "SELECT p.source_partition, p.newest, p.n, p.cost, t.n AS all_n, t.cost AS all_cost \
    FROM (SELECT source_partition, max(source_offset) AS newest, count(*) AS n, sum(cost) AS cost FROM usage \
          GROUP BY source_partition) p \
    CROSS JOIN (SELECT count(*) AS n, sum(cost) AS cost FROM usage) t";

/// What was sent to each partition, in order. Idempotent producers without transactions leave no holes, so a place in the list is an offset.
#[derive(Debug, Default)]
pub struct Offsets {
    partitions: BTreeMap<i32, Vec<Reached>>,
}

/// Calls and cost of a partition up to an offset, that one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    pub calls: u64,
    pub cost: Femto,
}

impl Offsets {
    /// The next message of a partition; `None`: one that repeats another.
    pub fn add(&mut self, partition: i32, event: Option<&Event>) {
        let sent = self.partitions.entry(partition).or_default();
        let mut reached = sent.last().copied().unwrap_or_default();
        if let Some(event) = event {
            reached.calls += 1;
            reached.cost += event.cost;
        }
        sent.push(reached);
    }

    /// Compares the rows of an answer to [`TOTALS`], and returns what it says is there in all.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, rows: &[Row]) -> Result<Reached, String> {
        let mut sum = Reached::default();
        for row in rows {
            let (partition, newest) = (number(row, "source_partition"), number(row, "newest"));
            let sent = &self.partitions[&i32::try_from(partition).unwrap()];
            let (expected, found) = (sent[usize::try_from(newest).unwrap()], reached(row, "n", "cost"));
            if found != expected {
                return Err(format!("partition {partition} up to {newest}: {found:?}, sent were {expected:?}"));
            }
            sum.calls += found.calls;
            sum.cost += found.cost;
        }
        match rows.iter().map(|row| reached(row, "all_n", "all_cost")).find(|total| *total != sum) {
            Some(total) => Err(format!("the total is {total:?}, by partition it is {sum:?}")),
            None => Ok(sum),
        }
    }
}

fn reached(row: &Row, calls: &str, cost: &str) -> Reached {
    Reached { calls: u64::try_from(number(row, calls)).unwrap(), cost: femto(&text(&row[cost])) }
}

fn number(row: &Row, name: &str) -> i64 {
    text(&row[name]).parse().unwrap()
}
