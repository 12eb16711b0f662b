//! The price book that estimates use: in come the configured files, out comes the newest usable book.
//!
//! Looked at again every `prices.reload_interval`; a broken new version is refused and logged, the last good one stays.
//! Never writes a file and never prices the lake.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::{BookError, BookFiles, PriceBook};
use thiserror::Error;
use tokio::time::Instant;

/// Why there is no price book.
#[derive(Debug, Error)]
pub enum PricesError {
    #[error("{key}: {} cannot be read: {source}", .path.display())]
    Read { key: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Book(#[from] BookError),
}

/// Keeps the newest usable book.
pub struct Prices {
    files: Files,
    reload_interval: Duration,
    state: Mutex<State>,
}

struct State {
    book: Arc<PriceBook>,
    texts: Texts,
    looked: Instant,
}

impl Prices {
    /// Reads the configured book; blocks while it does.
    ///
    /// # Errors
    /// When a configured file cannot be read or is no price book.
    pub fn open(config: &Config) -> Result<Self, PricesError> {
        let files = Files::new(config);
        let texts = files.read()?;
        let book = Arc::new(texts.load()?);
        let state = Mutex::new(State { book, texts, looked: Instant::now() });
        Ok(Self { files, reload_interval: config.prices.reload_interval, state })
    }

    /// The newest usable book; may block to read files.
    pub fn newest(&self) -> Arc<PriceBook> {
        let mut state = self.state.lock();
        if self.files.is_on_disk() && state.looked.elapsed() >= self.reload_interval {
            state.looked = Instant::now();
            self.reload(&mut state);
        }
        Arc::clone(&state.book)
    }

    fn reload(&self, state: &mut State) {
        let texts = match self.files.read() {
            Ok(texts) if texts == state.texts => return,
            Ok(texts) => texts,
            Err(error) => return tracing::warn!(%error, "the price book stays as it was"),
        };
        match texts.load() {
            Ok(book) => {
                tracing::info!(version = book.version(), "estimates use a new price book");
                state.book = Arc::new(book);
            }
            Err(error) => tracing::warn!(%error, "the new price book is refused, the last good one stays"),
        }
        state.texts = texts;
    }
}

struct Files {
    book: Option<PathBuf>,
    overrides: Option<PathBuf>,
    rates: Option<PathBuf>,
    currency: String,
}

/// What the files held when they were last read.
#[derive(PartialEq, Eq)]
struct Texts {
    prices: Cow<'static, str>,
    catalog: Cow<'static, str>,
    aliases: Cow<'static, str>,
    rates: Cow<'static, str>,
    overrides: Cow<'static, str>,
    currency: String,
}

impl Texts {
    fn load(&self) -> Result<PriceBook, BookError> {
        PriceBook::load(&BookFiles {
            prices: &self.prices,
            catalog: &self.catalog,
            aliases: &self.aliases,
            rates: &self.rates,
            overrides: &self.overrides,
            currency: &self.currency,
        })
    }
}

impl Files {
    fn new(config: &Config) -> Self {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        Self {
            book: path(&config.prices.book),
            overrides: path(&config.prices.overrides),
            rates: path(&config.prices.rates),
            currency: config.lake.currency.clone(),
        }
    }

    fn is_on_disk(&self) -> bool {
        self.book.is_some() || self.overrides.is_some() || self.rates.is_some()
    }

    /// What a book's folder lacks is taken from the book that ships in the binary.
    fn read(&self) -> Result<Texts, PricesError> {
        let builtin = BookFiles::builtin();
        let mut texts = Texts {
            prices: builtin.prices.into(),
            catalog: builtin.catalog.into(),
            aliases: builtin.aliases.into(),
            rates: builtin.rates.into(),
            overrides: builtin.overrides.into(),
            currency: self.currency.clone(),
        };
        if let Some(folder) = &self.book {
            texts.prices = read("prices.book", &folder.join("prices.csv"))?.into();
            for (text, name) in [
                (&mut texts.catalog, "catalog.toml"),
                (&mut texts.aliases, "aliases.csv"),
                (&mut texts.rates, "rates.csv"),
                (&mut texts.overrides, "overrides.toml"),
            ] {
                let path = folder.join(name);
                if path.is_file() {
                    *text = read("prices.book", &path)?.into();
                }
            }
        }
        if let Some(path) = &self.overrides {
            texts.overrides = read("prices.overrides", path)?.into();
        }
        if let Some(path) = &self.rates {
            texts.rates = read("prices.rates", path)?.into();
        }
        Ok(texts)
    }
}

fn read(key: &'static str, path: &Path) -> Result<String, PricesError> {
    std::fs::read_to_string(path).map_err(|source| PricesError::Read { key, path: path.to_owned(), source })
}
