//! How budgets stand, through the router: exact figures over a real lake.

use serde_json::{Value, json};
use spendstream_control::Act;

use super::site::{NOON, Site, spent, time};
use crate::testing::{Row, TestLake};

#[tokio::test]
async fn figures_are_exact_at_every_threshold() {
    let outside = [
        spent("2026-10-31T23:59:59.999999Z", "search", None, "1000"),
        spent("2026-12-01T00:00:00Z", "search", None, "1000"),
        spent("2026-11-10T00:00:00Z", "ads", None, "1000"),
    ];
    let site = Site::with(&outside).await;
    let id = site.budget(json!({"team": "search"}), json!({"hard_limit": true})).await;
    let state = site.states(&id).await.remove(0);
    assert_eq!((&state["used"], &state["percent"], &state["status"]), (&"0".into(), &"0".into(), &"ok".into()));
    assert_eq!(state["days_until_exhausted"], Value::Null);
    for (cost, used, percent, remaining, status) in [
        ("49.999999999999999", "49.999999999999999", "49.9999", "50.000000000000001", "ok"),
        ("30.000000000000001", "80", "80", "20", "warning"),
        ("14.999", "94.999", "94.999", "5.001", "warning"),
        ("0.001", "95", "95", "5", "critical"),
        ("5", "100", "100", "0", "exceeded"),
        ("20", "120", "120", "-20", "exceeded"),
    ] {
        site.lake.append(&[spent("2026-11-01T00:00:00Z", "search", None, cost)]).await;
        let state = site.states(&id).await.remove(0);
        let figures = ["used", "percent", "remaining", "status"].map(|name| state[name].as_str().unwrap());
        assert_eq!(figures, [used, percent, remaining, status]);
        assert_eq!((&state["held"], &state["amount"], &state["currency"]), (&"0".into(), &"100".into(), &"USD".into()));
        assert_eq!(
            (&state["period_start"], &state["period_end"]),
            (&"2026-11-01T00:00:00Z".into(), &"2026-12-01T00:00:00Z".into())
        );
        if used == "80" {
            // 14.5 of 30 days are over: 80 × 30 / 14.5, and 20 left at 80 / 14.5 a day.
            assert_eq!(state["projected"], "165.517241379310345");
            assert_eq!(state["days_until_exhausted"], "3.6");
            assert!(state["advice"].as_str().unwrap().contains("3.6 days"), "{state}");
        }
    }
    // All at once: the same figure, and a budget that is not in force is left out.
    site.budget(json!({"team": "ads"}), json!({"valid_from": "2026-12-01T00:00:00Z"})).await;
    let all = site.get("/v1/budgets/status").await;
    assert_eq!(all["states"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&all["states"][0]["used"], &all["lake_version"], &all["next"]),
        (&"120".into(), &6.into(), &Value::Null)
    );
    assert_eq!(site.get("/v1/budgets/status?team=ads").await["states"], json!([]));
}

