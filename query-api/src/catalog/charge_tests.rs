//! Charges are money beside calls: the view `spend` has both, once.

use spendstream_schemas::dimension::Text;
use spendstream_schemas::money::Amount;
use spendstream_schemas::table::charges::{Charge, ChargeCategory};

use crate::sql::engine::Engine;
use crate::testing::{Row, THREE, TestLake, days, json};

fn charge(id: &str, team: &str, amount: &str, date: &str) -> Charge {
    let mut charge = Charge::blank(id.to_owned(), ChargeCategory::Credit, "USD", "test");
    charge.time = i64::from(days(date)) * 86_400_000_000;
    charge.period = (charge.time, charge.time + 1);
    charge.billing_period = date[..7].to_owned();
    charge.amount = Amount::from_decimal(amount.parse().unwrap()).unwrap();
    charge.texts.insert(Text::Team, team.to_owned());
    charge.tags.insert("plan".to_owned(), "pro".to_owned());
    charge
}

async fn check(engine: &Engine, sql: &str, expected: &str) {
    assert_eq!(json(engine, sql).await.unwrap(), expected, "{sql}");
}

#[tokio::test]
async fn spend_is_all_money() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    check(&engine, "SELECT count(*) AS n FROM charges", r#"[{"n":0}]"#).await;
    check(&engine, "SELECT sum(cost) AS c, sum(calls) AS n FROM spend", r#"[{"c":"0.300000000000003","n":3}]"#).await;
    let columns = "SELECT count(*) AS n FROM information_schema.columns WHERE table_name = 'spend'";
    let before = json(&engine, columns).await;
    lake.charge(&[charge("x", "search", "-0.1", "2026-11-02"), charge("y", "billing", "2", "2026-10-31")]).await;
    assert_eq!(json(&engine, columns).await.unwrap(), before.unwrap(), "the columns do not depend on charges");
    for (sql, expected) in [
        (
            "SELECT sum(cost) AS c, sum(amount) AS a, sum(calls) AS n FROM spend",
            r#"[{"c":"2.200000000000003","a":"2.200000000000003","n":3}]"#,
        ),
        ("SELECT sum(cost) AS c FROM usage", r#"[{"c":"0.300000000000003"}]"#),
        (
            "SELECT billing_period, sum(cost) AS c FROM spend GROUP BY 1 ORDER BY 1",
            "[{\"billing_period\":\"2026-10\",\"c\":\"2\"},\n{\"billing_period\":\"2026-11\",\"c\":\"0.200000000000003\"}]",
        ),
        (
            "SELECT event_id, charge_category, tags['plan'] AS plan, list_cost FROM spend WHERE team = 'search' AND date = '2026-11-02'",
            r#"[{"event_id":"x","charge_category":"Credit","plan":"pro","list_cost":null}]"#,
        ),
        ("SELECT sum(input_tokens) AS n, count(quantities) AS q FROM spend", r#"[{"n":3000,"q":3}]"#),
        (
            "SELECT charge_id, charge_source FROM spend WHERE charge_id IS NOT NULL ORDER BY event_time LIMIT 1",
            r#"[{"charge_id":"y","charge_source":"test"}]"#,
        ),
    ] {
        check(&engine, sql, expected).await;
    }
}

#[tokio::test]
async fn months_are_those_of_the_time_zone_of_reports() {
    let late = Row { id: "a", time: Some("2026-10-31T23:30:00Z"), date: "2026-10-31", cost: Some("1"), ..Row::BLANK };
    let mut lake = TestLake::with(&[late]).await;
    let sql = "SELECT billing_period FROM spend";
    check(&lake.engine(), sql, r#"[{"billing_period":"2026-10"}]"#).await;
    lake.config.reports.timezone = "Europe/Berlin".to_owned();
    check(&lake.engine(), sql, r#"[{"billing_period":"2026-11"}]"#).await;
}
