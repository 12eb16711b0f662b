//! Where things lie under the lake's root; the only place that spells these names.

/// The Delta table of priced events, relative to `lake.uri`.
pub const USAGE_TABLE: &str = "usage";

/// The Delta table of money that is not a call, relative to `lake.uri`.
pub const CHARGES_TABLE: &str = "charges";

/// Folder of the statements of closed months, relative to `lake.uri`.
pub const STATEMENTS: &str = "statements";

/// The Delta table of logged decisions, relative to `lake.uri`.
pub const DECISIONS_TABLE: &str = "decisions";

/// The Delta table of sums of sealed rows, relative to `lake.uri`.
pub const ROLLUP_TABLE: &str = "usage_rollup";

/// Folder of the kept price-book versions, relative to `lake.uri`.
pub const PRICE_BOOKS: &str = "price_books";

/// Where a version of the price book is kept, relative to `lake.uri`.
#[must_use]
pub fn price_book(version: &str) -> String {
    format!("{PRICE_BOOKS}/{version}.json.gz")
}

/// A data file of a table that is partitioned by date, relative to the table: `date=2026-11-22/part-<unique>.parquet`.
#[must_use]
pub fn data_file(date: chrono::NaiveDate, unique: &str) -> String {
    format!("date={date}/part-{unique}.parquet")
}
