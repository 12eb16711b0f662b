//! `spendstream prices show`: every price of one model, past and future ones too, and what an organisation pays.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use spendstream_schemas::config::Config;
use spendstream_schemas::note::Note;
use spendstream_schemas::price_book::{Plan, PriceBook, PriceRow, Question, show_instant};

use super::unit_price::unit_price;
use super::{CONDITIONS, View, conditions, names, price_text};

/// Show every price of one model: meters, context tiers, service tiers, regions, schedules, dates and where each comes from.
///
/// `effective_price` is what one call would pay at the moment for that meter: in the lake's currency, after overrides.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream prices show openai gpt-5
  spendstream prices show aws anthropic.claude-sonnet-4-5-20250929 --region eu --organization acme
  spendstream prices show deepseek deepseek-chat --at 2026-11-20T08:00:00Z --format json")]
pub struct Args {
    /// Provider by any of its names.
    provider: String,
    /// Model as an event would name it: aliases and dated ids are found too.
    model: String,
    /// Whose overrides and discounts to apply.
    #[arg(long)]
    organization: Option<String>,
    #[arg(long)]
    billing_account: Option<String>,
    #[arg(long)]
    service_tier: Option<String>,
    #[arg(long)]
    region: Option<String>,
    #[command(flatten)]
    view: View,
}

pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let (book, at) = args.view.open(config)?;
    let question = Question {
        provider: Some(&args.provider),
        model: Some(&args.model),
        service_tier: args.service_tier.as_deref(),
        region: args.region.as_deref(),
        organization: args.organization.as_deref(),
        billing_account: args.billing_account.as_deref(),
        operation: None,
        model_answered: None,
    };
    if book.provider_id(&args.provider).is_none() {
        bail!("{}", names::why_none(&book, Some(&args.provider), None));
    }
    let plan = book
        .resolve(&question)
        .map_err(|error| anyhow!("{error}; {}", names::models(&book, Some(&args.provider), &args.model)))?;
    let rows = rows_of(&book, &plan, &question);
    if rows.is_empty() {
        bail!("{}/{} has no price in the book", plan.provider_id, plan.model_id);
    }
    let columns =
        [&["meter", "price"], &CONDITIONS[..], &["in_force", "effective_price", "source", "source_ref"]].concat();
    let cells: Vec<_> = rows.iter().map(|row| cells(&book, &question, row, at)).collect();
    let head = format!("{} / {} at {}{}\n", plan.provider_id, plan.model_id, show_instant(at), notes(&plan));
    let foot = format!("book {} of {}\n", book.version(), book.date());
    args.view.print(&head, &columns, &cells, &foot)?;
    Ok(ExitCode::SUCCESS)
}

/// The rows of the model that was found; where the provider shares another's prices, of that other.
fn rows_of<'a>(book: &'a PriceBook, plan: &Plan, question: &Question<'_>) -> Vec<&'a PriceRow> {
    let of = |provider: &str| -> Vec<&PriceRow> {
        book.rows().iter().filter(|row| *row.provider == *provider && *row.model == *plan.model_id).collect()
    };
    let own = of(&plan.provider_id);
    if !own.is_empty() {
        return own;
    }
    let owner = book.rows().iter().find(|row| {
        *row.model == *plan.model_id && book.resolve(&Question { provider: Some(&row.provider), ..*question }).is_ok()
    });
    owner.map_or_else(Vec::new, |row| of(&row.provider))
}

fn cells(book: &PriceBook, question: &Question<'_>, row: &PriceRow, at: i64) -> Vec<String> {
    let scheduled = row.schedule.as_ref().is_none_or(|schedule| schedule.contains(at));
    let in_force = row.in_force(at) && scheduled;
    // A call of this row's own tier and region, so that each line says what it says.
    let tier = if row.service_tier.is_empty() { question.service_tier } else { Some(&*row.service_tier) };
    let region = if row.region.is_empty() { question.region } else { Some(&*row.region) };
    let own_plan = book.resolve(&Question { service_tier: tier, region, ..*question });
    let effective = match own_plan {
        Ok(plan) if in_force => unit_price(&plan, row, at),
        _ => None,
    };
    let effective = effective.map(|price| {
        let own = format!("{} {} per {}", price.own, book.currency(), row.per);
        if price.own == price.list { own } else { format!("{own} (list {})", price.list) }
    });
    let price = [row.meter.to_string(), price_text(row)];
    let rest = [
        if in_force { "yes" } else { "no" }.to_owned(),
        effective.unwrap_or_default(),
        row.source.to_string(),
        row.source_ref.to_string(),
    ];
    price.into_iter().chain(conditions(row)).chain(rest).collect()
}

fn notes(plan: &Plan) -> String {
    let names: Vec<_> = plan.notes.iter().map(Note::name).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::price_book::{Question, parse_instant};

    use super::super::list::tests::book;
    use super::{cells, rows_of};

    #[test]
    fn each_line_says_whether_it_holds_and_what_is_paid() {
        let book = book(
            "openai,gpt-5,input,1.25,1000000,USD,,2026-06-01,,,,,,\n\
             openai,gpt-5,input,2,1000000,USD,2026-06-01,,,,,,,\n\
             openai,gpt-5,input,1,1000000,USD,,,,batch,,,,",
            "[[override]]\norganization = \"acme\"\nprovider = \"openai\"\ndiscount_percent = \"10\"\n",
        );
        let question = Question {
            provider: Some("azure"),
            model: Some("gpt-5"),
            organization: Some("acme"),
            ..Question::default()
        };
        let at = parse_instant("2026-07-01").unwrap();
        for provider in ["openai", "azure"] {
            let question = Question { provider: Some(provider), ..question };
            let plan = book.resolve(&question).unwrap();
            let rows = rows_of(&book, &plan, &question);
            let lines: Vec<_> = rows.iter().map(|row| cells(&book, &question, row, at)[8..10].join(" ")).collect();
            let discounted = provider == "openai";
            let expected = if discounted {
                ["no ", "yes 1.8 USD per 1000000 (list 2)", "yes 0.9 USD per 1000000 (list 1)"]
            } else {
                ["no ", "yes 2 USD per 1000000", "yes 1 USD per 1000000"]
            };
            assert_eq!(lines, expected, "{provider}");
        }
    }
}
