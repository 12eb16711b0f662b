//! The texts of a price book on disk. In: `prices.*` of the configuration. Out: texts, and the book they make. Never writes
//! and never looks again by itself: who wants news reads once more and compares.
//!
//! A book's directory needs `prices.csv`; names of providers and rates come from the book that ships where it has none of its
//! own. Aliases do not: they name models of a `prices.csv`.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use spendstream_schemas::config::PricesConfig;
use spendstream_schemas::price_book::{BookError, BookFiles, PriceBook};
use thiserror::Error;

/// Names of the files in a book's directory.
pub const PRICES: &str = "prices.csv";
pub const CATALOG: &str = "catalog.toml";
pub const ALIASES: &str = "aliases.csv";
pub const RATES: &str = "rates.csv";
pub const OVERRIDES: &str = "overrides.toml";

/// Why there is no book.
#[derive(Debug, Error)]
pub enum SourceError {
    #[error("{key}: {} cannot be read: {error}", .path.display())]
    Read { key: &'static str, path: PathBuf, error: io::Error },
    #[error(transparent)]
    Book(#[from] BookError),
}

/// Where the texts of a book lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookSource {
    /// A directory; `None`: the book that ships.
    pub book: Option<PathBuf>,
    pub overrides: Option<PathBuf>,
    pub rates: Option<PathBuf>,
    /// The lake's currency.
    pub currency: String,
}

/// The texts of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookTexts {
    pub prices: Cow<'static, str>,
    pub catalog: Cow<'static, str>,
    pub aliases: Cow<'static, str>,
    pub rates: Cow<'static, str>,
    pub overrides: Cow<'static, str>,
    pub currency: String,
}

impl BookSource {
    #[must_use]
    pub fn new(prices: &PricesConfig, currency: &str) -> Self {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        Self {
            book: path(&prices.book),
            overrides: path(&prices.overrides),
            rates: path(&prices.rates),
            currency: currency.to_owned(),
        }
    }

    /// False when only what ships in the binary is used, which cannot change.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        self.book.is_some() || self.overrides.is_some() || self.rates.is_some()
    }

    /// Reads all texts.
    ///
    /// # Errors
    /// When a file that must be there cannot be read, or is no UTF-8.
    pub fn read(&self) -> Result<BookTexts, SourceError> {
        let mut texts = BookTexts::builtin(&self.currency);
        if let Some(folder) = &self.book {
            texts.prices = read("prices.book", &folder.join(PRICES))?.into();
            texts.aliases = "".into();
            replace(&mut texts.catalog, &folder.join(CATALOG))?;
            replace(&mut texts.aliases, &folder.join(ALIASES))?;
            replace(&mut texts.rates, &folder.join(RATES))?;
            replace(&mut texts.overrides, &folder.join(OVERRIDES))?;
        }
        if let Some(path) = &self.overrides {
            texts.overrides = read("prices.overrides", path)?.into();
        }
        if let Some(path) = &self.rates {
            texts.rates = read("prices.rates", path)?.into();
        }
        Ok(texts)
    }

    /// Reads all texts and makes the book of them.
    ///
    /// # Errors
    /// When a file cannot be read or the book has errors.
    pub fn load(&self) -> Result<PriceBook, SourceError> {
        Ok(PriceBook::load(&self.read()?.files())?)
    }
}

impl BookTexts {
    /// Those that ship in the binary.
    #[must_use]
    pub fn builtin(currency: &str) -> Self {
        let files = BookFiles::builtin();
        Self {
            prices: files.prices.into(),
            catalog: files.catalog.into(),
            aliases: files.aliases.into(),
            rates: files.rates.into(),
            overrides: files.overrides.into(),
            currency: currency.to_owned(),
        }
    }

    #[must_use]
    pub fn files(&self) -> BookFiles<'_> {
        BookFiles {
            prices: &self.prices,
            catalog: &self.catalog,
            aliases: &self.aliases,
            rates: &self.rates,
            overrides: &self.overrides,
            currency: &self.currency,
        }
    }
}

fn read(key: &'static str, path: &Path) -> Result<String, SourceError> {
    std::fs::read_to_string(path).map_err(|error| SourceError::Read { key, path: path.to_owned(), error })
}

/// Takes the file where there is one.
fn replace(text: &mut Cow<'static, str>, path: &Path) -> Result<(), SourceError> {
    match read("prices.book", path) {
        Ok(read) => *text = read.into(),
        Err(SourceError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
