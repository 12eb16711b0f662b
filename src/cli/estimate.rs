//! `spendstream estimate`: what one call would cost, by tokens or by text. Reads the price book; the text is counted and
//! forgotten.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use spendstream_query_api::estimate::{Estimate, EstimateRequest, estimate};
use spendstream_schemas::config::Config;
use spendstream_storage::price_book::BookSource;

/// What would a call cost? By tokens, or by text with the model's own tokenizer where that is public.
///
/// Input tokens are the total, cached ones included; output tokens that are not given are guessed, and the answer says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream estimate --provider openai --model gpt-5 --input-tokens 1200 --output-tokens 300
  spendstream estimate --provider anthropic --model claude-sonnet-4-5 --text prompt.txt --max-output-tokens 1000
  cat prompt.txt | spendstream estimate --provider google --model gemini-2.5-pro --text - --format json")]
pub struct Args {
    /// Provider by any of its names; not needed when the model names it (openai/gpt-5).
    #[arg(long)]
    provider: Option<String>,
    #[arg(long)]
    model: String,
    /// All input tokens, cached ones included.
    #[arg(long, value_name = "N", required_unless_present = "text", conflicts_with = "text")]
    input_tokens: Option<i64>,
    /// File with the prompt; - reads standard input.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    #[arg(long, value_name = "N")]
    output_tokens: Option<i64>,
    /// Upper bound of the output, taken when --output-tokens is not given.
    #[arg(long, value_name = "N")]
    max_output_tokens: Option<i64>,
    /// How long answers usually are: classification, summarisation or `question_answering`; leave it out for anything else.
    #[arg(long)]
    task_type: Option<String>,
    /// Input tokens that come from the provider's cache.
    #[arg(long, value_name = "N", default_value_t = 0)]
    cache_read_tokens: i64,
    /// Input tokens that are written to the provider's cache.
    #[arg(long, value_name = "N", default_value_t = 0)]
    cache_write_tokens: i64,
    /// batch, flex, priority, …
    #[arg(long)]
    service_tier: Option<String>,
    #[arg(long)]
    region: Option<String>,
    /// Whose overrides and discounts to apply.
    #[arg(long)]
    organization: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let book = BookSource::new(&config.prices, &config.lake.currency).load()?;
    let request = request(&args)?;
    let answer = estimate(&book, &request, super::now_micros())?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&answer)?),
        Format::Table => print!("{}", lines(&answer)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn request(args: &Args) -> anyhow::Result<EstimateRequest> {
    Ok(EstimateRequest {
        provider: args.provider.clone(),
        model: args.model.clone(),
        service_tier: args.service_tier.clone(),
        region: args.region.clone(),
        organization: args.organization.clone(),
        input_tokens: args.input_tokens,
        text: args.text.as_deref().map(text).transpose()?,
        output_tokens: args.output_tokens,
        max_output_tokens: args.max_output_tokens,
        task_type: args.task_type.clone(),
        cache_read_tokens: args.cache_read_tokens,
        cache_write_tokens: args.cache_write_tokens,
        ..EstimateRequest::default()
    })
}

/// The prompt, at most 64 MiB of it.
fn text(path: &std::path::Path) -> anyhow::Result<String> {
    const LIMIT: u64 = 64 << 20;
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(LIMIT + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text))
    };
    let bytes = read.with_context(|| format!("text {}", path.display()))?;
    if bytes as u64 > LIMIT {
        bail!("text {} is larger than 64 MiB", path.display());
    }
    Ok(text)
}

/// The answer for people; parts that cost nothing are left out.
fn lines(answer: &Estimate) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let mut out = String::new();
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
    let (basis, output_basis) =
        (word(serde_json::to_value(answer.basis)?), word(serde_json::to_value(answer.output_basis)?));
    writeln!(out, "{} {}  {} / {}", answer.estimated_cost, answer.currency, answer.provider, answer.model_id)?;
    writeln!(out, "  input   {} tokens ({basis})", answer.input_tokens)?;
    writeln!(out, "  output  {} tokens ({output_basis})", answer.output_tokens)?;
    for (name, cost) in [
        ("input", &answer.input_cost),
        ("output", &answer.output_cost),
        ("cache read", &answer.cache_read_cost),
        ("cache write", &answer.cache_write_cost),
        ("other", &answer.other_cost),
    ] {
        if cost != "0" {
            writeln!(out, "  {name:<11} {cost} {}", answer.currency)?;
        }
    }
    if answer.list_cost != answer.estimated_cost {
        writeln!(out, "  list price  {} {}", answer.list_cost, answer.currency)?;
    }
    if !answer.price_notes.is_empty() {
        writeln!(out, "  note        {}", answer.price_notes.join(", "))?;
    }
    writeln!(out, "  price       {} (book {})", answer.price_id, answer.price_book_version)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser;
    use spendstream_query_api::estimate::estimate;
    use spendstream_schemas::price_book::PriceBook;

    use super::{Args, lines, request};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn check(arguments: &[&str], expected: &str) {
        let cli = Cli::try_parse_from([&["estimate"], arguments].concat()).unwrap_or_else(|error| panic!("{error}"));
        let book = PriceBook::builtin().unwrap();
        let answer = estimate(&book, &request(&cli.args).unwrap(), 1_795_000_000_000_000).unwrap();
        let shown = lines(&answer).unwrap();
        assert!(shown.starts_with(expected), "{shown}");
    }

    #[test]
    fn tokens_and_texts_are_priced() {
        check(
            &["--provider", "openai", "--model", "gpt-4o", "--input-tokens", "1000", "--output-tokens", "100"],
            "0.0035 USD  openai / gpt-4o\n  input   1000 tokens (given)\n  output  100 tokens (given)\n  \
             input       0.0025 USD\n  output      0.001 USD\n  price       openai/gpt-4o",
        );
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"tiktoken is great!").unwrap();
        let path = file.path().to_str().unwrap();
        check(
            &["--model", "openai/gpt-4o", "--text", path, "--max-output-tokens", "0"],
            "0.000015 USD  openai / gpt-4o\n  input   6 tokens (tokenizer)\n  output  0 tokens (max output tokens)\n",
        );
    }

    #[test]
    fn tokens_or_text_must_be_given_and_not_both() {
        for arguments in [&["--model", "m"][..], &["--model", "m", "--input-tokens", "1", "--text", "-"]] {
            assert!(Cli::try_parse_from([&["estimate"], arguments].concat()).is_err(), "{arguments:?}");
        }
    }
}