#[tokio::test]
async fn a_template_has_a_state_per_present_value() {
    let site = Site::with(&[
        spent("2026-11-02T00:00:00Z", "search", Some("ann"), "10"),
        spent("2026-11-03T00:00:00Z", "ads", Some("ann"), "0.5"),
        spent("2026-11-02T00:00:00Z", "search", Some("bob"), "20"),
        spent("2026-11-02T00:00:00Z", "search", Some("o'neil"), "30"),
        spent("2026-11-02T00:00:00Z", "search", None, "5"),
        Row { env: Some("prod"), provider: Some("openai"), ..spent("2026-11-02T00:00:00Z", "", Some("bob"), "7") },
        Row { cost: None, ..spent("2026-11-02T00:00:00Z", "search", Some("ann"), "0") },
    ])
    .await;
    let each = site.budget(json!({"user": "*"}), json!({})).await;
    assert_eq!(site.used(&each).await, "{user:ann}=10.5 {user:bob}=27 {user:o'neil}=30");
    // Budgets are a table too, joined with the ledger like any other.
    let sql = "SELECT b.id, b.scope, b.amount, u.user_id, sum(u.cost) AS used FROM budgets b, usage u \
               WHERE b.active AND u.user_id = 'bob' GROUP BY b.id, b.scope, b.amount, u.user_id";
    assert_eq!(
        site.send("POST", "/v1/sql", "", &json!({"query": sql})).await.is(200),
        json!([{"id": each, "scope": "user=*", "amount": "100", "user_id": "bob", "used": "27"}])
    );
    let ann = &site.states(&each).await[0];
    assert_eq!((&ann["calls"], &ann["unpriced_calls"]), (&3.into(), &1.into()));

    // Who is named is no longer the template's, unless the budget is beside it or out of force.
    let bob = site.budget(json!({"user": "bob"}), json!({"amount": "50"})).await;
    site.budget(json!({"user": "ann"}), json!({"additive": true})).await;
    site.budget(json!({"user": "o'neil"}), json!({"active": false})).await;
    assert_eq!(site.used(&each).await, "{user:ann}=10.5 {user:o'neil}=30");
    assert_eq!(site.used(&bob).await, "{user:bob}=27");
    assert_eq!(site.states(&bob).await[0]["percent"], "54");

    let missing = site.budget(json!({"team": "search", "user": "*"}), json!({"include_missing": true})).await;
    let expected =
        "{team:search,user:null}=5 {team:search,user:ann}=10 {team:search,user:bob}=20 {team:search,user:o'neil}=30";
    assert_eq!(site.used(&missing).await, expected);
    let tag = site.budget(json!({"tags.env": "prod", "provider": "OpenAI"}), json!({})).await;
    assert_eq!(site.used(&tag).await, "{provider:openai,tags.env:prod}=7");
    let none = site.budget(json!({"customer": "*"}), json!({})).await;
    assert_eq!(site.used(&none).await, "");

    let page = site.get(&format!("/v1/budgets/{missing}/status?limit=1&after=1")).await;
    assert_eq!((&page["states"][0]["scope"]["user"], &page["next"]), (&"ann".into(), &2.into()));
    assert_eq!(page["states"][0].get("sql"), None);
    // Pages of all budgets run over their borders: those in force have 2, 1, 1, 4, 1 and 0 states.
    let mut all = Vec::new();
    let mut next = json!(0);
    while let Some(after) = next.as_u64() {
        let page = site.get(&format!("/v1/budgets/status?limit=2&after={after}")).await;
        all.extend(page["states"].as_array().unwrap().iter().map(|state| state["used"].as_str().unwrap().to_owned()));
        next = page["next"].clone();
    }
    all.sort_unstable();
    assert_eq!(site.get(&format!("/v1/budgets/{bob}/status?after=7")).await["used"], "27");
    assert_eq!(all, ["10", "10.5", "10.5", "20", "27", "30", "30", "5", "7"]);
}

#[tokio::test]
async fn a_reset_counts_event_times_from_there() {
    let site = Site::with(&[
        spent("2026-11-15T11:59:59.999999Z", "search", None, "40"),
        spent("2026-11-15T12:00:00Z", "search", None, "2"),
        spent("2026-11-15T12:05:00Z", "search", None, "1"),
    ])
    .await;
    let id = site.budget(json!({}), json!({})).await;
    assert_eq!(site.used(&id).await, "{}=43");
    let budget = site.send("POST", &format!("/v1/budgets/{id}/reset"), "", &Value::Null).await.is(200);
    assert_eq!((&budget["reset_at"], &budget["revision"]), (&NOON.into(), &2.into()));
    assert_eq!(site.used(&id).await, "{}=3");
    assert_eq!(site.states(&id).await[0]["counted_from"], NOON);
    // The next period knows nothing of it.
    site.at("2026-12-01T00:00:00Z");
    let state = site.states(&id).await.remove(0);
    assert_eq!((&state["used"], &state["counted_from"]), (&"0".into(), &"2026-12-01T00:00:00Z".into()));
}

