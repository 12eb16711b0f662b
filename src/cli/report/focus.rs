//! `spendstream report focus`: charges of a lake as a FOCUS 1.2 file. In comes a period, out go a file and, on standard error, what is in it; the file is
//! there when all of it is. Never writes the lake.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::NaiveDate;
use spendstream_query_api::Engine;
use spendstream_query_api::format::Format;
use spendstream_query_api::reports::focus::{Export, Granularity, Period, Told, writer};
use spendstream_schemas::config::Config;
use spendstream_schemas::money::Amount;

/// Arguments of `spendstream report focus`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream report focus --month 2026-10 --out october.csv
  spendstream report focus --from 2026-10-01 --to 2026-10-08 --granularity hour --format parquet --out week.parquet")]
pub struct Args {
    /// A calendar month (UTC): 2026-10.
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["from", "to"])]
    month: Option<String>,
    /// The first day (UTC).
    #[arg(long, value_name = "DATE", requires = "to", required_unless_present = "month")]
    from: Option<NaiveDate>,
    /// The first day that is not in it.
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<NaiveDate>,
    /// How long the charge periods of calls are.
    #[arg(long, value_enum, default_value = "day")]
    granularity: Every,
    /// What kind of file.
    #[arg(long, value_enum, default_value = "csv")]
    format: Form,
    /// The file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The lake to read instead of `lake.uri`: `file://…` or `s3://bucket/prefix`.
    #[arg(long, value_name = "URI")]
    lake: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Every {
    Day,
    Hour,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Csv,
    Parquet,
}

pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    let period = Period::of(args.month.as_deref(), args.from, args.to).map_err(|error| anyhow!(error))?;
    if let Some(uri) = &args.lake {
        config.lake.read_elsewhere(uri.clone());
    }
    let told = crate::cli::runtime()?.block_on(async {
        if args.out == Path::new("-") {
            return write(&args, &config, period, io::stdout().lock()).await;
        }
        let whole = args.out.clone();
        // Beside it, so that it becomes the file in one step.
        let mut part = whole.clone().into_os_string();
        part.push(".partial");
        let part = PathBuf::from(part);
        let named = |path: &Path| format!("--out {}", path.display());
        let file = File::create(&part).with_context(|| named(&part))?;
        let written = write(&args, &config, period, BufWriter::new(file)).await;
        let done = written.and_then(|told| {
            std::fs::rename(&part, &whole).with_context(|| named(&whole))?;
            Ok(told)
        });
        if done.is_err() {
            // What is left of a failed export is of no use; that it failed is what matters.
            let _ = std::fs::remove_file(&part);
        }
        done
    })?;
    say(&told, &config.lake.currency)?;
    Ok(ExitCode::SUCCESS)
}

async fn write(args: &Args, config: &Config, period: Period, mut out: impl Write) -> anyhow::Result<Told> {
    let (format, granularity) = (
        match args.format {
            Form::Csv => Format::Csv,
            Form::Parquet => Format::Parquet,
        },
        match args.granularity {
            Every::Day => Granularity::Day,
            Every::Hour => Granularity::Hour,
        },
    );
    let engine = Engine::open(config)?;
    let mut export = Export::start(&engine, period, granularity).await?;
    let mut encoder = writer(format)?.context("an export has no such format")?;
    let mut made = Vec::new();
    while let Some(batch) = export.next().await? {
        encoder.batch(&batch, &mut made)?;
        out.write_all(&made).context("writing the export")?;
        made.clear();
    }
    encoder.finish(&mut made)?;
    out.write_all(&made).context("writing the export")?;
    out.flush().context("writing the export")?;
    Ok(export.told().clone())
}

/// What is in the file, and loudly what is not.
fn say(told: &Told, currency: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    let cost = Amount::saturating(told.billed_cost);
    writeln!(out, "{} rows, BilledCost {cost} {currency}", told.rows)?;
    if told.unpriced_calls > 0 {
        writeln!(
            out,
            "WARNING: {} calls have no price; their rows (x_PriceStatus = unpriced) have a cost of 0, which is not what they cost",
            told.unpriced_calls
        )?;
    }
    if told.split_by_quantity > 0 {
        writeln!(
            out,
            "WARNING: of {} rows the price book is not at hand; within its part of the cost a meter has what its quantity says \
             (x_MeterSplit = by_quantity); sums are exact",
            told.split_by_quantity
        )?;
    }
    Ok(())
}
