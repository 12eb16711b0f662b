//! `spendstream alerts …`: the history of alerts and of their deliveries, acknowledging and snoozing them, trying a channel.

use std::process::ExitCode;

use anyhow::{Context, Error, anyhow};
use chrono::DateTime;
use spendstream_control::alerts::{AlertFilter, StoredAlert, Subject};
use spendstream_notify::desk::{Desk, test_alert};
use spendstream_schemas::alert::{Alert, Kind, Level};
use spendstream_schemas::config::Config;

use super::control::{
    Output, Session, one_error, print_json, print_rows, show_time, time_or_ago, time_or_duration, wanted, with_store,
};

/// Deliveries of one alert that are shown.
const MOST_DELIVERIES: u32 = 1_000;

/// Subcommands of `spendstream alerts`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List alerts, newest first.
    List(List),
    /// Show one alert with every delivery of it.
    Show { id: String },
    /// Show what a channel of the configuration would send; with --send, send it.
    Test {
        /// The channel's name.
        channel: String,
        /// Send a test alert, which says that it is one.
        #[arg(long)]
        send: bool,
    },
    /// Say that an alert was seen.
    Ack {
        id: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Send nothing about an alert's subject for a time; alerts are still kept.
    Snooze {
        /// The alert's id, or a budget's with --budget.
        id: String,
        /// All alerts of the budget with that id.
        #[arg(long)]
        budget: bool,
        /// A time, or a duration from now such as 2h.
        #[arg(long, value_name = "TIME")]
        until: String,
    },
}

/// Which alerts, and how they are printed.
#[derive(Debug, clap::Args)]
pub struct List {
    /// This level or a more urgent one: info, warning, critical, emergency.
    #[arg(long)]
    level: Option<Level>,
    /// Such as `threshold_warning` or `anomaly`.
    #[arg(long)]
    kind: Option<Kind>,
    /// Of the budget with this id.
    #[arg(long, value_name = "ID")]
    budget: Option<String>,
    /// Only those that nobody acknowledged.
    #[arg(long)]
    open: bool,
    /// Only those whose scope has this, in any spelling: `team=search`, `provider=bedrock`.
    #[arg(long, value_name = "NAME=VALUE")]
    scope: Vec<String>,
    /// Raised then or later: a time, or how long ago, such as 24h.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Raised before: a time, or how long ago.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    output: Output,
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        // Needs no store: a channel is tried before anything else runs.
        Command::Test { channel, send } => super::runtime()?.block_on(test(&config, &channel, send)),
        command => with_store(&config, |session| act(command, session, &config)),
    }
}

async fn test(config: &Config, channel: &str, send: bool) -> anyhow::Result<ExitCode> {
    let variables = |name: &str| std::env::var(name).ok();
    let desk = Desk::new(&config.notify, &config.server.public_url, &variables).map_err(Error::msg)?;
    let now = DateTime::from_timestamp_micros(super::now_micros()).context("the clock is out of range")?;
    if send {
        let sent = desk.send_test(channel, now).await;
        sent.map_err(|failure| anyhow!("'{channel}' did not take the test alert: {}", failure.reason))?;
        println!("'{channel}' took the test alert");
    } else {
        println!("{}", desk.preview(channel, &test_alert(now), now).map_err(Error::msg)?);
    }
    Ok(ExitCode::SUCCESS)
}

async fn act(command: Command, session: Session, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list(args, &session, config).await,
        Command::Show { id } => {
            let alert = session.store.alerts().get(&id).await.map_err(one_error)?;
            let deliveries = session.store.notifications().list(Some(&id), None, MOST_DELIVERIES).await;
            print_json(&serde_json::json!({ "alert": alert, "deliveries": deliveries.map_err(one_error)? }))
        }
        Command::Test { .. } => Ok(()),
        Command::Ack { id, note } => {
            let seen = session.store.alerts().acknowledge(&id, note.as_deref(), &session.act()).await;
            print_json(&seen.map_err(one_error)?)
        }
        Command::Snooze { id, budget, until } => {
            let until = time_or_duration(&until, session.now)?;
            let subject = if budget { Subject::Budget(id) } else { Subject::LikeAlert(id) };
            session.store.alerts().snooze(&subject, until, &session.act()).await.map_err(one_error)?;
            println!("snoozed until {}", show_time(until));
            Ok(())
        }
    }
}

async fn list(args: List, session: &Session, config: &Config) -> anyhow::Result<()> {
    let filter = AlertFilter {
        kind: args.kind,
        level: args.level,
        budget_id: args.budget,
        acknowledged: args.open.then_some(false),
        since: args.since.map(|text| time_or_ago(&text, session.now)).transpose()?,
        until: args.until.map(|text| time_or_ago(&text, session.now)).transpose()?,
        after: None,
    };
    let wanted = wanted(&args.scope, session, config).await?;
    let fits = |alert: &Alert| wanted.as_ref().is_none_or(|wanted| wanted.takes(|key| alert.scope.get(key)));
    let page = session.store.alerts().list_where(&filter, args.limit, &fits).await.map_err(one_error)?;
    let row = |found: &StoredAlert| {
        let alert = &found.alert;
        vec![
            alert.id.clone(),
            show_time(alert.raised_at),
            alert.level.to_string(),
            alert.kind.to_string(),
            alert.scope.to_string(),
            alert.title.clone(),
            found.acknowledged_by.clone().unwrap_or_default(),
        ]
    };
    let columns = ["id", "raised_at", "level", "kind", "scope", "title", "acknowledged_by"];
    print_rows(&columns, &page.alerts.iter().map(row).collect::<Vec<_>>(), &args.output)
}
