//! `GET /v1/status`: in comes nothing, out comes how fresh and how large the lake is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;
use crate::catalog::TierStatus;

pub(super) async fn get(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let lake = app.engine.status().await?;
    let committed_at = lake
        .committed_at
        .and_then(DateTime::from_timestamp_millis)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
    let tiers: Vec<Value> = lake.tiers.iter().map(of_tier).collect();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "lake": {
            "uri": app.engine.lake_uri(),
            "table": "usage",
            "version": lake.version,
            "committed_at": committed_at,
            "files": lake.files,
            "rows": lake.rows,
            "bytes": lake.bytes,
            "tiers": tiers,
        },
        "queries_active": app.engine.active(),
    })))
}

fn of_tier(tier: &TierStatus) -> Value {
    json!({ "name": tier.name, "files": tier.files, "rows": tier.rows, "bytes": tier.bytes })
}
