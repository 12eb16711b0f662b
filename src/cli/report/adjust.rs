//! `report adjust`: what was found for closed months since becomes charges of the open one. Run again, it does nothing.

use std::io::{self, Write};

use spendstream_pipeline::lake::statements::adjust::{Carried, adjust};
use spendstream_schemas::config::Config;
use spendstream_storage::Lake;

use super::super::control::{Output, Session, one_error, print_rows};
use super::months::{Place, zone};

/// Which lake, and how the answer is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: &Args, session: &Session, config: &Config) -> anyhow::Result<()> {
    let lake = Lake::open(&config.lake)?;
    let known = session.store.statements().list().await.map_err(one_error)?;
    let done = adjust(&lake, config.query.memory_bytes, &known, session.now, zone(config)).await?;
    for one in &done {
        let audit = session.store.audit();
        audit
            .record(&session.act(), "adjust", ("statement", &one.month), Some(&one.details()))
            .await
            .map_err(one_error)?;
    }
    let row = |one: &Carried| {
        vec![
            one.month.clone(),
            one.into.clone(),
            one.lines.to_string(),
            one.figures.calls.to_string(),
            one.figures.cost().to_string(),
            config.lake.currency.clone(),
        ]
    };
    let rows: Vec<_> = done.iter().map(row).collect();
    print_rows(&["month", "into", "lines", "calls", "cost", "currency"], &rows, &args.output)
}

/// One line for each month that something was carried out of, on standard error.
pub fn tell(done: &[Carried]) {
    for one in done {
        // A closed terminal is no reason to stop.
        let _ = writeln!(
            io::stderr(),
            "{}: {} lines of {} carried into {}",
            one.month,
            one.lines,
            one.figures.cost(),
            one.into
        );
    }
}
