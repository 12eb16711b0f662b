//! `GET /v1/prices` and `POST /v1/estimate`: in come a filter or a call, out come prices or what the call would cost.
//!
//! Both read the price book only; the text of a prompt is counted and forgotten.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use spendstream_schemas::price_book::{PriceBook, PriceRow};

use super::App;
use super::problem::{ApiError, Problem};
use crate::estimate::{self, Estimate, EstimateError, EstimateRequest};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filter {
    provider: Option<String>,
    model: Option<String>,
    meter: Option<String>,
    /// Prices in force then (RFC 3339); now when absent.
    at: Option<DateTime<Utc>>,
    /// Every price, whenever it is or was in force.
    history: bool,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter?;
    blocking(move || Ok(Json(matching(&app.prices.newest(), &filter, now())))).await
}

pub(super) async fn estimate(
    State(app): State<Arc<App>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Estimate>, Problem> {
    let request: EstimateRequest = serde_json::from_slice(&body?).map_err(|error| {
        ApiError::Invalid(format!(
            "the body is not {{\"model\": \"…\", \"input_tokens\": 1000, \"output_tokens\": 100}}: {error}"
        ))
    })?;
    blocking(move || {
        estimate::estimate(&app.prices.newest(), &request, now().timestamp_micros()).map(Json).map_err(|error| {
            let detail = error.to_string();
            Problem::from(match error {
                EstimateError::Invalid(_) => ApiError::Invalid(detail),
                EstimateError::Unpriced(_) => ApiError::NotFound(detail),
            })
        })
    })
    .await
}

/// Tokenising and reading files would hold up other requests.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::Internal(error.to_string()))?
}

#[expect(clippy::disallowed_methods, reason = "the edge at which the clock is read")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

fn matching(book: &PriceBook, filter: &Filter, now: DateTime<Utc>) -> Value {
    let at = filter.at.unwrap_or(now).timestamp_micros();
    let provider = filter.provider.as_deref().map(|name| book.provider_id(name).unwrap_or(name));
    let is = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
    let rows = book.rows().iter().filter(|row| {
        is(provider, &row.provider)
            && is(filter.model.as_deref(), &row.model)
            && is(filter.meter.as_deref(), &row.meter)
            && (filter.history || row.in_force(at))
    });
    json!({
        "version": book.version(),
        "date": book.date(),
        "currency": book.currency(),
        "prices": rows.map(show).collect::<Vec<_>>(),
    })
}

/// Prices are text: exact, as published.
fn show(row: &PriceRow) -> Value {
    let instant = |micros: Option<i64>| {
        micros.and_then(DateTime::from_timestamp_micros).map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    };
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "provider": &*row.provider,
        "model": &*row.model,
        "meter": &*row.meter,
        "price": row.price.normalize().to_string(),
        "per": row.per,
        "currency": &*row.currency,
        "effective_from": instant(row.effective_from),
        "effective_until": instant(row.effective_until),
        "tier_min_tokens": row.tier_min_tokens,
        "service_tier": text(&row.service_tier).unwrap_or_else(|| "standard".into()),
        "region": text(&row.region),
        "schedule": row.schedule.as_ref().map(ToString::to_string),
        "source": text(&row.source),
        "source_ref": text(&row.source_ref),
    })
}
