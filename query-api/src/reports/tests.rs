//! Reports over small lakes, with exact figures; every statement that is shown gives the figures again.

use chrono_tz::Tz;
use serde_json::{Value, json};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::money::Amount;
use spendstream_schemas::pseudonym::Pseudonyms;
use spendstream_schemas::table::charges::{Charge, ChargeCategory};

use super::write::{Form, write};
use super::{Ground, Kind, make};
use crate::testing::{Row, TestLake, days, json as answer};
use crate::words::Words;

async fn report(lake: &TestLake, kind: Kind, words: &[(&str, &str)]) -> Result<Value, String> {
    let engine = lake.engine();
    let pseudonyms = Pseudonyms::default();
    let now = "2026-11-15T12:00:00Z".parse().unwrap();
    let ground = Ground { engine: &engine, now, zone: Tz::UTC, currency: "USD", pseudonyms: &pseudonyms };
    let mut pairs: Vec<_> = words.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    pairs.push(("explain".to_owned(), "sql".to_owned()));
    let document = make(kind, &ground, Words::new(pairs)?).await.map_err(|error| error.to_string())?;
    let bytes = write(&document, Form::Json).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    // What is asked again by SQL is what was reported.
    for (part, sql) in value["sql"].as_object().unwrap() {
        let again: Value = serde_json::from_str(&answer(&engine, sql.as_str().unwrap()).await.unwrap()).unwrap();
        if matches!(kind, Kind::Summary | Kind::Runs) {
            assert_eq!(again, value[part], "{sql}");
        }
    }
    Ok(value)
}

