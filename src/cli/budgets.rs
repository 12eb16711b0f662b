//! `spendstream budgets …`: lists, shows and changes budgets in the control store. Prints them, or what became of them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Map, Value};
use spendstream_control::budget_file;
use spendstream_control::budgets::BudgetFilter;
use spendstream_schemas::budget::{Budget, BudgetDraft};
use spendstream_schemas::config::Config;

use super::control::{Output, Session, one_error, pair, print_json, print_rows, wanted, with_store};

/// Subcommands of `spendstream budgets`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List budgets.
    List(List),
    /// Show one.
    Show { id: String },
    /// Make one: `name="search team" scope.team=search period=monthly amount=100.00`.
    Create {
        /// Fields of POST /v1/budgets; lists and objects as JSON.
        #[arg(required = true, value_name = "FIELD=VALUE")]
        fields: Vec<String>,
    },
    /// Change fields of one; `FIELD=null` puts the default back.
    Update {
        id: String,
        #[arg(required = true, value_name = "FIELD=VALUE")]
        fields: Vec<String>,
    },
    /// Make one inactive; its history stays.
    Delete { id: String },
    /// Count from now on: what was spent in the running period no longer counts.
    Reset { id: String },
    /// Make the budgets of a TOML file exactly those of the store that came from a file.
    Apply { file: PathBuf },
}

/// Which budgets, and how they are printed.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Inactive ones too.
    #[arg(long)]
    all: bool,
    /// Only those whose scope says this, in any spelling: `team=search`, `user=*`, `provider=bedrock`.
    #[arg(long, value_name = "NAME=VALUE")]
    scope: Vec<String>,
    #[command(flatten)]
    output: Output,
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_store(&config, |session| act(command, session, &config))
}

async fn act(command: Command, session: Session, config: &Config) -> anyhow::Result<()> {
    let (budgets, act, currency) = (session.store.budgets(), session.act(), &config.lake.currency);
    let changed = match command {
        Command::List(args) => return list(&args, &session, config).await,
        Command::Apply { file } => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| format!("reading {name}"))?;
            let drafts = budget_file::read(&text, &name).map_err(one_error)?;
            return print_json(&budgets.apply("file", &drafts, currency, &act).await.map_err(one_error)?);
        }
        Command::Show { id } => budgets.get(&id).await,
        Command::Create { fields } => budgets.create(&draft(&fields)?, currency, &act).await,
        Command::Update { id, fields } => budgets.update(&id, &draft(&fields)?, currency, &act).await,
        Command::Delete { id } => budgets.delete(&id, &act).await,
        Command::Reset { id } => budgets.reset(&id, &act).await,
    };
    print_json(&changed.map_err(one_error)?)
}

async fn list(args: &List, session: &Session, config: &Config) -> anyhow::Result<()> {
    let wanted = wanted(&args.scope, session, config).await?;
    let filter = BudgetFilter { active: (!args.all).then_some(true) };
    let mut budgets = session.store.budgets().list(&filter).await.map_err(one_error)?;
    budgets.retain(|budget| wanted.as_ref().is_none_or(|wanted| wanted.takes_budget(budget)));
    let row = |budget: &Budget| {
        let hard = if budget.hard_limit { "hard" } else { "" };
        let active = if budget.active { "" } else { "inactive" };
        vec![
            budget.id.clone(),
            budget.name.clone(),
            budget.scope.to_string(),
            budget.period.period.to_string(),
            budget.amount.to_string(),
            budget.currency.clone(),
            hard.to_owned(),
            active.to_owned(),
        ]
    };
    let columns = ["id", "name", "scope", "period", "amount", "currency", "limit", "state"];
    print_rows(&columns, &budgets.iter().map(row).collect::<Vec<_>>(), &args.output)
}

/// `FIELD=VALUE` as a draft: `scope.team=search` is a part of `scope`; what looks like JSON is JSON, the rest is text.
/// Fields that are objects, and may be given in parts: `scope.team=search`, `increase.amount=50`.
const IN_PARTS: [&str; 3] = ["scope", "amounts_by", "increase"];

fn draft(fields: &[String]) -> anyhow::Result<BudgetDraft> {
    let mut draft = Map::new();
    for text in fields {
        let (name, value) = pair(text)?;
        let part = IN_PARTS.iter().find_map(|whole| Some((*whole, name.strip_prefix(whole)?.strip_prefix('.')?)));
        let is_json = value.starts_with(['{', '[']) || ["true", "false", "null"].contains(&value);
        // A team may be called true.
        let is_text = !is_json || part.is_some_and(|(whole, _)| whole == "scope");
        let value = if is_text {
            Value::String(value.to_owned())
        } else {
            serde_json::from_str(value).with_context(|| format!("{name} is no JSON"))?
        };
        match part {
            None => drop(draft.insert(name.to_owned(), value)),
            Some((whole, part)) => {
                let parts = draft.entry(whole).or_insert_with(|| Value::Object(Map::new()));
                let parts =
                    parts.as_object_mut().with_context(|| format!("{whole} is given both as a whole and in parts"))?;
                parts.insert(part.to_owned(), value);
            }
        }
    }
    Ok(BudgetDraft(draft))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn fields_become_a_draft() {
        let fields = [
            "name=a=b",
            "scope.team=true",
            "scope.tags.env=prod",
            "thresholds=[50, 80]",
            "hard_limit=true",
            "increase.amount=5",
            "increase.until=2026-12-01T00:00:00Z",
            "amounts_by.attribute=plan",
            "amounts_by.amounts={\"pro\": \"5\"}",
        ];
        let draft = super::draft(&fields.map(str::to_owned)).unwrap();
        assert_eq!(
            serde_json::to_value(draft).unwrap(),
            json!({
                "name": "a=b", "scope": {"team": "true", "tags.env": "prod"}, "thresholds": [50, 80], "hard_limit": true,
                "increase": {"amount": "5", "until": "2026-12-01T00:00:00Z"},
                "amounts_by": {"attribute": "plan", "amounts": {"pro": "5"}},
            })
        );
        assert!(super::draft(&["name".to_owned()]).is_err());
        assert!(super::draft(&["thresholds=[50".to_owned()]).is_err());
    }
}
