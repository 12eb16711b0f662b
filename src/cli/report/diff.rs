//! `report diff MONTH`: the lines of a statement beside what the lake says now, where they differ, and why. Writes nothing.

use spendstream_pipeline::lake::statements::adjust::differences;
use spendstream_pipeline::lake::statements::lines::Looked;
use spendstream_schemas::config::Config;
use spendstream_schemas::statement::Month;
use spendstream_schemas::statement::change::Change;
use spendstream_schemas::statement::line::KEYS;
use spendstream_storage::Lake;

use super::super::control::{Output, Session, print_rows};
use super::months::{Place, of};

/// Which month.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "MONTH")]
    month: Month,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    output: Output,
}

/// Figures of a line, after its keys.
const FIGURES: [&str; 10] = [
    "causes",
    "closed_calls",
    "now_calls",
    "closed_cost",
    "now_cost",
    "difference",
    "late_calls",
    "late_cost",
    "carried_cost",
    "open_cost",
];

pub async fn run(args: &Args, session: &Session, config: &Config) -> anyhow::Result<()> {
    let lake = Lake::open(&config.lake)?;
    let statement = of(&session.store, args.month).await?;
    let looked = Looked::open(&lake, config.query.memory_bytes).await?;
    let found = differences(&lake, &looked, &statement).await?;
    let rows = found.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?;
    let columns: Vec<&str> = KEYS.into_iter().chain(FIGURES).collect();
    print_rows(&columns, &rows, &args.output)
}

fn row(change: &Change) -> anyhow::Result<Vec<String>> {
    let difference = change.now.plus(&change.closed.negative())?;
    let causes: Vec<&str> = change.causes.iter().map(|cause| cause.words()).collect();
    let mut row: Vec<String> = change.key.0.iter().map(|value| value.clone().unwrap_or_default()).collect();
    row.extend([
        causes.join(", "),
        change.closed.calls.to_string(),
        change.now.calls.to_string(),
        change.closed.cost().to_string(),
        change.now.cost().to_string(),
        difference.cost().to_string(),
        change.late.calls.to_string(),
        change.late.cost().to_string(),
        // Taken out of the month: shown as what went elsewhere.
        change.carried.negative().cost().to_string(),
        change.open()?.cost().to_string(),
    ]);
    Ok(row)
}
