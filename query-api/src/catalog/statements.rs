//! The table `statement_lines`: lines of all statements that lie in a lake, with the month and the id of each. In: the lake. Out: a table over its files,
//! listed when a query scans it. Never writes. A file that no statement names (a close that was killed) is in it too: which count, the table
//! `statements` of the control store says.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use spendstream_schemas::lake_path::STATEMENTS;
use spendstream_schemas::statement::line;
use spendstream_storage::Lake;
use url::Url;

/// What a query calls it.
pub const NAME: &str = "statement_lines";

/// # Errors
/// Never, as long as the columns are those of a file.
pub fn table(lake: &Lake, session: &dyn Session) -> Result<Arc<dyn TableProvider>> {
    let wrong = |error: url::ParseError| DataFusionError::External(Box::new(error));
    // A name of its own: the lake's bucket may be known by another store.
    let root = Url::parse("statements://lake/").map_err(wrong)?;
    let (store, folder) = lake.table_root(STATEMENTS);
    session.runtime_env().register_object_store(&root, store);
    let url = ListingTableUrl::parse(format!("{root}{folder}/"))?;
    let columns = ["month", "statement_id"].map(|name| (name.to_owned(), DataType::Utf8));
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
        .with_file_extension(".parquet")
        .with_table_partition_cols(columns.to_vec());
    let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(line::schema());
    Ok(Arc::new(ListingTable::try_new(config)?))
}
