//! `report list`, `show` and `verify`: statements, their lines, and the proof that they are what was stored. Writes nothing.

use anyhow::bail;
use spendstream_pipeline::lake::statements::adjust::differences;
use spendstream_pipeline::lake::statements::file;
use spendstream_pipeline::lake::statements::lines::Looked;
use spendstream_schemas::config::Config;
use spendstream_schemas::statement::line::KEYS;
use spendstream_schemas::statement::{Figures, Line, Month, Statement, totals};
use spendstream_storage::Lake;

use super::super::control::{Output, Session, one_error, print_json, print_rows, show_time};
use super::super::prices::Format;
use super::months::{Place, of};

/// How the answer is written.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    output: Output,
}

/// Which month.
#[derive(Debug, clap::Args)]
pub struct Show {
    #[arg(value_name = "MONTH")]
    month: Month,
    /// Its lines instead of its totals.
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    output: Output,
}

pub async fn list(args: &List, session: &Session) -> anyhow::Result<()> {
    print(&session.store.statements().list().await.map_err(one_error)?, &args.output)
}

/// Statements in a few figures; as JSON, all that is known of them.
pub fn print(statements: &[Statement], output: &Output) -> anyhow::Result<()> {
    if output.format == Format::Json {
        return print_json(&statements);
    }
    let columns =
        ["month", "timezone", "calls", "cost", "currency", "unpriced_calls", "lines", "closed_at", "closed_by", "id"];
    let row = |one: &Statement| {
        vec![
            one.month.to_string(),
            one.timezone.clone(),
            one.calls.to_string(),
            one.cost.clone(),
            one.currency.clone(),
            one.unpriced_calls.to_string(),
            one.lines.to_string(),
            show_time(one.closed_at),
            one.closed_by.clone(),
            one.id.clone(),
        ]
    };
    print_rows(&columns, &statements.iter().map(row).collect::<Vec<_>>(), output)
}

pub async fn show(args: &Show, session: &Session, config: &Config) -> anyhow::Result<()> {
    let statement = of(&session.store, args.month).await?;
    if !args.lines {
        return print(&[statement], &args.output);
    }
    let lines = file::read(&Lake::open(&config.lake)?, &statement).await?;
    let columns: Vec<&str> =
        KEYS.into_iter().chain(["calls", "unpriced_calls", "input_tokens", "output_tokens", "cost"]).collect();
    print_rows(&columns, &lines.iter().map(cells).collect::<Vec<_>>(), &args.output)
}

fn cells(line: &Line) -> Vec<String> {
    use spendstream_schemas::count::Count;
    let Figures { calls, unpriced_calls, counts, .. } = line.figures;
    let mut cells: Vec<String> = line.key.0.iter().map(|value| value.clone().unwrap_or_default()).collect();
    cells.extend([
        calls.to_string(),
        unpriced_calls.to_string(),
        counts[Count::Input as usize].to_string(),
        counts[Count::Output as usize].to_string(),
        line.figures.cost().to_string(),
    ]);
    cells
}

pub async fn verify(args: &Show, session: &Session, config: &Config) -> anyhow::Result<()> {
    let (lake, statement) = (Lake::open(&config.lake)?, of(&session.store, args.month).await?);
    let lines = file::read(&lake, &statement).await?;
    let sums = totals(&lines)?;
    if sums.cost().to_string() != statement.cost || sums.calls != statement.calls {
        bail!(
            "the lines of {} add up to {} calls of {}, and the control store says {} of {}",
            args.month,
            sums.calls,
            sums.cost(),
            statement.calls,
            statement.cost
        );
    }
    let looked = Looked::open(&lake, config.query.memory_bytes).await?;
    let found = differences(&lake, &looked, &statement).await?;
    let mut open = Figures::default();
    for change in &found {
        open = open.plus(&change.open()?)?;
    }
    let row = vec![
        args.month.to_string(),
        statement.id.clone(),
        "unchanged".to_owned(),
        found.len().to_string(),
        open.cost().to_string(),
    ];
    print_rows(&["month", "sha256", "file", "lines_that_differ", "not_carried_yet"], &[row], &args.output)
}
