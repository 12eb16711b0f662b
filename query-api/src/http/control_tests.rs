//! Budgets, alerts, blocks and coverage through the router: what is made, changed, refused and shown.

use serde_json::{Value, json};
use spendstream_control::Act;
use spendstream_control::keys::Role;
use spendstream_schemas::config::AuthMode;

use super::site::{NOON, Site, spent, time};
use crate::testing::{Row, TestLake};

#[tokio::test]
async fn budgets_are_made_changed_and_kept() {
    let site = Site::over(TestLake::empty());
    let draft = json!({"name": "search", "scope": {"team": "search"}, "period": "monthly", "amount": "100.00"});
    let made = site.send("POST", "/v1/budgets", "x-spendstream-actor: ann", &draft).await;
    let tag = made.tag();
    let location = made.headers["location"].to_str().unwrap().to_owned();
    let budget = made.is(201);
    assert_eq!(location, format!("/v1/budgets/{}", budget["id"].as_str().unwrap()));
    assert_eq!((&budget["currency"], &budget["thresholds"]), (&"USD".into(), &json!(["50", "80", "95", "100"])));

    site.at("2026-11-15T12:00:01Z");
    let changed = site.send("PATCH", &location, &tag, &json!({"amount": "200"})).await;
    let newer = changed.tag();
    assert_eq!(changed.is(200)["revision"], 2);
    site.send("PATCH", &location, &tag, &json!({"amount": "300"})).await.problem(412, "precondition_failed");
    site.send("DELETE", &location, "if-match: \"1\"", &Value::Null).await.problem(412, "precondition_failed");
    site.send("POST", &format!("{location}/reset"), &tag, &Value::Null).await.problem(412, "precondition_failed");
    // A new owner is no new revision, but it is a change.
    site.at("2026-11-15T12:00:02Z");
    assert_eq!(
        site.send("PATCH", &location, "if-match: 2", &json!({"owner": "ann@x.org"})).await.is(200)["revision"],
        2
    );
    site.send("PATCH", &location, &newer, &json!({"owner": null})).await.problem(412, "precondition_failed");
    let gone = site.send("DELETE", &location, "", &Value::Null).await.is(200);
    assert_eq!((&gone["active"], &gone["amount"]), (&false.into(), &"200".into()));
    assert_eq!(site.get(&location).await, gone);

    let second = site.budget(json!({"team": "*"}), json!({"name": "each"})).await;
    site.budget(json!({}), json!({"name": "everything"})).await;
    let names = async |query: &str| {
        let list = site.get(&format!("/v1/budgets{query}")).await;
        let names: Vec<_> =
            list["budgets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        (names.join(" "), list["next"].clone())
    };
    assert_eq!(names("").await, ("each everything search".into(), Value::Null));
    assert_eq!(names("?active=true").await.0, "each everything");
    assert_eq!(names("?team=search").await.0, "search");
    assert_eq!(names("?team=SEARCH").await.0, "search");
    // Nobody could compare an amount in a currency without a rate.
    for (method, path) in [("POST", "/v1/budgets"), ("PATCH", &location)] {
        let draft = json!({"name": "gold", "scope": {}, "period": "monthly", "amount": "1", "currency": "XAU"});
        let problem = site.send(method, path, "", &draft).await.problem(422, "rejected");
        assert!(problem["detail"].as_str().unwrap().contains("no exchange rate from XAU to USD"), "{problem}");
    }
    // And what else is wrong is named beside it.
    let draft =
        json!({"name": "gold", "scope": {"teem": "a"}, "period": "fortnightly", "amount": "-1", "currency": "XAU"});
    let problem = site.send("POST", "/v1/budgets", "", &draft).await.problem(422, "rejected");
    assert_eq!(problem["problems"].as_array().map(Vec::len), Some(4), "{problem}");
    assert_eq!(names("?team=*").await.0, "each");
    assert_eq!(names("?limit=1").await, ("each".into(), second.as_str().into()));
    assert_eq!(names(&format!("?limit=2&after={second}")).await, ("everything search".into(), Value::Null));

    let audit = site.get("/v1/audit").await;
    let shown: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|one| format!("{} {}", one["who"], one["action"])).collect();
    let shown = shown.join(", ").replace('"', "");
    assert_eq!(shown, "http create, http create, http delete, http update, http update, ann create");
}

