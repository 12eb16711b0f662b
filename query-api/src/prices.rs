//! The price book that estimates use: in come the configured files, out comes the newest usable book.
//!
//! Looked at again every `prices.reload_interval`; a broken new version is refused and logged, the last good one stays.
//! Never writes a file and never prices the lake.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use spendstream_schemas::config::{Config, PricesConfig};
use spendstream_schemas::price_book::PriceBook;
use spendstream_storage::price_book::{BookSource, BookTexts, SourceError};
use tokio::time::Instant;

/// Keeps the newest usable book.
pub struct Prices {
    source: BookSource,
    reload_interval: Duration,
    state: Mutex<State>,
}

struct State {
    book: Arc<PriceBook>,
    /// What the files held when they were last read.
    texts: BookTexts,
    looked: Instant,
}

impl Prices {
    /// Reads the configured book; blocks while it does.
    ///
    /// # Errors
    /// When a configured file cannot be read or is no price book.
    pub fn open(config: &Config) -> Result<Self, SourceError> {
        Self::of(&config.prices, &config.lake.currency)
    }

    /// The same, by what is needed of the configuration.
    ///
    /// # Errors
    /// As [`Prices::open`].
    pub fn of(prices: &PricesConfig, currency: &str) -> Result<Self, SourceError> {
        let source = BookSource::new(prices, currency);
        let texts = source.read()?;
        let book = Arc::new(PriceBook::load(&texts.files())?);
        let state = Mutex::new(State { book, texts, looked: Instant::now() });
        Ok(Self { source, reload_interval: prices.reload_interval, state })
    }

    /// The newest usable book; may block to read files.
    pub fn newest(&self) -> Arc<PriceBook> {
        let mut state = self.state.lock();
        if self.source.is_on_disk() && state.looked.elapsed() >= self.reload_interval {
            state.looked = Instant::now();
            self.reload(&mut state);
        }
        Arc::clone(&state.book)
    }

    fn reload(&self, state: &mut State) {
        let texts = match self.source.read() {
            Ok(texts) if texts == state.texts => return,
            Ok(texts) => texts,
            Err(error) => return tracing::warn!(%error, "the price book stays as it was"),
        };
        match PriceBook::load(&texts.files()) {
            Ok(book) => {
                tracing::info!(version = book.version(), "estimates use a new price book");
                state.book = Arc::new(book);
            }
            Err(error) => tracing::warn!(%error, "the new price book is refused, the last good one stays"),
        }
        state.texts = texts;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use spendstream_schemas::config::Config;
    use spendstream_schemas::price_book::COLUMNS;

    use super::Prices;

    #[test]
    fn a_changed_book_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |price: &str| {
            let text = format!("{}\nacme,m,input,{price},1000000,USD,,,,,,,own,\n", COLUMNS.join(","));
            std::fs::write(folder.path().join("prices.csv"), text).unwrap();
        };
        let mut config = Config::default();
        config.prices.book = folder.path().display().to_string();
        config.prices.reload_interval = Duration::ZERO;
        let missing = Prices::open(&config).err().unwrap().to_string();
        assert!(missing.starts_with("prices.book: ") && missing.contains("prices.csv cannot be read"), "{missing}");

        write("1");
        let prices = Prices::open(&config).unwrap();
        let shown = || prices.newest().rows().iter().map(|row| row.price.to_string()).collect::<Vec<_>>();
        assert_eq!(shown(), ["1"]);
        write("2");
        assert_eq!(shown(), ["2"]);
        write("nonsense");
        assert_eq!(shown(), ["2"]);
        // A folder without aliases has none: those that ship name models of another book.
        assert!(prices.newest().provider_id("openai").is_some());
    }
}
