//! What rows can become: priced by another book, or given to another owner. In: the pure changes of rows. Out: what [`super::rewrite`] has to know of them, and
//! the archive of a book before any of its rows. No logic beyond that.

use std::collections::BTreeMap;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::money::Amount;

use super::rewrite::Rewriting;
use crate::columns::reattributed::{self, Reattributor};
use crate::price::repriced::{self, Repricer};

/// Everything that is counted, and money that no price decides.
const COUNTED: [&str; 13] = [
    "input_tokens",
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "web_searches",
    "latency_ms",
    "reported_cost",
];
/// Everything that is counted, and all money.
const SUMMED: [&str; 21] = [
    "input_tokens",
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "web_searches",
    "latency_ms",
    "reported_cost",
    "cost",
    "list_cost",
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_write_cost",
    "other_cost",
    "cache_savings",
];

impl Rewriting for Repricer {
    type Tally = repriced::Tally;
    const OPERATION: &'static str = "REPRICE";
    const DOING: &'static str = "pricing rows anew";
    const SAME: (&'static str, &'static [&'static str]) =
        ("organization, team, department, cost_center, project, provider_sent, model", &COUNTED);

    fn rows(&mut self, batch: &RecordBatch, tally: &mut Self::Tally) -> Result<(RecordBatch, u64), ArrowError> {
        Repricer::rows(self, batch, tally)
    }

    fn span(&self) -> (i64, i64) {
        self.selection().span.unwrap_or((i64::MIN, i64::MAX))
    }

    fn add(tally: &mut Self::Tally, other: Self::Tally) {
        tally.add(other);
    }

    fn delta(tally: &Self::Tally) -> i128 {
        let total = tally.total();
        total.new - total.old
    }

    fn parameters(&self, tally: &Self::Tally) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("book".to_owned(), self.book().version().to_owned()),
            ("rows".to_owned(), tally.total().rows.to_string()),
            ("delta".to_owned(), Amount::saturating(Self::delta(tally)).to_string()),
        ])
    }
}

impl Rewriting for Reattributor {
    type Tally = reattributed::Tally;
    const OPERATION: &'static str = "REATTRIBUTE";
    const DOING: &'static str = "moving spend to its owner";
    const SAME: (&'static str, &'static [&'static str]) =
        ("organization, provider, model, model_id, price_status, price_book_version, currency", &SUMMED);

    fn rows(&mut self, batch: &RecordBatch, tally: &mut Self::Tally) -> Result<(RecordBatch, u64), ArrowError> {
        Reattributor::rows(self, batch, tally)
    }

    fn span(&self) -> (i64, i64) {
        self.rules().span()
    }

    fn add(tally: &mut Self::Tally, other: Self::Tally) {
        tally.add(other);
    }

    /// The total never moves.
    fn delta(_: &Self::Tally) -> i128 {
        0
    }

    fn parameters(&self, tally: &Self::Tally) -> BTreeMap<String, String> {
        let names: Vec<&str> = self.rules().iter().map(|rule| rule.name.as_str()).collect();
        BTreeMap::from([("rules".to_owned(), names.join(", ")), ("rows".to_owned(), tally.total().rows.to_string())])
    }
}
