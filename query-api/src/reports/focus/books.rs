//! The price books that priced a lake's rows. In: the lake and a version. Out: the book, kept for the next export. Reads the lake's archives and never writes.

use std::collections::HashMap;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use spendstream_schemas::lake_path;
use spendstream_schemas::price_book::PriceBook;
use spendstream_storage::Lake;

/// So many versions are kept while an export runs; a book takes megabytes.
const MOST: usize = 8;

/// See the module.
pub struct Books {
    lake: Lake,
    /// `None`: it cannot be read, which was said once.
    known: HashMap<String, Option<Arc<PriceBook>>>,
}

impl Books {
    #[must_use]
    pub fn new(lake: Lake) -> Self {
        Self { lake, known: HashMap::new() }
    }

    /// The book of that version; `None` where it is not there or damaged: amounts are the lake's all the same, only what each meter has of them is guessed.
    pub async fn get(&mut self, version: &str) -> Option<Arc<PriceBook>> {
        if let Some(known) = self.known.get(version) {
            return known.clone();
        }
        let book = match self.load(version).await {
            Ok(book) => Some(Arc::new(book)),
            Err(error) => {
                tracing::warn!(version, %error, "a price book cannot be read; costs are split among meters by quantity");
                None
            }
        };
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(version.to_owned(), book.clone());
        book
    }

    async fn load(&self, version: &str) -> Result<PriceBook, String> {
        let path = Path::from(lake_path::price_book(version));
        let read = |error: object_store::Error| spendstream_storage::brief(&error.to_string());
        let bytes = self.lake.store().get(&path).await.map_err(read)?.bytes().await.map_err(read)?;
        // A book is made in tens of milliseconds of work.
        let book = tokio::task::spawn_blocking(move || PriceBook::from_archive(&bytes)).await;
        book.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}
