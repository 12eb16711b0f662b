//! `report reconcile`: a provider's bill beside what the lake says. In: a file; out: the variance by day, model and meter, with the likely reason. With
//! `--accept` the difference becomes charges. The same file is imported once, and accepted once.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use spendstream_pipeline::lake::charges::Charges;
use spendstream_pipeline::lake::statements::adjust::open_month;
use spendstream_pipeline::lake::statements::bills::{Booking, Reconciled, reconcile, residuals};
use spendstream_pipeline::lake::statements::lines::Looked;
use spendstream_schemas::bill::variance::{Reason, Variance};
use spendstream_schemas::bill::{Bill, Format, Meter};
use spendstream_schemas::config::Config;
use spendstream_storage::Lake;
use spendstream_storage::price_book::BookSource;

use super::super::charges::read::{File, read_bill};
use super::super::control::{Output, Session, one_error, print_rows};
use super::months::{Place, zone};

/// Which bill.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose bill it is, by any of the names that the price book knows.
    #[arg(long, value_name = "NAME")]
    provider: String,
    /// The file: JSON, CSV or Parquet.
    #[arg(long, value_name = "FILE")]
    bill: PathBuf,
    /// auto, openai (costs API), anthropic (cost report), focus, or plain (CSV: date, model, meter, amount, currency).
    #[arg(long, default_value = "auto")]
    format: String,
    /// Make the difference a charge (Adjustment) for each day, model and meter.
    #[arg(long)]
    accept: bool,
    /// Lines without a difference too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: &Args, session: &Session, config: &Config) -> anyhow::Result<()> {
    let bill = bill(args, config)?;
    if !bill.currency.eq_ignore_ascii_case(&config.lake.currency) {
        bail!(
            "the bill is in {}, the lake in {}; a bill is compared in the currency of the lake",
            bill.currency,
            config.lake.currency
        );
    }
    let lake = Lake::open(&config.lake)?;
    let looked = Looked::open(&lake, config.query.memory_bytes).await?;
    let found = reconcile(&looked, &bill).await?;
    if !session.store.bills().add(&bill, &session.act()).await.map_err(one_error)? {
        writeln!(io::stderr(), "this file was imported before; it is one bill")?;
    }
    let shown: Vec<_> = found.variances.iter().filter(|one| args.all || one.reason != Reason::None).map(row).collect();
    let columns = [
        "date",
        "model",
        "meter",
        "billed",
        "computed",
        "difference",
        "quantity",
        "billed_quantity",
        "billed_per_million",
        "computed_per_million",
        "reason",
    ];
    print_rows(&columns, &shown, &args.output)?;
    let billed = bill.amount();
    let difference: rust_decimal::Decimal = found.variances.iter().map(Variance::difference).sum();
    writeln!(
        io::stderr(),
        "billed {}, computed {}, difference {} {}",
        billed.normalize(),
        (billed - difference).normalize(),
        difference.normalize(),
        bill.currency
    )?;
    if args.accept { accept(&lake, &bill, &found, session, config).await } else { Ok(()) }
}

fn bill(args: &Args, config: &Config) -> anyhow::Result<Bill> {
    let book = BookSource::new(&config.prices, &config.lake.currency).load()?;
    let provider = book.provider_id(&args.provider).unwrap_or(&args.provider).to_owned();
    let format = match args.format.as_str() {
        "auto" => None,
        named => Some(named.parse::<Format>().map_err(|why| anyhow!(why))?),
    };
    let file = File::open(&args.bill)?;
    let (format, currency, mut lines) =
        read_bill(&file, format).with_context(|| format!("the bill {}", args.bill.display()))?;
    for line in &mut lines {
        let id = line.model.as_deref().and_then(|model| book.model_id(Some(&provider), model));
        line.model = id.map(str::to_owned).or(line.model.take());
    }
    Ok(Bill { id: file.sha256(), provider, format, file: file.name(), currency, lines })
}

async fn accept(
    lake: &Lake,
    bill: &Bill,
    found: &Reconciled,
    session: &Session,
    config: &Config,
) -> anyhow::Result<()> {
    let known = session.store.statements().list().await.map_err(one_error)?;
    let zone = zone(config);
    let open = (!known.is_empty()).then(|| open_month(&known, session.now, zone));
    let charges = residuals(bill, found, Booking { open, zone, now: session.now })?;
    let appended = Charges::new(lake).append(&charges).await?;
    let details = serde_json::json!({"charges": appended.written, "known": appended.known, "bill": bill.summary()});
    session.store.bills().accept(&bill.id, &details, &session.act()).await.map_err(one_error)?;
    writeln!(io::stderr(), "{} charges written, {} were there already", appended.written, appended.known)?;
    Ok(())
}

fn row(one: &Variance) -> Vec<String> {
    let text = |number: rust_decimal::Decimal| number.normalize().to_string();
    let prices = one.implied_prices();
    vec![
        one.cell.date.to_string(),
        one.cell.model.clone().unwrap_or_default(),
        one.cell.meter.map(Meter::word).unwrap_or_default().to_owned(),
        text(one.billed),
        text(one.computed),
        text(one.difference()),
        text(one.quantity),
        one.billed_quantity.map(text).unwrap_or_default(),
        prices.map(|(billed, _)| text(billed)).unwrap_or_default(),
        prices.map(|(_, computed)| text(computed)).unwrap_or_default(),
        one.reason.words().to_owned(),
    ]
}