/// Made with one name of a provider, looked for by another.
#[tokio::test]
async fn budgets_are_found_by_any_name_of_a_provider() {
    let site = Site::over(TestLake::empty());
    site.budget(json!({"provider": "aws"}), json!({})).await;
    let named = json!({"provider": "bedrock", "model": "anthropic.claude-sonnet-4-5-20250929-v1:0"});
    site.budget(named, json!({"name": "model"})).await;
    for (query, expected) in [
        ("provider=aws", 2),
        ("provider=aws_bedrock", 2),
        ("provider=AWS+Bedrock", 2),
        ("provider=openai", 0),
        ("provider=*", 0),
        ("model=anthropic.claude-sonnet-4-5-20250929", 1),
    ] {
        let found = site.get(&format!("/v1/budgets?{query}")).await;
        assert_eq!(found["budgets"].as_array().unwrap().len(), expected, "{query}");
    }
}

/// The rates that ship are examples of long ago.
#[tokio::test]
async fn a_budget_that_is_judged_by_an_old_rate_says_so() {
    let site = Site::over(TestLake::empty());
    let draft =
        |currency: &str| json!({"name": "n", "scope": {}, "period": "monthly", "amount": "1", "currency": currency});
    let euros = site.send("POST", "/v1/budgets", "", &draft("EUR")).await.is(201);
    let advice = euros["advice"].as_str().unwrap();
    assert!(advice.starts_with("The amount is judged by an exchange rate of 2020-01-01 (1 EUR = 1.08"), "{advice}");
    assert!(advice.contains("prices.rates"), "{advice}");
    let path = format!("/v1/budgets/{}", euros["id"].as_str().unwrap());
    assert_eq!(site.get(&path).await.get("advice"), None);
    let yen = site.send("PATCH", &path, "", &json!({"currency": "JPY"})).await.is(200);
    assert!(yen["advice"].as_str().unwrap().contains("1 JPY ="), "{yen}");
    let dollars = site.send("POST", "/v1/budgets", "", &draft("USD")).await.is(201);
    assert_eq!(dollars.get("advice"), None);
}

