//! For tests: the router over a real lake and a real `SQLite` file, with a clock that is set by hand.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde_json::{Value, json};
use spendstream_control::Store;
use spendstream_schemas::config::AuthMode;
use tower::ServiceExt;

use super::router;
use crate::server;
use crate::testing::{Row, TestLake};

/// The middle of the 15th of a month of 30 days.
pub(super) const NOON: &str = "2026-11-15T12:00:00Z";

pub(super) struct Site {
    pub lake: TestLake,
    app: Router,
    now: Arc<Mutex<DateTime<Utc>>>,
}

pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    pub fn problem(self, status: u16, kind: &str) -> Value {
        assert_eq!(self.body["type"], format!("urn:spendstream:problem:{kind}"), "{}", self.body);
        self.is(status)
    }

    pub fn tag(&self) -> String {
        format!("if-match: {}", self.headers["etag"].to_str().unwrap())
    }
}

pub(super) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) fn spent(time: &'static str, team: &'static str, user: Option<&'static str>, cost: &'static str) -> Row {
    Row { date: &time[..10], time: Some(time), team, user, cost: Some(cost), ..Row::BLANK }
}

impl Site {
    pub fn over(lake: TestLake) -> Self {
        Self::guarded(lake, AuthMode::None)
    }

    pub fn guarded(lake: TestLake, mode: AuthMode) -> Self {
        let now = Arc::new(Mutex::new(time(NOON)));
        let clock = Arc::clone(&now);
        let app = server::app(&lake.config, Arc::new(move || *clock.lock())).unwrap();
        Self { lake, app: router(Arc::new(app), mode), now }
    }

    pub async fn with(rows: &[Row]) -> Self {
        Self::over(TestLake::with(rows).await)
    }

    pub fn at(&self, now: &str) {
        *self.now.lock() = time(now);
    }

    pub async fn send(&self, method: &str, path: &str, header: &str, body: &Value) -> Reply {
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

    pub async fn get(&self, path: &str) -> Value {
        self.send("GET", path, "", &Value::Null).await.is(200)
    }

    pub async fn budget(&self, scope: Value, more: Value) -> String {
        let mut draft = json!({"name": "n", "scope": scope, "period": "monthly", "amount": "100"});
        draft.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let budget = self.send("POST", "/v1/budgets", "", &draft).await.is(201);
        budget["id"].as_str().unwrap().to_owned()
    }

    /// The states of a budget; each `used` is what the SQL that is shown gives.
    pub async fn states(&self, id: &str) -> Vec<Value> {
        let body = self.get(&format!("/v1/budgets/{id}/status?explain=sql")).await;
        let states = body["states"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
        for state in &states {
            let sql = self.send("POST", "/v1/sql", "", &json!({"query": state["sql"]})).await.is(200);
            assert_eq!(sql[0]["used"], state["used"], "{state}");
        }
        states
    }

    pub async fn used(&self, id: &str) -> String {
        let states = self.states(id).await;
        states
            .iter()
            .map(|state| format!("{}={}", state["scope"], state["used"]))
            .collect::<Vec<_>>()
            .join(" ")
            .replace('"', "")
    }

    pub async fn store(&self) -> Store {
        Store::open(&self.lake.config.store.url).await.unwrap()
    }
}
