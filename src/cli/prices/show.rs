//! `spendstream prices show`: every price of one model, past and future ones too, and what an organisation pays.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use spendstream_schemas::config::Config;
use spendstream_schemas::note::Note;
use spendstream_schemas::price_book::{Plan, PriceBook, PriceRow, Question, show_instant};

use super::unit_price::unit_price;
use super::{BookArgs, Format, bound_text, instant, price_text, table, tier_text};

const COLUMNS: [&str; 12] = [
    "meter",
    "price",
    "above_tokens",
    "service_tier",
    "region",
    "schedule",
    "effective_from",
    "effective_until",
    "in_force",
    "effective_price",
    "source",
    "source_ref",
];

/// Show every price of one model: meters, context tiers, service tiers, regions, schedules, dates and where each comes from.
///
/// `effective_price` is what one call would pay at the moment for that meter: in the lake's currency, after overrides.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream prices show openai gpt-5
  spendstream prices show aws anthropic.claude-sonnet-4-5 --region eu --organization acme
  spendstream prices show deepseek deepseek-chat --at 2026-11-20T08:00:00Z --format json")]
pub struct Args {
    /// Provider by any of its names.
    provider: String,
    /// Model as an event would name it: aliases and dated ids are found too.
    model: String,
    /// The moment: a date (midnight UTC) or an RFC 3339 time. Default: now.
    #[arg(long, value_name = "DATE")]
    at: Option<String>,
    /// Whose overrides and discounts to apply.
    #[arg(long)]
    organization: Option<String>,
    #[arg(long)]
    billing_account: Option<String>,
    #[arg(long)]
    service_tier: Option<String>,
    #[arg(long)]
    region: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    book: BookArgs,
}

pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let book = args.book.source(config).load()?;
    let at = instant(args.at.as_deref())?;
    let question = Question {
        provider: Some(&args.provider),
        model: Some(&args.model),
        service_tier: args.service_tier.as_deref(),
        region: args.region.as_deref(),
        organization: args.organization.as_deref(),
        billing_account: args.billing_account.as_deref(),
        operation: None,
    };
    let plan =
        book.resolve(&question).map_err(|error| anyhow!("{error}; {}", similar(&book, &args.provider, &args.model)))?;
    let rows = rows_of(&book, &plan, &question);
    if rows.is_empty() {
        bail!("{}/{} has no price in the book", plan.provider_id, plan.model_id);
    }
    let cells: Vec<_> = rows.iter().map(|row| cells(&book, &question, row, at)).collect();
    if args.format == Format::Table {
        println!("{} / {} at {}{}", plan.provider_id, plan.model_id, show_instant(at), notes(&plan));
    }
    print!("{}", table::render(&COLUMNS, &cells, args.format)?);
    if args.format == Format::Table {
        println!("book {} of {}", book.version(), book.date());
    }
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
    vec![
        row.meter.to_string(),
        price_text(row),
        tier_text(row),
        row.service_tier.to_string(),
        row.region.to_string(),
        row.schedule.as_ref().map(ToString::to_string).unwrap_or_default(),
        bound_text(row.effective_from),
        bound_text(row.effective_until),
        if in_force { "yes" } else { "no" }.to_owned(),
        effective.unwrap_or_default(),
        row.source.to_string(),
        row.source_ref.to_string(),
    ]
}

fn notes(plan: &Plan) -> String {
    let names: Vec<_> = plan.notes.iter().map(Note::name).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

/// Models whose names are close to one that was not found.
fn similar(book: &PriceBook, provider: &str, model: &str) -> String {
    let provider = book.provider_id(provider);
    let model = model.to_lowercase();
    let mut names: Vec<String> = book.rows().iter().map(|row| format!("{}/{}", row.provider, row.model)).collect();
    names.dedup();
    let likeness = |name: &String| {
        let (of, own) = name.split_once('/').unwrap_or(("", name));
        let bonus = if Some(of) == provider { 0.1 } else { 0.0 };
        strsim::jaro_winkler(&own.to_lowercase(), &model) + bonus
    };
    let mut ranked: Vec<(f64, &String)> = names.iter().map(|name| (likeness(name), name)).collect();
    ranked.retain(|(likeness, _)| *likeness > 0.85);
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    match &ranked[..] {
        [] => "see `spendstream prices list`".to_owned(),
        near => {
            format!("similar: {}", near.iter().take(3).map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::price_book::{Question, parse_instant};

    use super::super::list::tests::book;
    use super::{cells, rows_of, similar};

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

    #[test]
    fn a_wrong_name_gets_near_ones() {
        let book = book("openai,gpt-5-mini,input,1,1000000,USD,,,,,,,,\ngroq,llama,input,1,1000000,USD,,,,,,,,", "");
        assert_eq!(similar(&book, "openai", "gpt5-mini"), "similar: openai/gpt-5-mini");
        assert_eq!(similar(&book, "groq", "zzz"), "see `spendstream prices list`");
    }
}
