//! The Delta table `charges`: appended by commands, by the Delta library. In: charges; out: a version that has each of them once, or an error and the
//! same charges may be tried again. It never touches `usage`, and never changes or removes a row.
//!
//! A charge is told by its id. Each append numbers itself in the log over the version that it looked for ids in; two at the same time cannot both
//! have the next number, and the one that comes second looks again.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::AsArray;
use datafusion::prelude::SessionContext;
use deltalake_core::kernel::Transaction;
use deltalake_core::kernel::transaction::{CommitProperties, TransactionError};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaTable, DeltaTableError};
use spendstream_lake::tiered::scan;
use spendstream_schemas::lake_path::CHARGES_TABLE;
use spendstream_schemas::table::charges::{Charge, DATE, STATISTICS, batch};
use spendstream_storage::Lake;

use super::error::LakeError;
use super::log::one_line;

/// Names what appends charges in the log.
const WRITER: &str = "spendstream-charges";
/// So often somebody else may be faster.
const ATTEMPTS: usize = 20;

/// See the module.
pub struct Charges {
    lake: String,
    log: LogStoreRef,
}

/// What an append did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    pub written: usize,
    /// Charges that were there already.
    pub known: usize,
}

impl Charges {
    /// The table may not be there yet: the first append makes it.
    #[must_use]
    pub fn new(lake: &Lake) -> Self {
        Self { lake: lake.to_string(), log: lake.log_store(CHARGES_TABLE) }
    }

    /// Appends those charges that are not there yet, all in one commit. Of charges with one id the first counts.
    ///
    /// # Errors
    /// When the store fails: the charges may or may not be in, and trying again does not double them.
    pub async fn append(&self, charges: &[Charge]) -> Result<Appended, LakeError> {
        if charges.is_empty() {
            return Ok(Appended::default());
        }
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Box::pin(self.try_append(charges)).await {
                Ok(appended) => return Ok(appended),
                Err(error) if is_conflict(&error) => last = Some(error),
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Err(last.map_or_else(|| self.failed(&"nothing was tried"), |error| self.failed(&error)))
    }

    async fn try_append(&self, charges: &[Charge]) -> Result<Appended, DeltaTableError> {
        let mut table = DeltaTable::new(Arc::clone(&self.log));
        let (mut number, mut seen) = (0, HashSet::new());
        let exists = table.verify_deltatable_existence().await?;
        if exists {
            table.load().await?;
            number = table.snapshot()?.transaction_version(self.log.as_ref(), WRITER).await?.unwrap_or(0);
            seen = ids(&table).await?;
        }
        let fresh: Vec<Charge> = charges.iter().filter(|charge| seen.insert(charge.id.clone())).cloned().collect();
        let appended = Appended { written: fresh.len(), known: charges.len() - fresh.len() };
        if fresh.is_empty() {
            return Ok(appended);
        }
        let said = CommitProperties::default().with_application_transaction(Transaction::new(WRITER, number + 1));
        let mut write = table
            .write([batch(&fresh)?])
            .with_save_mode(SaveMode::Append)
            .with_partition_columns([DATE])
            .with_commit_properties(said);
        if !exists {
            write = write.with_configuration([("delta.dataSkippingStatsColumns", Some(STATISTICS.join(",")))]);
        }
        write.await?;
        Ok(appended)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> LakeError {
        let reason = one_line(&error.to_string());
        LakeError::Store { lake: self.lake.clone(), doing: "writing its table of charges", reason }
    }
}

/// The ids of all charges.
async fn ids(table: &DeltaTable) -> Result<HashSet<String>, DeltaTableError> {
    let context = SessionContext::new();
    let rows = context.read_table(scan(table, &context.state(), None)?)?.select_columns(&["charge_id"])?;
    let mut found = HashSet::new();
    for batch in rows.collect().await? {
        let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8)?;
        found.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(found)
}

/// Whether somebody else was faster.
fn is_conflict(error: &DeltaTableError) -> bool {
    match error {
        DeltaTableError::Transaction { source } => {
            matches!(
                source,
                TransactionError::CommitConflict(_)
                    | TransactionError::VersionAlreadyExists(_)
                    | TransactionError::MaxCommitAttempts(_)
            )
        }
        DeltaTableError::VersionAlreadyExists(_) => true,
        _ => false,
    }
}
