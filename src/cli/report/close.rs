//! `report close MONTH`: what was found for earlier months is carried into this one, its lines are stored, and then it is closed. Ended in between, it is
//! open as before.

use anyhow::bail;
use spendstream_pipeline::lake::statements::adjust::{adjust, open_month};
use spendstream_pipeline::lake::statements::close::{Close, close};
use spendstream_schemas::config::Config;
use spendstream_schemas::statement::Month;
use spendstream_storage::Lake;

use super::super::control::{Output, Session, one_error};
use super::months::{Place, zone};
use super::{adjust as carried, statements};

/// Which month, and what is known to be missing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The month in `reports.timezone`: 2026-10.
    #[arg(value_name = "MONTH")]
    month: Month,
    /// Close it before all that may still come has come.
    #[arg(long)]
    force: bool,
    /// Close it though calls of it have no price.
    #[arg(long)]
    allow_unpriced: bool,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: &Args, session: &Session, config: &Config) -> anyhow::Result<()> {
    let (lake, zone) = (Lake::open(&config.lake)?, zone(config));
    let known = session.store.statements().list().await.map_err(one_error)?;
    if let Some(statement) = known.iter().find(|statement| statement.month == args.month) {
        bail!("{} is closed already, since {}", args.month, super::super::control::show_time(statement.closed_at));
    }
    let open = open_month(&known, session.now, zone);
    if !known.is_empty() && open.month != args.month {
        bail!("months are closed one after the other, and {} is the next one", open.month);
    }
    // What is late belongs into the month that is about to be closed, if that is over.
    if session.now >= open.end {
        carried::tell(&adjust(&lake, config.query.memory_bytes, &known, session.now, zone).await?);
    }
    let act = session.act();
    let Args { month, force, allow_unpriced, .. } = *args;
    let asked = Close { month, zone, force, allow_unpriced, who: act.who, now: session.now };
    let statement = close(&lake, config, asked).await?;
    session.store.statements().add(&statement, &act).await.map_err(one_error)?;
    statements::print(&[statement], &args.output)
}
