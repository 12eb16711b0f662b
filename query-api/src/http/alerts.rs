//! `/v1/alerts`: in come filters, acknowledgements and snoozes, out come alerts, newest first. Raising them is the pipeline's.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use spendstream_control::Act;
use spendstream_control::alerts::{AlertFilter, Cursor, StoredAlert, Subject};
use spendstream_schemas::alert::Alert;

use super::App;
use super::budgets::wanted;
use super::parameters::{Given, Parameters, actor, invalid, json as body_json};
use super::problem::{ApiError, Problem};

const TIME: &str = "2026-11-01T00:00:00Z";

pub(super) async fn list(State(app): State<Arc<App>>, given: Given) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let limit = parameters.limit()?;
    let filter = AlertFilter {
        kind: parameters.take_as("kind", "threshold_exceeded")?,
        level: parameters.take_as("level", "critical")?,
        budget_id: parameters.take("budget"),
        acknowledged: parameters.take_as("acknowledged", "false")?,
        since: parameters.take_as::<DateTime<Utc>>("since", TIME)?,
        until: parameters.take_as::<DateTime<Utc>>("until", TIME)?,
        after: parameters.take("after").map(|text| cursor(&text)).transpose()?,
    };
    let wanted = wanted(&app, parameters.scope()?).await?;
    let fits = |alert: &Alert| wanted.as_ref().is_none_or(|wanted| wanted.takes(|key| alert.scope.get(key)));
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let page = app.control.get().await?.alerts().list_where(&filter, limit, &fits).await?;
    let next = page.next.map(|next| format!("{}.{}", next.raised_at.timestamp_micros(), next.id));
    Ok(Json(json!({"alerts": page.alerts, "next": next})))
}

/// `MICROSECONDS.ID`, as `next` writes it.
fn cursor(text: &str) -> Result<Cursor, Problem> {
    let read = || {
        let (micros, id) = text.split_once('.')?;
        Some(Cursor { raised_at: DateTime::from_timestamp_micros(micros.parse().ok()?)?, id: id.to_owned() })
    };
    read().ok_or_else(|| invalid(format!("after={text} is no place in the list; use `next` of the page before")))
}

pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<StoredAlert>, Problem> {
    Ok(Json(app.control.get().await?.alerts().get(&id).await?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    note: Option<String>,
}

pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<StoredAlert>, Problem> {
    let act = Act { who: actor(&headers)?, now: app.now() };
    let seen = match &body {
        Ok(bytes) if bytes.is_empty() => Acknowledgement::default(),
        _ => body_json(body, "{\"note\": \"a known load test\"}")?,
    };
    Ok(Json(app.control.get().await?.alerts().acknowledge(&id, seen.note.as_deref(), &act).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Snooze {
    until: DateTime<Utc>,
    #[serde(default)]
    what: What,
}

/// What stays quiet.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// Alerts of the same budget, scope, kind and threshold.
    #[default]
    Alike,
    /// All alerts of the alert's budget.
    Budget,
}

pub(super) async fn snooze(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let act = Act { who: actor(&headers)?, now: app.now() };
    let snooze: Snooze = body_json(body, &format!("{{\"until\": \"{TIME}\", \"what\": \"alike\"}}"))?;
    let store = app.control.get().await?;
    let alert = store.alerts().get(&id).await?.alert;
    let subject = match (snooze.what, alert.budget_id) {
        (What::Alike, _) => Subject::LikeAlert(alert.id),
        (What::Budget, Some(budget)) => Subject::Budget(budget),
        (What::Budget, None) => {
            let problem = format!("what is 'budget', but alert '{id}' is of none; write \"alike\"");
            return Err(ApiError::Rejected(vec![problem]).into());
        }
    };
    store.alerts().snooze(&subject, snooze.until, &act).await?;
    let (what, id) = match subject {
        Subject::Budget(id) => ("budget", id),
        Subject::LikeAlert(id) => ("alert", id),
    };
    Ok(Json(json!({"what": what, "id": id, "until": snooze.until})))
}
