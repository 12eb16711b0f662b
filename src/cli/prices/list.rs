//! `spendstream prices list`: the prices in force at a moment, filtered by provider and model.

use std::process::ExitCode;

use anyhow::bail;
use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::{PriceBook, PriceRow, glob};

use super::{CONDITIONS, View, conditions, names};

/// List the prices in force: one line per model and meter.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream prices list --provider openai --model 'gpt-5*'
  spendstream prices list --provider aws --model '*claude*' --at 2026-06-01 --format csv")]
pub struct Args {
    /// Provider by any of its names (aws, bedrock, gemini, …).
    #[arg(long)]
    provider: Option<String>,
    /// Model; * stands for any characters.
    #[arg(long, value_name = "GLOB")]
    model: Option<String>,
    #[command(flatten)]
    view: View,
}

pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let (book, at) = args.view.open(config)?;
    let (provider, model) = (args.provider.as_deref(), args.model.as_deref());
    let rows = rows(&book, provider, model, at);
    if rows.is_empty() {
        bail!("{}", names::why_none(&book, provider, model));
    }
    let columns = [&["provider", "model", "meter", "price", "per", "currency"], &CONDITIONS[..], &["source"]].concat();
    let cells: Vec<_> = rows.iter().map(|row| cells(row)).collect();
    let foot = format!("{} prices, book {} of {}\n", rows.len(), book.version(), book.date());
    args.view.print("", &columns, &cells, &foot)?;
    Ok(ExitCode::SUCCESS)
}

fn rows<'a>(book: &'a PriceBook, provider: Option<&str>, model: Option<&str>, at: i64) -> Vec<&'a PriceRow> {
    // A name that the book does not know is taken as it is and finds nothing.
    let provider = provider.map(|name| book.provider_id(name).unwrap_or(name).to_owned());
    let model = model.map(str::to_lowercase);
    let wanted = |row: &&PriceRow| {
        provider.as_deref().is_none_or(|provider| *row.provider == *provider)
            && model.as_deref().is_none_or(|model| glob(model, &row.model.to_lowercase()))
            && row.in_force(at)
    };
    book.rows().iter().filter(wanted).collect()
}

fn cells(row: &PriceRow) -> Vec<String> {
    let price = [
        row.provider.to_string(),
        row.model.to_string(),
        row.meter.to_string(),
        row.price.normalize().to_string(),
        row.per.to_string(),
        row.currency.to_string(),
    ];
    price.into_iter().chain(conditions(row)).chain([row.source.to_string()]).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use spendstream_schemas::price_book::{BookFiles, COLUMNS as FIELDS, PriceBook, parse_instant};

    use super::rows;

    /// A book of these lines of `prices.csv`.
    pub fn book(lines: &str, overrides: &str) -> PriceBook {
        let prices = format!("{}\n{lines}\n", FIELDS.join(","));
        PriceBook::load(&BookFiles { prices: &prices, overrides, aliases: "", ..BookFiles::builtin() }).unwrap()
    }

    #[test]
    fn provider_model_and_time_filter() {
        let book = book(
            "openai,gpt-5,input,1,1000000,USD,,2026-06-01,,,,,,\n\
             openai,gpt-5,input,2,1000000,USD,2026-06-01,,,,,,,\n\
             openai,o3,input,3,1000000,USD,,,,,,,,\n\
             aws_bedrock,nova,input,4,1000000,USD,,,,,,,,",
            "",
        );
        for (provider, model, at, expected) in [
            (Some("openai"), Some("GPT*"), "2026-05-31T23:59:59Z", "1"),
            (Some("open_ai"), Some("gpt-5"), "2026-06-01", "2"),
            (Some("openai"), None, "2026-06-01", "2,3"),
            (Some("aws"), None, "2026-06-01", "4"),
            (None, Some("*o*"), "2026-06-01", "4,3"),
            (Some("acme"), None, "2026-06-01", ""),
        ] {
            let found = rows(&book, provider, model, parse_instant(at).unwrap());
            let found: Vec<_> = found.iter().map(|row| row.price.to_string()).collect();
            assert_eq!(found.join(","), expected, "{provider:?} {model:?} {at}");
        }
    }
}
