//! `spendstream prices export`: the texts of the book in force as files in a directory, to edit there. Overwrites nothing.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use spendstream_schemas::config::Config;
use spendstream_storage::price_book::{ALIASES, BookTexts, CATALOG, OVERRIDES, PRICES, RATES};

use super::BookArgs;

/// Write the book in force (the one that ships, if none is configured) to a directory that `prices.book` can name.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  spendstream prices export ./prices
  SPENDSTREAM__PRICES__BOOK=./prices spendstream prices check")]
pub struct Args {
    /// Directory to write to; it is made when it does not exist.
    dir: PathBuf,
    #[command(flatten)]
    book: BookArgs,
}

pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let texts = args.book.source(config).read()?;
    write(&args.dir, &texts)?;
    println!("wrote {PRICES}, {CATALOG}, {ALIASES} and {RATES} to {}", args.dir.display());
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &std::path::Path, texts: &BookTexts) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("directory {}", dir.display()))?;
    let files = [(PRICES, &texts.prices), (CATALOG, &texts.catalog), (ALIASES, &texts.aliases), (RATES, &texts.rates)];
    let overrides = (!texts.overrides.is_empty()).then_some((OVERRIDES, &texts.overrides));
    let files: Vec<_> = files.into_iter().chain(overrides).collect();
    if let Some((name, _)) = files.iter().find(|(name, _)| dir.join(name).exists()) {
        bail!("{} exists already; export to another directory", dir.join(name).display());
    }
    for (name, text) in files {
        let path = dir.join(name);
        fs::write(&path, text.as_bytes()).with_context(|| format!("{}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use spendstream_storage::price_book::{BookSource, BookTexts};

    use super::write;

    #[test]
    fn an_exported_book_is_the_same_book_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("book");
        let texts = BookTexts::builtin("USD");
        write(&dir, &texts).unwrap();
        let source = BookSource { book: Some(dir.clone()), currency: "USD".into(), ..BookSource::default() };
        assert_eq!(source.read().unwrap(), texts);
        assert!(write(&dir, &texts).unwrap_err().to_string().contains("prices.csv exists already"));
    }
}
