//! One Delta table, as far as it was read. In: its log. Out: its newest version, of which only commits since the last call are read, and what that says
//! about files, which is looked up once per version. Never writes.

use std::sync::Arc;

use deltalake_core::logstore::LogStoreRef;
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::{ObjectMeta, ObjectStoreExt};
use spendstream_lake::files::TableFiles;

/// See the module.
pub struct Known {
    log_store: LogStoreRef,
    loaded: Option<Loaded>,
    /// How often it was loaded from its beginning.
    loads: u64,
}

struct Loaded {
    table: DeltaTable,
    /// The file of the table's version, as it was when that was loaded.
    commit: Option<ObjectMeta>,
    files: Option<Arc<TableFiles>>,
}

/// A version, told apart from the same version of a table that was made anew.
pub type Identity = (u64, Option<u64>);

impl Known {
    #[must_use]
    pub fn new(log_store: LogStoreRef) -> Self {
        Self { log_store, loaded: None, loads: 0 }
    }

    /// The table, when there is one.
    #[must_use]
    pub fn table(&self) -> Option<&DeltaTable> {
        self.loaded.as_ref().map(|loaded| &loaded.table)
    }

    /// What it was at the last call of [`Known::refresh`].
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.table().map(|table| (self.loads, table.version()))
    }

    /// What the log says about the table's files.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn files(&mut self) -> Result<Option<Arc<TableFiles>>, DeltaTableError> {
        let Some(loaded) = &mut self.loaded else { return Ok(None) };
        if let Some(files) = &loaded.files {
            return Ok(Some(Arc::clone(files)));
        }
        let files = Arc::new(TableFiles::of(&loaded.table, &self.log_store).await?);
        loaded.files = Some(Arc::clone(&files));
        Ok(Some(files))
    }

    /// Reads the commits since the last call; a table that was made anew is loaded anew. `false` where there is no table.
    ///
    /// # Errors
    /// When the store fails; what was known stays known.
    pub async fn refresh(&mut self) -> Result<bool, DeltaTableError> {
        if self.read_on().await? {
            return Ok(true);
        }
        let mut table = DeltaTable::new(Arc::clone(&self.log_store));
        match table.verify_deltatable_existence().await {
            Ok(true) => table.load().await?,
            Ok(false) | Err(DeltaTableError::NotATable(_)) => {
                self.loaded = None;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let commit = self.commit(table.version()).await?;
        self.loads += 1;
        self.loaded = Some(Loaded { table, commit, files: None });
        Ok(true)
    }

    /// `false` where nothing is known, or what is known is gone.
    async fn read_on(&mut self) -> Result<bool, DeltaTableError> {
        let Some(known) = &self.loaded else { return Ok(false) };
        let version = known.table.version();
        // Without this look a folder that was removed, or filled anew, would look like a table without news.
        let found = self.commit(version).await?;
        let Some(known) = self.loaded.as_mut().filter(|known| is_same(known.commit.as_ref(), found.as_ref())) else {
            tracing::info!(table = %self.log_store.root_url(), "the known version of a table is gone, loading it anew");
            return Ok(false);
        };
        if let Err(error) = known.table.update_state().await {
            tracing::warn!(%error, table = %self.log_store.root_url(), "a table could not be read on from the known version");
            return Ok(false);
        }
        let newer = known.table.version();
        if newer != version {
            let commit = self.commit(newer).await?;
            if let Some(known) = &mut self.loaded {
                (known.commit, known.files) = (commit, None);
            }
        }
        Ok(true)
    }

    /// The file of a version; `None` when it is not there (any more).
    async fn commit(&self, version: Option<u64>) -> Result<Option<ObjectMeta>, DeltaTableError> {
        let Some(version) = version else { return Ok(None) };
        let path = format!("_delta_log/{version:020}.json").into();
        match self.log_store.object_store(None).head(&path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the file that was there is still that file.
fn is_same(known: Option<&ObjectMeta>, found: Option<&ObjectMeta>) -> bool {
    known.zip(found).is_some_and(|(known, found)| {
        (known.size, known.last_modified, &known.e_tag) == (found.size, found.last_modified, &found.e_tag)
    })
}
