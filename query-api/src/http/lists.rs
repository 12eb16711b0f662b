//! `GET /v1/blocks`, `/v1/directory` and `/v1/audit`: in come filters, out comes what the control store holds.
//!
//! Only read here: blocks are made and lifted where calls are decided (the pipeline's listener), the directory is imported by
//! command, and the audit log is written by every change.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spendstream_schemas::budget::ScopeKey;

use super::App;
use super::parameters::{Given, Parameters, page};
use super::problem::Problem;

pub(super) async fn blocks(State(app): State<Arc<App>>, given: Given) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let (limit, over) = (parameters.limit()?, parameters.take_as("over", "true")?.unwrap_or(false));
    parameters.end()?;
    let store = app.control.get().await?;
    let blocks = if over {
        store.blocks().list(u32::try_from(limit).unwrap_or(u32::MAX)).await?
    } else {
        store.blocks().active(app.now()).await?
    };
    Ok(Json(json!({"blocks": blocks})))
}

pub(super) async fn directory(State(app): State<Arc<App>>, given: Given) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let (limit, after) = (parameters.limit()?, parameters.take_as("after", "100")?.unwrap_or(0));
    let key = parameters.take_as::<ScopeKey>("key", "user")?;
    let value = parameters.take("value");
    let at = parameters.take_as::<DateTime<Utc>>("at", "2026-11-01T00:00:00Z")?;
    parameters.end()?;
    let mut entries = app.control.get().await?.directory().list().await?;
    entries.retain(|entry| {
        key.as_ref().is_none_or(|key| entry.key == *key)
            && value.as_ref().is_none_or(|value| entry.value.to_lowercase() == value.to_lowercase())
            && at.is_none_or(|at| entry.holds(at))
    });
    let (entries, next) = page(entries, after, limit);
    Ok(Json(json!({"entries": entries, "next": next})))
}

pub(super) async fn audit(State(app): State<Arc<App>>, given: Given) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let (limit, after) = (parameters.limit()?, parameters.take_as::<i64>("after", "100")?);
    let (what, id) = (parameters.take("what"), parameters.take("id"));
    parameters.end()?;
    let store = app.control.get().await?;
    let rows = u32::try_from(limit).unwrap_or(u32::MAX);
    let entries = store.audit().list(what.as_deref(), id.as_deref(), after, rows).await?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.number);
    Ok(Json(json!({"entries": entries, "next": next})))
}
