//! `spendstream prices check`: what is wrong or odd in a book, one line each. Changes nothing.

use std::process::ExitCode;

use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::{Finding, PriceBook, Severity};
use spendstream_storage::price_book::SourceError;

use super::BookArgs;

/// Check a price book: bad fields, overlapping prices, aliases and overrides that lead nowhere, odd figures.
///
/// Exit code 1 when it could not be used; warnings alone are fine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  spendstream prices check\n  spendstream prices check --book ./prices --quiet")]
pub struct Args {
    #[command(flatten)]
    book: BookArgs,
    /// Leave warnings out.
    #[arg(long)]
    quiet: bool,
}

pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let texts = args.book.source(config).read()?;
    let book = match PriceBook::load(&texts.files()).map_err(SourceError::from) {
        Ok(book) => book,
        Err(SourceError::Book(errors)) => {
            for error in &errors.0 {
                println!("error: {error}");
            }
            println!("{} errors: the book cannot be used", errors.0.len());
            return Ok(ExitCode::from(1));
        }
        Err(error) => return Err(error.into()),
    };
    let findings = book.findings();
    for finding in findings.iter().filter(|finding| !args.quiet || finding.severity == Severity::Error) {
        println!("{}: {finding}", word(finding));
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let rows = book.rows().len();
    println!(
        "{rows} prices of {}, {errors} errors, {} warnings; book {}",
        book.date(),
        findings.len() - errors,
        book.version()
    );
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn word(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
