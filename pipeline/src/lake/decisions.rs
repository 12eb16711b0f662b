//! The Delta table `decisions`: logged answers of decide, appended by the Delta library. In: rows; out: a version that has them, or an error and the
//! same rows may be tried again. It never touches `usage`, and removes nothing: an erasure that rewrites files meanwhile keeps what is appended.
//!
//! Each process numbers its appends, and each append says its number in the log: one whose answer was lost is recognised, not repeated.

use std::sync::Arc;

use deltalake_core::kernel::Transaction;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaTable, DeltaTableError};
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::lake_path::DECISIONS_TABLE;
use spendstream_schemas::table::decisions::{DATE, Row, batch};
use spendstream_storage::Lake;
use uuid::Uuid;

use super::error::LakeError;
use super::layout;
use super::log::one_line;
use super::table::{self, Kind};

/// See the module.
pub struct Decisions {
    lake: Lake,
    config: LakeConfig,
    log: LogStoreRef,
    /// Names this process in the log.
    writer: String,
    appended: i64,
}

impl Decisions {
    /// The table may not be there yet: the first append makes it.
    #[must_use]
    pub fn new(lake: &Lake, config: &LakeConfig) -> Self {
        let writer = format!("spendstream-decisions/{}", Uuid::new_v4());
        Self { lake: lake.clone(), config: config.clone(), log: lake.log_store(DECISIONS_TABLE), writer, appended: 0 }
    }

    /// Appends rows in one commit. After an error the same rows have to come again before others do.
    ///
    /// # Errors
    /// When the store fails: the rows may or may not be in, and trying again does not double them.
    pub async fn append(&mut self, rows: &[Row]) -> Result<(), LakeError> {
        if rows.is_empty() {
            return Ok(());
        }
        let number = self.appended + 1;
        if self.appended == 0 {
            table::ensure(&self.lake, Kind::Decisions, &self.config).await?;
        }
        self.try_append(rows, number).await.map_err(|error| LakeError::Store {
            lake: self.lake.to_string(),
            doing: "writing its table of decisions",
            reason: one_line(&error.to_string()),
        })?;
        self.appended = number;
        Ok(())
    }

    async fn try_append(&self, rows: &[Row], number: i64) -> Result<(), DeltaTableError> {
        let mut table = DeltaTable::new(Arc::clone(&self.log));
        table.load().await?;
        let known = table.snapshot()?.transaction_version(self.log.as_ref(), &self.writer).await?;
        if known.is_some_and(|known| known >= number) {
            return Ok(());
        }
        let statistics = Kind::Decisions.statistics();
        let form = layout::plain(self.config.row_group_rows, self.config.zstd_level, statistics);
        let said = CommitProperties::default().with_application_transaction(Transaction::new(&self.writer, number));
        table
            .write([batch(rows)?])
            .with_save_mode(SaveMode::Append)
            .with_partition_columns([DATE])
            .with_writer_properties(form)
            .with_commit_properties(said)
            .await?;
        Ok(())
    }
}
