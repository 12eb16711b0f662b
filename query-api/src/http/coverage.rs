//! `GET /v1/coverage`: in comes a time, out comes which share of the spend carries each required dimension.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use spendstream_schemas::budget::ScopeKey;

use super::App;
use super::parameters::{Given, Parameters, invalid};
use super::problem::Problem;
use crate::coverage::{Rule, rule_for_all, rules};

/// Looked back when nobody says since when.
const DAYS: i64 = 30;

pub(super) async fn get(State(app): State<Arc<App>>, given: Given) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let explain = parameters.explain()?;
    let until = parameters.take_as::<DateTime<Utc>>("until", "2026-11-01T00:00:00Z")?.unwrap_or_else(|| app.now());
    let since = parameters.take_as::<DateTime<Utc>>("since", "2026-10-01T00:00:00Z")?;
    let since = since.unwrap_or_else(|| until - TimeDelta::days(DAYS));
    let rules = wanted(&app, parameters.take("dimensions"))?;
    parameters.end()?;
    if since >= until {
        return Err(invalid(format!("since={} is not before until={}", since.to_rfc3339(), until.to_rfc3339())));
    }
    let snapshot = app.engine.snapshot().await?;
    let mut organizations = Vec::with_capacity(rules.len());
    for rule in &rules {
        organizations.push(rule.covered(&app.engine, &snapshot, (since, until), explain).await?);
    }
    Ok(Json(json!({
        "since": since,
        "until": until,
        "currency": app.currency,
        "lake_version": snapshot.version,
        "organizations": organizations,
    })))
}

/// The rules asked for (`team,cost_center`), or those of the configuration.
fn wanted(app: &App, dimensions: Option<String>) -> Result<Vec<Rule>, Problem> {
    let Some(words) = dimensions else { return Ok(rules(&app.directory.required)) };
    let keys = words.split(',').map(|word| {
        word.trim().parse::<ScopeKey>().map_err(|error| invalid(format!("dimensions={words} is wrong: {error}")))
    });
    Ok(rule_for_all(keys.collect::<Result<_, _>>()?))
}