#[tokio::test]
async fn mistakes_are_told_line_by_line() {
    let site = Site::over(TestLake::empty());
    let wrong = json!({"name": "n", "scope": {"taem": "x"}, "period": "hourly", "amount": "-1", "limit": 3});
    let problem = site.send("POST", "/v1/budgets", "", &wrong).await.problem(422, "rejected");
    let lines: Vec<_> = problem["problems"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    for part in ["limit is no field", "did you mean 'team'?", "'hourly' is no period", "amount is -1"] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:?}");
    }
    assert_eq!(problem["detail"], lines.join("; "));
    for (method, path, header, body, status, kind) in [
        ("GET", "/v1/budgets/none", "", Value::Null, 404, "not_found"),
        ("GET", "/v1/budgets/none/status", "", Value::Null, 404, "not_found"),
        ("PATCH", "/v1/budgets/none", "if-match: *", json!({}), 404, "not_found"),
        ("POST", "/v1/budgets", "", json!([]), 400, "invalid_request"),
        ("POST", "/v1/budgets", "x-spendstream-actor:  ", wrong.clone(), 400, "invalid_request"),
        ("GET", "/v1/budgets?taem=x", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/budgets?limit=0", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/budgets?team=a&team=b", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/budgets?after=none", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/budgets/status?explain=plan", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/budgets/status", "", Value::Null, 503, "no_lake"),
        ("GET", "/v1/alerts?kind=loud", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/alerts?after=x", "", Value::Null, 400, "invalid_request"),
        ("POST", "/v1/alerts/none/ack", "", Value::Null, 404, "not_found"),
        ("GET", "/v1/coverage?dimensions=teem", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/coverage?since=2026-11-16T00:00:00Z", "", Value::Null, 400, "invalid_request"),
        ("GET", "/v1/blocks?team=a", "", Value::Null, 400, "invalid_request"),
    ] {
        let problem = site.send(method, path, header, &body).await.problem(status, kind);
        assert!(!problem["detail"].as_str().unwrap().contains('\n'), "{problem}");
    }
}

#[tokio::test]
async fn without_the_control_store_the_lake_is_still_read() {
    let mut lake = TestLake::with(&[spent("2026-11-02T00:00:00Z", "a", None, "1")]).await;
    lake.config.store.url = format!("sqlite:{}/none/control.db", lake.folder.path().display());
    let site = Site::over(lake);
    for path in ["/v1/budgets", "/v1/budgets/status", "/v1/alerts", "/v1/blocks", "/v1/directory", "/v1/audit"] {
        let problem = site.send("GET", path, "", &Value::Null).await.problem(503, "store_unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("store.url"), "{problem}");
    }
    assert_eq!(site.get("/v1/coverage").await["organizations"][0]["cost"], "1");
    let sql = site.send("POST", "/v1/sql", "", &json!({"query": "SELECT sum(cost) AS c FROM usage"})).await.is(200);
    assert_eq!(sql[0]["c"], "1");
    let query = json!({"query": "SELECT count(*) AS n FROM alerts"});
    site.send("POST", "/v1/sql", "", &query).await.problem(503, "store_unavailable");
    // It is looked for again by the next request.
    std::fs::create_dir(site.lake.folder.path().join("none")).unwrap();
    assert_eq!(site.get("/v1/budgets").await["budgets"], json!([]));
    assert_eq!(site.send("POST", "/v1/sql", "", &query).await.is(200), json!([{"n": 0}]));
}

#[tokio::test]
async fn alerts_are_listed_seen_and_silenced() {
    let site = Site::over(TestLake::empty());
    let budget = site.budget(json!({"team": "a"}), json!({})).await;
    let store = site.store().await;
    let guard = chrono::TimeDelta::hours(1);
    let alert = |id: &str, kind: &str, level: &str, hour: u32, budget: Option<&str>| {
        let at = format!("2026-11-15T{hour:02}:00:00Z");
        serde_json::from_value(json!({
            "id": id, "kind": kind, "level": level, "budget_id": budget, "scope": {"team": "a"}, "title": "t", "message": "m",
            "value": "1", "threshold": id, "currency": "USD", "period_start": null, "period_end": null, "event_time": at,
            "raised_at": at, "owner": null, "details": {}
        }))
        .unwrap()
    };
    for raised in [
        alert("a1", "threshold_warning", "info", 1, Some(&budget)),
        alert("a2", "threshold_exceeded", "critical", 2, Some(&budget)),
        alert("a3", "anomaly", "warning", 3, None),
    ] {
        store.alerts().raise(&raised, guard, &[]).await.unwrap();
    }
    let mut cloud: spendstream_schemas::alert::Alert = alert("a0", "anomaly", "info", 0, None);
    cloud.scope =
        serde_json::from_value(json!({"provider": "aws_bedrock", "model": "anthropic.claude-sonnet-4-5-20250929"}))
            .unwrap();
    store.alerts().raise(&cloud, guard, &[]).await.unwrap();
    let ids = async |query: &str| {
        let list = site.get(&format!("/v1/alerts{query}")).await;
        list["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(ids("").await, "a3 a2 a1 a0");
    assert_eq!((ids("?provider=aws").await, ids("?provider=openai").await), ("a0".into(), String::new()));
    assert_eq!(ids("?provider=AWS+Bedrock&model=anthropic.claude-sonnet-4-5-20250929-v1:0").await, "a0");
    assert_eq!(ids("?kind=anomaly").await, "a3 a0");
    assert_eq!(ids("?level=warning").await, "a3 a2");
    assert_eq!(ids(&format!("?budget={budget}&team=a")).await, "a2 a1");
    assert_eq!(ids("?team=b").await, "");
    assert_eq!(ids("?since=2026-11-15T02:00:00Z&until=2026-11-15T03:00:00Z").await, "a2");
    let page = site.get("/v1/alerts?limit=2").await;
    assert_eq!(ids(&format!("?limit=2&after={}", page["next"].as_str().unwrap())).await, "a1 a0");

    let seen =
        site.send("POST", "/v1/alerts/a2/ack", "x-spendstream-actor: ann", &json!({"note": "known"})).await.is(200);
    assert_eq!((&seen["acknowledged_by"], &seen["note"]), (&"ann".into(), &"known".into()));
    let again = site.send("POST", "/v1/alerts/a2/ack", "x-spendstream-actor: bob", &Value::Null).await.is(200);
    assert_eq!(again, seen);
    assert_eq!(site.get("/v1/alerts/a2").await, seen);
    assert_eq!((ids("?acknowledged=true").await, ids("?acknowledged=false").await), ("a2".into(), "a3 a1 a0".into()));

    let until = json!({"until": "2026-11-16T00:00:00Z", "what": "budget"});
    let quiet = site.send("POST", "/v1/alerts/a1/snooze", "", &until).await.is(200);
    assert_eq!(quiet, json!({"what": "budget", "id": budget, "until": "2026-11-16T00:00:00Z"}));
    let raised = alert("a4", "limit_reached", "emergency", 4, Some(&budget));
    store.alerts().raise(&raised, guard, &[]).await.unwrap();
    site.lake.append(&[spent("2026-11-02T00:00:00Z", "a", None, "1")]).await;
    let query = json!({"query": "SELECT id, acknowledged_by AS who FROM alerts WHERE level = 'critical'"});
    assert_eq!(site.send("POST", "/v1/sql", "", &query).await.is(200), json!([{"id": "a2", "who": "ann"}]));
    assert_eq!(site.get("/v1/alerts?limit=1").await["alerts"][0]["snoozed"], true);
    site.send("POST", "/v1/alerts/a3/snooze", "", &until).await.problem(422, "rejected");
    site.send("POST", "/v1/alerts/a3/snooze", "", &json!({"until": "tomorrow"})).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn blocks_and_coverage_are_shown() {
    let mut lake = TestLake::with(&[
        Row { organization: Some("acme"), ..spent("2026-11-02T00:00:00Z", "a", Some("ann"), "2") },
        Row { organization: Some("acme"), ..spent("2026-11-02T00:00:00Z", "", Some("ann"), "1") },
        spent("2026-11-02T00:00:00Z", "", None, "4"),
        spent("2026-10-01T00:00:00Z", "", None, "64"),
    ])
    .await;
    lake.config.directory.required.insert("acme".into(), vec!["team".into(), "user".into()]);
    lake.config.directory.required.insert("*".into(), vec!["team".into()]);
    let site = Site::over(lake);
    assert_eq!(
        site.get("/v1/coverage").await["organizations"],
        json!([
            {"organization": "*", "cost": "4", "calls": 1, "dimensions": [
                {"dimension": "team", "with": "0", "without": "4", "percent": "0", "calls_without": 1},
            ]},
            {"organization": "acme", "cost": "3", "calls": 2, "dimensions": [
                {"dimension": "team", "with": "2", "without": "1", "percent": "66.6666", "calls_without": 1},
                {"dimension": "user", "with": "3", "without": "0", "percent": "100", "calls_without": 0},
            ]},
        ])
    );
    let all = site.get("/v1/coverage?dimensions=team&since=2026-01-01T00:00:00Z&explain=sql").await;
    assert_eq!(all["organizations"][0]["dimensions"][0]["without"], "69");
    assert!(all["organizations"][0]["sql"].as_str().unwrap().starts_with("SELECT sum(cost) AS cost"));

    let act = Act { who: "test", now: time(NOON) };
    let new =
        json!({"scope": {"endpoint": "/chat"}, "action": "block", "until": "2026-11-15T13:00:00Z", "reason": "r"});
    let block = site.store().await.blocks().create(serde_json::from_value(new).unwrap(), &act).await.unwrap();
    assert_eq!(site.get("/v1/blocks").await["blocks"][0]["id"], block.id);
    site.at("2026-11-15T13:00:00Z");
    assert_eq!(site.get("/v1/blocks").await["blocks"], json!([]));
    assert_eq!(site.get("/v1/blocks?over=true").await["blocks"][0]["id"], block.id);
    let query = json!({"query": "SELECT scope, action, until, reason FROM blocks"});
    let row = json!({"scope": "endpoint=/chat", "action": "block", "until": "2026-11-15T13:00:00Z", "reason": "r"});
    assert_eq!(site.send("POST", "/v1/sql", "", &query).await.is(200), json!([row]));
}

#[tokio::test]
async fn where_keys_are_asked_for_each_role_does_what_it_may() {
    let site = Site::guarded(TestLake::with(&[]).await, AuthMode::Keys);
    let store = site.store().await;
    let act = Act { who: "ann", now: time(NOON) };
    let key = async |role: Role, teams: &[String]| {
        let made = store.keys().create(&format!("the {role}"), role, teams, &act).await.unwrap();
        format!("authorization: Bearer {}", made.secret)
    };
    let (admin, analyst) = (key(Role::Admin, &[]).await, key(Role::Analyst, &[]).await);
    let (producer, member) = (key(Role::Producer, &[]).await, key(Role::Member, &["search".to_owned()]).await);
    let sql = json!({"query": "SELECT 1 AS one"});
    site.send("GET", "/openapi.json", "", &Value::Null).await.is(200);
    for header in ["", "authorization: Bearer ssk_wrong", "authorization: Basic YTpi"] {
        let refused = site.send("POST", "/v1/sql", header, &sql).await;
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        refused.problem(401, "unauthorized");
    }
    for header in [&producer, &member] {
        site.send("POST", "/v1/sql", header, &sql).await.problem(403, "forbidden");
        site.send("GET", "/v1/budgets", header, &Value::Null).await.problem(403, "forbidden");
    }
    for header in [&admin, &analyst] {
        site.send("GET", "/v1/budgets", header, &Value::Null).await.is(200);
        site.send("POST", "/v1/sql", header, &sql).await.is(200);
    }
    let draft = json!({"name": "b", "scope": {}, "period": "monthly", "amount": "1", "currency": "USD"});
    site.send("POST", "/v1/budgets", &analyst, &draft).await.problem(403, "forbidden");
    site.send("POST", "/v1/budgets", &admin, &draft).await.is(201);
    let audit = site.send("GET", "/v1/audit", &analyst, &Value::Null).await.is(200);
    assert!(audit.to_string().contains("the admin"), "{audit}");
}
