//! Budgets, alerts and coverage through the router, over a real lake and a real `SQLite` file, with a clock that is set by hand.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde_json::{Value, json};
use spendstream_control::{Act, Store};
use tower::ServiceExt;

use super::router;
use crate::server;
use crate::testing::{Row, TestLake};

/// The middle of the 15th of a month of 30 days.
const NOON: &str = "2026-11-15T12:00:00Z";

struct Site {
    lake: TestLake,
    app: Router,
    now: Arc<Mutex<DateTime<Utc>>>,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    fn is_problem(self, status: u16, kind: &str) -> Value {
        assert_eq!(self.body["type"], format!("urn:spendstream:problem:{kind}"), "{}", self.body);
        self.is(status)
    }

    fn tag(&self) -> String {
        format!("if-match: {}", self.headers["etag"].to_str().unwrap())
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn spent(time: &'static str, team: &'static str, user: Option<&'static str>, cost: &'static str) -> Row {
    Row { date: &time[..10], time: Some(time), team, user, cost: Some(cost), ..Row::BLANK }
}

impl Site {
    fn over(lake: TestLake) -> Self {
        let now = Arc::new(Mutex::new(time(NOON)));
        let clock = Arc::clone(&now);
        let app = server::app(&lake.config, Arc::new(move || *clock.lock())).unwrap();
        Self { lake, app: router(Arc::new(app)), now }
    }

    async fn with(rows: &[Row]) -> Self {
        Self::over(TestLake::with(rows).await)
    }

    fn at(&self, now: &str) {
        *self.now.lock() = time(now);
    }

    async fn send(&self, method: &str, path: &str, header: &str, body: &Value) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some((name, value)) = header.split_once(": ") {
            request = request.header(name, value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        self.send("GET", path, "", &Value::Null).await.is(200)
    }

    async fn budget(&self, scope: Value, more: Value) -> String {
        let mut draft = json!({"name": "n", "scope": scope, "period": "monthly", "amount": "100"});
        draft.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let budget = self.send("POST", "/v1/budgets", "", &draft).await.is(201);
        budget["id"].as_str().unwrap().to_owned()
    }

    /// The states of a budget; each `used` is what the SQL that is shown gives.
    async fn states(&self, id: &str) -> Vec<Value> {
        let body = self.get(&format!("/v1/budgets/{id}/status?explain=sql")).await;
        let states = body["states"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
        for state in &states {
            let sql = self.send("POST", "/v1/sql", "", &json!({"query": state["sql"]})).await.is(200);
            assert_eq!(sql[0]["used"], state["used"], "{state}");
        }
        states
    }

    async fn used(&self, id: &str) -> String {
        let states = self.states(id).await;
        states
            .iter()
            .map(|state| format!("{}={}", state["scope"], state["used"]))
            .collect::<Vec<_>>()
            .join(" ")
            .replace('"', "")
    }

    async fn store(&self) -> Store {
        Store::open(&self.lake.config.store.url).await.unwrap()
    }
}

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
    let unknown = site.budget(json!({}), json!({"currency": "XAU"})).await;
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
    site.send("PATCH", &location, &tag, &json!({"amount": "300"})).await.is_problem(412, "precondition_failed");
    site.send("DELETE", &location, "if-match: \"1\"", &Value::Null).await.is_problem(412, "precondition_failed");
    site.send("POST", &format!("{location}/reset"), &tag, &Value::Null).await.is_problem(412, "precondition_failed");
    // A new owner is no new revision, but it is a change.
    site.at("2026-11-15T12:00:02Z");
    assert_eq!(
        site.send("PATCH", &location, "if-match: 2", &json!({"owner": "ann@x.org"})).await.is(200)["revision"],
        2
    );
    site.send("PATCH", &location, &newer, &json!({"owner": null})).await.is_problem(412, "precondition_failed");
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
    assert_eq!(names("?team=*").await.0, "each");
    assert_eq!(names("?limit=1").await, ("each".into(), second.as_str().into()));
    assert_eq!(names(&format!("?limit=2&after={second}")).await, ("everything search".into(), Value::Null));

    let audit = site.get("/v1/audit?what=budget").await;
    let shown: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|one| format!("{} {}", one["who"], one["action"])).collect();
    let shown = shown.join(", ").replace('"', "");
    assert_eq!(shown, "http create, http create, http delete, http update, http update, ann create");
}

#[tokio::test]
async fn mistakes_are_told_line_by_line() {
    let site = Site::over(TestLake::empty());
    let wrong = json!({"name": "n", "scope": {"taem": "x"}, "period": "hourly", "amount": "-1", "limit": 3});
    let problem = site.send("POST", "/v1/budgets", "", &wrong).await.is_problem(422, "rejected");
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
        let problem = site.send(method, path, header, &body).await.is_problem(status, kind);
        assert!(!problem["detail"].as_str().unwrap().contains('\n'), "{problem}");
    }
}

#[tokio::test]
async fn without_the_control_store_the_lake_is_still_read() {
    let mut lake = TestLake::with(&[spent("2026-11-02T00:00:00Z", "a", None, "1")]).await;
    lake.config.store.url = format!("sqlite:{}/none/control.db", lake.folder.path().display());
    let site = Site::over(lake);
    for path in ["/v1/budgets", "/v1/budgets/status", "/v1/alerts", "/v1/blocks", "/v1/directory", "/v1/audit"] {
        let problem = site.send("GET", path, "", &Value::Null).await.is_problem(503, "store_unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("store.url"), "{problem}");
    }
    assert_eq!(site.get("/v1/coverage").await["organizations"][0]["cost"], "1");
    let sql = site.send("POST", "/v1/sql", "", &json!({"query": "SELECT sum(cost) AS c FROM usage"})).await.is(200);
    assert_eq!(sql[0]["c"], "1");
    // It is looked for again by the next request.
    std::fs::create_dir(site.lake.folder.path().join("none")).unwrap();
    assert_eq!(site.get("/v1/budgets").await["budgets"], json!([]));
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
    assert_eq!(ids("").await, "a3 a2 a1");
    assert_eq!(ids("?kind=anomaly").await, "a3");
    assert_eq!(ids("?level=warning").await, "a3 a2");
    assert_eq!(ids(&format!("?budget={budget}&team=a")).await, "a2 a1");
    assert_eq!(ids("?team=b").await, "");
    assert_eq!(ids("?since=2026-11-15T02:00:00Z&until=2026-11-15T03:00:00Z").await, "a2");
    let page = site.get("/v1/alerts?limit=2").await;
    assert_eq!(ids(&format!("?limit=2&after={}", page["next"].as_str().unwrap())).await, "a1");

    let seen =
        site.send("POST", "/v1/alerts/a2/ack", "x-spendstream-actor: ann", &json!({"note": "known"})).await.is(200);
    assert_eq!((&seen["acknowledged_by"], &seen["note"]), (&"ann".into(), &"known".into()));
    let again = site.send("POST", "/v1/alerts/a2/ack", "x-spendstream-actor: bob", &Value::Null).await.is(200);
    assert_eq!(again, seen);
    assert_eq!(site.get("/v1/alerts/a2").await, seen);
    assert_eq!((ids("?acknowledged=true").await, ids("?acknowledged=false").await), ("a2".into(), "a3 a1".into()));

    let until = json!({"until": "2026-11-16T00:00:00Z", "what": "budget"});
    let quiet = site.send("POST", "/v1/alerts/a1/snooze", "", &until).await.is(200);
    assert_eq!(quiet, json!({"what": "budget", "id": budget, "until": "2026-11-16T00:00:00Z"}));
    let raised = alert("a4", "limit_reached", "emergency", 4, Some(&budget));
    store.alerts().raise(&raised, guard, &[]).await.unwrap();
    assert_eq!(site.get("/v1/alerts?limit=1").await["alerts"][0]["snoozed"], true);
    site.send("POST", "/v1/alerts/a3/snooze", "", &until).await.is_problem(422, "rejected");
    site.send("POST", "/v1/alerts/a3/snooze", "", &json!({"until": "tomorrow"}))
        .await
        .is_problem(400, "invalid_request");
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
}
