//! Summaries and reports through the router: forms, statements, budgets, refusals.

use serde_json::{Value, json};

use super::site::{Site, spent};

async fn site() -> Site {
    Site::with(&[
        spent("2026-11-13T10:00:00Z", "search", Some("ann"), "10"),
        spent("2026-11-14T10:00:00Z", "search", Some("ann"), "30"),
        spent("2026-11-14T11:00:00Z", "ads", None, "0.000000000000001"),
    ])
    .await
}

#[tokio::test]
async fn a_summary_shows_the_statement_that_gives_it() {
    let site = site().await;
    let body = site.get("/v1/summary?from=2026-11-01&to=2026-11-15&granularity=day&group_by=team&explain=sql").await;
    let again = site.send("POST", "/v1/sql", "", &json!({"query": body["sql"]["rows"]})).await.is(200);
    assert_eq!((again.as_array().unwrap().len(), &again), (3, &body["rows"]));
    assert_eq!(body["rows"][1]["cost"], "0.000000000000001");
    assert_eq!(site.get("/v1/summary").await["sql"], Value::Null, "nobody asked for it");
    for (path, expected) in [
        ("/v1/summary?group_by=teem", "teem"),
        ("/v1/summary?teem=x", "no parameter 'teem'"),
        ("/v1/summary?limit=0", "limit=0"),
        ("/v1/summary?format=pdf", "no format 'pdf'"),
        ("/v1/summary?explain=plan", "explain=plan"),
        ("/v1/reports/daily?date=yesterday", "date=yesterday"),
        ("/v1/reports/chargeback?month=October", "month=October"),
        ("/v1/reports/chargeback?team=a&team=b", "twice"),
    ] {
        let problem = site.send("GET", path, "", &Value::Null).await.problem(400, "invalid_request");
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{path}: {problem}");
    }
    let image = site.send("GET", "/v1/summary", "accept: image/png", &Value::Null).await;
    image.problem(406, "not_acceptable");
}

#[tokio::test]
async fn a_report_of_a_period_says_how_its_budgets_stand() {
    let site = site().await;
    site.budget(json!({"team": "search"}), json!({"name": "search", "amount": "160"})).await;
    site.budget(json!({"team": "search"}), json!({"name": "day", "amount": "20", "period": "daily"})).await;
    let body = site.get("/v1/reports/monthly").await;
    let budget = &body["budgets"][0];
    let figures = ["budget", "cost", "limit", "percent", "remaining"].map(|name| budget[name].as_str().unwrap());
    assert_eq!(figures, ["search", "40", "160", "25", "120"], "{body}");
    assert_eq!(
        (body["budgets"].as_array().unwrap().len(), &body["totals"][0]["cost"]),
        (1, &json!("40.000000000000001"))
    );
    let body = site.get("/v1/reports/daily?date=2026-11-14").await;
    let budget = &body["budgets"][0];
    let figures = ["budget", "cost", "limit", "percent", "remaining"].map(|name| budget[name].as_str().unwrap());
    assert_eq!(figures, ["day", "30", "20", "150", "-10"], "{body}");
    let body = site.get("/v1/reports/daily?date=2026-11-14&team=ads").await;
    assert_eq!((&body["budgets"], &body["totals"][0]["calls"]), (&Value::Null, &json!(1)));
}