#[tokio::test]
async fn periods_begin_at_midnight_of_their_zone() {
    let site = Site::with(&[
        spent("2026-09-30T21:59:59.999999Z", "a", None, "1"),
        spent("2026-09-30T22:00:00Z", "a", None, "2"),
        spent("2026-10-31T22:59:59.999999Z", "a", None, "4"),
        spent("2026-10-31T23:00:00Z", "a", None, "8"),
        spent("2026-11-14T18:29:59.999999Z", "a", None, "16"),
        spent("2026-11-14T18:30:00Z", "a", None, "32"),
        spent("2026-11-15T11:00:00Z", "a", None, "64"),
        spent("2026-11-15T11:15:00Z", "a", None, "128"),
    ])
    .await;
    let berlin = site.budget(json!({}), json!({"timezone": "Europe/Berlin"})).await;
    let kolkata = site.budget(json!({}), json!({"timezone": "Asia/Kolkata", "period": "daily"})).await;
    let hour = site.budget(json!({}), json!({"period": "PT1H"})).await;
    assert_eq!(site.used(&kolkata).await, "{}=224");
    assert_eq!(site.states(&kolkata).await[0]["period_start"], "2026-11-14T18:30:00Z");
    // It ends with the quarter-hour that has begun.
    assert_eq!(site.used(&hour).await, "{}=128");
    // Over the end of summer time: an hour longer than 31 days.
    site.at("2026-10-31T22:59:59Z");
    assert_eq!(site.used(&berlin).await, "{}=6");
    site.at("2026-10-31T23:00:00Z");
    assert_eq!(site.used(&berlin).await, "{}=248");
}

#[tokio::test]
async fn amounts_follow_rates_and_plans() {
    let mut lake = TestLake::with(&[
        Row { organization: Some("acme"), ..spent("2026-11-02T00:00:00Z", "a", None, "25") },
        Row { organization: Some("bolt"), ..spent("2026-11-02T00:00:00Z", "a", None, "25") },
    ])
    .await;
    let rates = lake.folder.path().join("rates.csv");
    std::fs::write(&rates, "date,currency,rate\n2026-10-15,EUR,0.8\n2026-11-10,EUR,0.5\n").unwrap();
    lake.config.prices.rates = rates.display().to_string();
    let site = Site::over(lake);
    // The rate of the period's start: $125 for €100.
    let euros = site.budget(json!({}), json!({"currency": "EUR"})).await;
    let state = site.states(&euros).await.remove(0);
    assert_eq!((&state["amount"], &state["percent"]), (&"125".into(), &"40".into()));
    assert_eq!((&state["currency"], &state["budget_currency"]), (&"USD".into(), &"EUR".into()));
    assert_eq!(
        state["own_currency"],
        json!({"currency": "EUR", "amount": "100", "used": "40", "remaining": "60", "rate": "1.25", "rate_date": "2026-10-15"})
    );
    let dollars = site.budget(json!({}), json!({})).await;
    assert_eq!(site.states(&dollars).await[0].get("own_currency"), None);
    // What was made elsewhere, before its rate went away.
    let elsewhere = json!({"name": "gold", "scope": {}, "period": "monthly", "amount": "1", "currency": "XAU"});
    let draft = serde_json::from_value(elsewhere).unwrap();
    let act = Act { who: "test", now: time(NOON) };
    let unknown = site.store().await.budgets().create(&draft, "USD", &act).await.unwrap().id;
    let state = site.states(&unknown).await.remove(0);
    assert!(state["unavailable"].as_str().unwrap().contains("no exchange rate from XAU to USD"), "{state}");

    let act = Act { who: "test", now: time(NOON) };
    let csv = "kind,name,attributes\norganization,Acme,plan=basic\n";
    site.store().await.directory().import(csv, "d.csv", "hr", &act).await.unwrap();
    let amounts = json!({"attribute": "plan", "basic": "50", "default": "100"});
    let plans = site.budget(json!({"organization": "*"}), json!({"amounts_by": amounts})).await;
    let percents: Vec<_> = site.states(&plans).await.iter().map(|state| state["percent"].clone()).collect();
    assert_eq!(percents, ["50", "25"]);
    let entries = site.get("/v1/directory?key=organization&value=ACME").await;
    assert_eq!(entries["entries"][0]["attributes"]["plan"], "basic");
    assert_eq!(site.get("/v1/directory?key=user").await["entries"], json!([]));
}

