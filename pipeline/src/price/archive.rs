//! Every price book that priced a row is kept under the lake, by its version, so that any row can be priced again.
//!
//! In: a book that is about to be used in a commit. Out: its archive, durable before the commit. Never overwrites a good one.

use std::collections::HashSet;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use spendstream_schemas::lake_path;
use spendstream_schemas::price_book::{BookError, PriceBook};
use spendstream_storage::Lake;
use thiserror::Error;

/// Why a version cannot be kept or read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("price book {version} cannot be kept in the lake: {error}")]
    Write { version: String, error: object_store::Error },
    #[error("price book {version} is not in the lake: rows that it priced cannot be priced again")]
    Missing { version: String },
    #[error("price book {version} cannot be read from the lake: {error}")]
    Read { version: String, error: object_store::Error },
    #[error("price book {version} in the lake is damaged: {error}")]
    Damaged { version: String, error: BookError },
}

/// Makes the archive of a book durable under the lake; nothing to do when it is there already.
///
/// # Errors
/// When the store fails: the commit whose rows the book priced must wait.
pub async fn keep(lake: &Lake, book: &PriceBook) -> Result<(), ArchiveError> {
    let version = book.version();
    let (store, path) = place(lake, version);
    let write = |error| ArchiveError::Write { version: version.to_owned(), error };
    let create = PutOptions::from(PutMode::Create);
    match store.put_opts(&path, book.to_archive().into(), create).await {
        Ok(_) => return Ok(()),
        // Somebody's, or our own put whose answer was lost and that was sent again.
        Err(object_store::Error::AlreadyExists { .. }) => {}
        Err(error) => return Err(write(error)),
    }
    match load(lake, version).await {
        Ok(_) => Ok(()),
        Err(ArchiveError::Damaged { .. }) => {
            tracing::warn!(version, "a kept price book was damaged and is written again");
            store.put(&path, book.to_archive().into()).await.map(|_| ()).map_err(write)
        }
        Err(error) => Err(error),
    }
}

/// Reads a kept version back.
///
/// # Errors
/// When it is not there, cannot be read, or is not what its name says.
pub async fn load(lake: &Lake, version: &str) -> Result<PriceBook, ArchiveError> {
    let (store, path) = place(lake, version);
    let version = || version.to_owned();
    let read = |error| match error {
        object_store::Error::NotFound { .. } => ArchiveError::Missing { version: version() },
        error => ArchiveError::Read { version: version(), error },
    };
    let bytes = store.get(&path).await.map_err(read)?.bytes().await.map_err(read)?;
    let damaged = |error| ArchiveError::Damaged { version: version(), error };
    let book = PriceBook::from_archive(&bytes).map_err(damaged)?;
    if book.version() != version() {
        return Err(damaged(BookError(vec![format!("it holds version {}", book.version())])));
    }
    Ok(book)
}

fn place(lake: &Lake, version: &str) -> (Arc<dyn ObjectStore>, Path) {
    (lake.store(), Path::from(lake_path::price_book(version)))
}

/// Remembers which versions are kept, so that the store is asked once per version and process.
#[derive(Debug)]
pub struct Keeper {
    lake: Lake,
    kept: HashSet<String>,
}

impl Keeper {
    #[must_use]
    pub fn new(lake: Lake) -> Self {
        Self { lake, kept: HashSet::new() }
    }

    /// As [`keep`], at once for a version that this process has seen kept.
    ///
    /// # Errors
    /// Those of [`keep`].
    pub async fn ensure(&mut self, book: &PriceBook) -> Result<(), ArchiveError> {
        if !self.kept.contains(book.version()) {
            keep(&self.lake, book).await?;
            self.kept.insert(book.version().to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use spendstream_schemas::price_book::PriceBook;
    use spendstream_storage::Lake;

    use super::{ArchiveError, Keeper, keep, load, place};

    fn lake() -> Lake {
        Lake::with_store("s3://bucket/lake".parse().unwrap(), Arc::new(InMemory::new())).unwrap()
    }

    #[tokio::test]
    async fn a_kept_book_reads_back_and_is_kept_once() {
        let (lake, book) = (lake(), PriceBook::builtin().unwrap());
        let missing = load(&lake, book.version()).await.unwrap_err();
        assert!(matches!(missing, ArchiveError::Missing { .. }), "{missing}");
        keep(&lake, &book).await.unwrap();
        keep(&lake, &book).await.unwrap();
        assert_eq!(load(&lake, book.version()).await.unwrap().version(), book.version());
    }

    #[tokio::test]
    async fn a_damaged_archive_is_found_and_mended() {
        let (lake, book) = (lake(), PriceBook::builtin().unwrap());
        let (store, path) = place(&lake, book.version());
        store.put(&path, b"torn".to_vec().into()).await.unwrap();
        assert!(matches!(load(&lake, book.version()).await.unwrap_err(), ArchiveError::Damaged { .. }));
        Keeper::new(lake.clone()).ensure(&book).await.unwrap();
        assert_eq!(load(&lake, book.version()).await.unwrap().version(), book.version());
    }

    #[tokio::test]
    async fn another_book_under_this_name_is_refused() {
        let (lake, book) = (lake(), PriceBook::builtin().unwrap());
        let (store, path) = place(&lake, "0123456789abcdef0123456789abcdef");
        store.put(&path, book.to_archive().into()).await.unwrap();
        let error = load(&lake, "0123456789abcdef0123456789abcdef").await.unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
    }
}
