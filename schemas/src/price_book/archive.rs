//! A book as one file: every text it was made of, as JSON in gzip. The same texts give the same bytes and the same version.

use std::io::{Read, Write};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::book::BookFiles;
use crate::hex::hex;

/// The layout that this code writes and reads.
const FORMAT: u32 = 1;
/// A file that expands to more is not a price book.
const MAX_BYTES: u64 = 256 << 20;

/// The texts of a book, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    format: u32,
    currency: String,
    prices: String,
    catalog: String,
    aliases: String,
    rates: String,
    overrides: String,
}

impl Texts {
    pub fn new(files: &BookFiles<'_>) -> Self {
        Self {
            format: FORMAT,
            currency: files.currency.to_owned(),
            prices: files.prices.to_owned(),
            catalog: files.catalog.to_owned(),
            aliases: files.aliases.to_owned(),
            rates: files.rates.to_owned(),
            overrides: files.overrides.to_owned(),
        }
    }

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

    /// SHA-256 over every text with its length, the first 32 hex digits.
    pub fn version(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(FORMAT.to_be_bytes());
        for text in [&self.currency, &self.prices, &self.catalog, &self.aliases, &self.rates, &self.overrides] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hex(&hash.finalize()[..16])
    }

    pub fn compress(&self) -> Vec<u8> {
        // Neither a name nor a time in the header, so that equal texts give equal bytes.
        let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
        // Serialising texts and writing to memory do not fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let _ = encoder.write_all(&json);
        encoder.finish().unwrap_or_default()
    }

    pub fn expand(bytes: &[u8]) -> Result<Self, String> {
        let mut json = Vec::new();
        let read = GzDecoder::new(bytes).take(MAX_BYTES + 1).read_to_end(&mut json);
        read.map_err(|error| format!("not a kept price book: {error}"))?;
        if json.len() as u64 > MAX_BYTES {
            return Err(format!("not a kept price book: it expands to more than {MAX_BYTES} bytes"));
        }
        let texts: Self = serde_json::from_slice(&json).map_err(|error| format!("not a kept price book: {error}"))?;
        if texts.format != FORMAT {
            return Err(format!(
                "a price book of format {}, this program reads {FORMAT}; use a newer one",
                texts.format
            ));
        }
        Ok(texts)
    }
}