#[tokio::test]
async fn freshness_says_what_is_covered() {
    let at = |partition: i32, offset: i64, time: &'static str| Row { partition, offset, ..spent(time, "a", None, "1") };
    let rows = [at(0, 7, "2026-11-15T11:58:30Z"), at(0, 9, "2026-11-15T11:58:00Z"), at(1, 3, "2026-11-15T11:58:20Z")];
    let site = Site::with(&rows).await;
    let id = site.budget(json!({"team": "a"}), json!({"period": "daily"})).await;
    let state = site.get(&format!("/v1/budgets/{id}/status")).await;
    let (cluster, topic) = ("source_cluster", "source_topic");
    assert_eq!(
        state["partitions"],
        json!([
            {"cluster": cluster, "topic": topic, "partition": 0, "offset": 10, "newest_event_time": "2026-11-15T11:58:30Z"},
            {"cluster": cluster, "topic": topic, "partition": 1, "offset": 4, "newest_event_time": "2026-11-15T11:58:20Z"},
        ])
    );
    assert_eq!((&state["as_of"], &state["lake_version"]), (&"2026-11-15T11:58:20Z".into(), &0.into()));
    site.lake.append(&[at(0, 11, "2026-11-15T11:59:45Z")]).await;
    let state = site.get(&format!("/v1/budgets/{id}/status")).await;
    assert_eq!((&state["as_of"], &state["lake_version"]), (&"2026-11-15T11:59:45Z".into(), &1.into()));
}

#[tokio::test]
async fn a_name_counts_in_every_spelling_once_the_directory_knows_it() {
    let rows = [
        spent("2026-11-02T00:00:00Z", "search", Some("ANN"), "1"),
        spent("2026-11-03T00:00:00Z", "Search", Some("ann"), "2"),
        spent("2026-11-04T00:00:00Z", "SEARCH-", Some("bob"), "4"),
        spent("2026-11-04T00:00:00Z", "ads", Some("Ann-Lee"), "16"),
        spent("2026-11-05T00:00:00Z", "ads", Some("bob"), "8"),
    ];
    let site = Site::with(&rows).await;
    let (named, each) =
        (site.budget(json!({"team": "search"}), json!({})).await, site.budget(json!({"user": "*"}), json!({})).await);
    assert_eq!(site.used(&named).await, "{team:search}=1");
    let csv = "kind,name,department\nteam,Search,Product\nuser,Ann,\nuser,ann-lee,\n";
    let act = Act { who: "test", now: time(NOON) };
    site.store().await.directory().import(csv, "d.csv", "hr", &act).await.unwrap();
    assert_eq!(site.used(&named).await, "{team:Search}=7");
    assert_eq!(site.used(&each).await, "{user:Ann}=3 {user:ann-lee}=16 {user:bob}=12");
    let hyphen = site.budget(json!({"user": "ANN-LEE"}), json!({})).await;
    assert_eq!(site.used(&hyphen).await, "{user:ann-lee}=16");
    // Named after an import, in a third spelling.
    let later = site.budget(json!({"team": " SEARCH_ "}), json!({})).await;
    assert_eq!(site.used(&later).await, "{team:Search}=7");
}

#[tokio::test]
async fn the_states_of_one_value_are_found_in_budgets_that_have_one_for_each() {
    let rows =
        [spent("2026-11-02T00:00:00Z", "a", Some("ann"), "1"), spent("2026-11-03T00:00:00Z", "a", Some("bob"), "2")];
    let site = Site::with(&rows).await;
    let each = site.budget(json!({"user": "*"}), json!({})).await;
    site.budget(json!({"team": "a"}), json!({})).await;
    let told = async |query: &str| -> Vec<(String, String)> {
        let body = site.get(&format!("/v1/budgets/status?{query}")).await;
        let states = body["states"].as_array().unwrap().iter();
        states.map(|state| (state["scope"].to_string(), state["used"].as_str().unwrap().to_owned())).collect()
    };
    assert_eq!(told("user=ann").await, [(r#"{"user":"ann"}"#.to_owned(), "1".to_owned())]);
    assert_eq!(told("user=*").await.len(), 2);
    assert_eq!(told("user=eve").await, []);
    assert_eq!(told("team=a").await, [(r#"{"team":"a"}"#.to_owned(), "3".to_owned())]);
    // In any spelling, though no directory has it.
    assert_eq!((told("team=A-").await.len(), told("user=ANN").await.len(), told("team=a_b").await.len()), (1, 1, 0));
    assert_eq!(site.states(&each).await.len(), 2);
}