/// The rows of a table as lines of the columns that are asked for.
fn lines(report: &Value, table: &str, columns: &str) -> Vec<String> {
    let line = |row: &Value| {
        let cells = columns.split(' ').map(|column| match row.get(column) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => format!("no {column} in {row}"),
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    report[table].as_array().unwrap().iter().map(line).collect()
}

fn row(time: &'static str, team: &'static str, cost: &'static str) -> Row {
    Row { id: time, date: &time[..10], time: Some(time), team, cost: Some(cost), ..Row::BLANK }
}

fn charge(id: &str, date: &str, amount: &str) -> Charge {
    let mut charge = Charge::blank(id.to_owned(), ChargeCategory::Credit, "USD", "test");
    charge.time = i64::from(days(date)) * 86_400_000_000;
    charge.period = (charge.time, charge.time + 1);
    charge.billing_period = date[..7].to_owned();
    charge.amount = Amount::from_decimal(amount.parse().unwrap()).unwrap();
    charge
}

#[tokio::test]
async fn a_summary_is_what_its_statement_gives() {
    let lake = TestLake::with(&[
        Row { env: Some("prod"), latency: Some(100), ..row("2026-10-31T23:30:00Z", "search", "0.1") },
        Row { status: Some("error"), ..row("2026-11-01T10:00:00Z", "search", "0.2") },
        Row { cost: None, ..row("2026-11-01T11:00:00Z", "ads", "0") },
        Row { team: "", ..row("2026-11-02T11:00:00Z", "", "0.000000000000003") },
    ])
    .await;
    let november = [("from", "2026-11-01"), ("to", "2026-11-03"), ("timezone", "Europe/Berlin")];
    let with = |more: &[(&'static str, &'static str)]| [&november[..], more].concat();
    for (more, columns, expected) in [
        (with(&[]), "calls input_tokens cost failures unpriced_calls", vec!["4 4000 0.300000000000003 1 1"]),
        (
            with(&[("granularity", "day"), ("group_by", "team")]),
            "bucket team calls cost mean_cost",
            vec![
                "2026-11-01 ads 1 null null",
                "2026-11-01 search 2 0.3 0.15",
                "2026-11-02 null 1 0.000000000000003 0.000000000000003",
            ],
        ),
        (with(&[("granularity", "month")]), "bucket calls", vec!["2026-11 4"]),
        (with(&[("granularity", "week")]), "bucket calls", vec!["2026-10-26 3", "2026-11-02 1"]),
        (
            with(&[("granularity", "hour"), ("team", "search")]),
            "bucket calls",
            vec!["2026-11-01T00:00:00+01:00 1", "2026-11-01T11:00:00+01:00 1"],
        ),
        (with(&[("group_by", "tags.env,model")]), "tags.env model calls", vec!["prod gpt-4o 1", "null gpt-4o 3"]),
        (with(&[("team", "")]), "cost", vec!["0.000000000000003"]),
        (with(&[("team", "x' OR '1'='1")]), "calls cost", vec!["0 null"]),
        (with(&[("group_by", "team"), ("limit", "1"), ("after", "1")]), "team", vec!["search"]),
        // 1 USD is 0.92 EUR.
        (with(&[("currency", "EUR"), ("team", "search")]), "cost", vec!["0.276"]),
    ] {
        let found = report(&lake, Kind::Summary, &more).await.unwrap();
        assert_eq!(lines(&found, "rows", columns), expected, "{more:?}");
    }
    let found = report(&lake, Kind::Summary, &with(&[("group_by", "team"), ("limit", "1")])).await.unwrap();
    assert_eq!(found["next"], 1);
    for (more, expected) in [
        (with(&[("group_by", "cost; DROP")]), "is no dimension"),
        (with(&[("teem", "search")]), "did you mean 'team'"),
        (with(&[("granularity", "minute")]), "granularity=minute"),
        (with(&[("currency", "XAU")]), "no exchange rate from USD to 'XAU'"),
        (with(&[("currency", "euro")]), "currency=euro"),
        (vec![("from", "2026-11-02"), ("to", "2026-11-01")], "is not before"),
    ] {
        let error = report(&lake, Kind::Summary, &more).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn runs_say_what_an_item_costs() {
    let call = |time, metric, item, cost| Row { run: Some(["r1", metric, item]), ..row(time, "eval", cost) };
    let lake = TestLake::with(&[
        call("2026-11-10T10:00:00Z", "helpfulness", "1", "0.3"),
        call("2026-11-10T10:00:02Z", "helpfulness", "2", "0.1"),
        call("2026-11-10T10:00:05Z", "safety", "1", "0.2"),
        Row { status: Some("error"), run: Some(["r2", "safety", "1"]), ..row("2026-11-11T10:00:00Z", "eval", "1") },
        row("2026-11-11T10:00:00Z", "search", "9"),
    ])
    .await;
    let found = report(&lake, Kind::Runs, &[]).await.unwrap();
    assert_eq!(
        lines(&found, "runs", "run_id calls items cost cost_per_item failures duration_ms"),
        ["r1 3 2 0.6 0.3 0 5000", "r2 1 1 1 1 1 0"]
    );
    assert_eq!(
        lines(&found, "metrics", "run_id metric items cost cost_per_item"),
        ["r1 helpfulness 2 0.4 0.2", "r1 safety 1 0.2 0.2", "r2 safety 1 1 1"]
    );
    let found = report(&lake, Kind::Runs, &[("run_id", "r2")]).await.unwrap();
    assert_eq!(lines(&found, "runs", "run_id started_at"), ["r2 2026-11-11T10:00:00Z"]);
}

#[tokio::test]
async fn a_day_stands_beside_the_day_before_and_its_weekday() {
    let lake = TestLake::with(&[
        row("2026-11-14T10:00:00Z", "search", "3"),
        Row { user: Some("ann"), ..row("2026-11-14T11:00:00Z", "ads", "1") },
        row("2026-11-13T10:00:00Z", "search", "1"),
        row("2026-11-13T11:00:00Z", "ads", "2"),
        row("2026-11-07T10:00:00Z", "search", "2"),
        row("2026-10-31T10:00:00Z", "search", "1"),
        // No such weekday.
        row("2026-11-06T10:00:00Z", "search", "100"),
    ])
    .await;
    let found = report(&lake, Kind::Daily, &[]).await.unwrap();
    assert_eq!(found["title"], "Spend of 2026-11-14");
    let totals = "cost calls users before change change_percent weekday_mean weekday_change weekday_change_percent";
    assert_eq!(lines(&found, "totals", totals), ["4 2 1 3 1 33.3333 1.5 2.5 166.6667"]);
    assert_eq!(lines(&found, "by_team", "team cost percent before"), ["search 3 75 1", "ads 1 25 2"]);
    let teams: Vec<_> = lines(&found, "movers", "dimension value change weekday_change")
        .into_iter()
        .filter(|line| line.starts_with("team"))
        .collect();
    assert_eq!(teams, ["team search 2 1.5", "team ads -1 1"]);
    let found = report(&lake, Kind::Monthly, &[("month", "2026-11"), ("team", "search")]).await.unwrap();
    assert_eq!(lines(&found, "totals", "cost before change weekday_mean"), ["106 1 105 null"]);
}

async fn october() -> TestLake {
    let lake = TestLake::with(&[
        Row { user: Some("ann"), ..row("2026-10-05T10:00:00Z", "search", "60") },
        Row { user: Some("bob"), ..row("2026-10-05T11:00:00Z", "search", "0.000000000000001") },
        Row { user: Some("ann"), ..row("2026-10-06T10:00:00Z", "ads", "30") },
        row("2026-10-07T10:00:00Z", "platform", "10"),
        row("2026-10-08T10:00:00Z", "", "1"),
        row("2026-11-01T00:00:00Z", "search", "1000"),
    ])
    .await;
    let mut credit = charge("credit", "2026-10-31", "-6");
    credit.texts.insert(Text::Team, "ads".to_owned());
    lake.charge(&[credit]).await;
    lake
}

#[tokio::test]
async fn a_chargeback_adds_up_to_the_last_digit() {
    let lake = october().await;
    let asked = |more: &[(&'static str, &'static str)]| [&[("month", "2026-10")][..], more].concat();
    let columns = "team whose users requests cost shared_cost total percent";
    for (more, expected) in [
        (
            asked(&[]),
            vec![
                "search owner 2 2 60.000000000000001 0 60.000000000000001 63.1579",
                "ads owner 1 1 24 0 24 25.2632",
                "platform owner 0 1 10 0 10 10.5263",
                "null unallocated 0 1 1 0 1 1.0526",
            ],
        ),
        (
            asked(&[("split", "even"), ("shared.team", "platform")]),
            vec![
                "search owner 2 2 60.000000000000001 5.5 65.500000000000001 68.9474",
                "ads owner 1 1 24 5.5 29.5 31.0526",
                "null unallocated 0 1 1 -1 0 0",
                "platform shared 0 1 10 -10 0 0",
            ],
        ),
        (
            asked(&[("weights", "ads:1,new:2"), ("shared.team", "platform")]),
            vec![
                "search owner 2 2 60.000000000000001 0 60.000000000000001 63.1579",
                "ads owner 1 1 24 3.666666666666667 27.666666666666667 29.1228",
                "new owner 0 0 0 7.333333333333333 7.333333333333333 7.7193",
                "null unallocated 0 1 1 -1 0 0",
                "platform shared 0 1 10 -10 0 0",
            ],
        ),
    ] {
        let found = report(&lake, Kind::Chargeback, &more).await.unwrap();
        assert_eq!(lines(&found, "lines", columns), expected, "{more:?}");
        assert_eq!(
            lines(&found, "totals", "users requests cost shared_cost total percent"),
            ["2 5 95.000000000000001 0 95.000000000000001 100"]
        );
        let facts = [&found["currency"], &found["timezone"], &found["price_books"]];
        assert_eq!(facts, [&json!("USD"), &json!("UTC"), &json!(["price_book_version"])]);
        assert!(found["lake_version"].is_u64() && found["charges_version"].is_u64(), "{found}");
    }
    let more = asked(&[("allocate", "100 EUR"), ("split", "proportional"), ("by", "team,model")]);
    let found = report(&lake, Kind::Chargeback, &more).await.unwrap();
    // The credit has no model, and takes no part; a row without a team gives away what it has.
    let expected = ["search gpt-4o 60", "ads gpt-4o 30", "platform gpt-4o 10", "null gpt-4o 0", "ads null 0"];
    assert_eq!(lines(&found, "lines", "team model allocated"), expected);
    assert_eq!(lines(&found, "totals", "allocated"), ["100"]);
    for (more, expected) in [
        (asked(&[("allocate", "100")]), "allocate=100 is no amount"),
        (asked(&[("by", "")]), "by names no dimension"),
        (asked(&[("from", "2026-10-01")]), "leave one out"),
        (asked(&[("split", "fair")]), "split=fair"),
        (asked(&[("shared.teem", "x")]), "shared.teem"),
        (vec![("month", "2026-13")], "month=2026-13 is no month"),
    ] {
        let error = report(&lake, Kind::Chargeback, &more).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_chargeback_in_another_currency_says_by_which_rates() {
    let lake = october().await;
    let found = report(&lake, Kind::Chargeback, &[("month", "2026-10"), ("currency", "EUR")]).await.unwrap();
    assert_eq!(lines(&found, "totals", "total"), ["87.400000000000001"]);
    assert_eq!(found["rates"], json!(["2026-10-05 to 2026-10-31: 0.920000000000000"]));
}
