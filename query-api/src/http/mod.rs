//! The HTTP interface: in come requests, out come answers or problem documents. The whole surface is on this screen.
//!
//! Never writes the lake, never keeps a request, and answers health checks while queries run.

mod alerts;
mod budget_status;
mod budgets;
mod coverage;
mod door;
mod focus;
mod health;
mod home;
mod host;
mod lists;
mod parameters;
mod prices;
pub mod problem;
mod reports;
pub mod spool;
mod sql;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use spendstream_schemas::config::{AuthMode, DirectoryConfig};
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::pseudonym::Pseudonyms;
use tower_http::catch_panic::CatchPanicLayer;

use crate::budgets::sums::Sums;
use crate::control::ControlStore;
use crate::metrics::Metrics;
use crate::prices::Prices;
use crate::sql::engine::Engine;
use problem::{ApiError, Problem};

/// Bytes that a body may have beyond its statement: JSON's quotes and escapes.
const BODY_SLACK: usize = 64 << 10;

/// Reads the time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What every handler sees.
pub struct App {
    pub engine: Arc<Engine>,
    pub prices: Prices,
    pub metrics: Metrics,
    /// What answers of SQL may take while they are made and sent.
    pub answers: spool::Limits,
    pub control: Arc<ControlStore>,
    /// Sums behind the states of budgets, kept per version of the lake.
    pub sums: Sums,
    pub directory: DirectoryConfig,
    /// What stands for persons in the lake.
    pub pseudonyms: Pseudonyms,
    /// Of the lake's money.
    pub currency: String,
    /// Where days and months of reports begin.
    pub zone: Tz,
    pub clock: Clock,
}

impl App {
    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// The newest price book; reading its files would hold up other requests.
    async fn book(self: &Arc<Self>) -> Result<Arc<PriceBook>, Problem> {
        let app = Arc::clone(self);
        let book = tokio::task::spawn_blocking(move || app.prices.newest()).await;
        book.map_err(|error| ApiError::Internal(error.to_string()).into())
    }
}

/// All addresses of the query API, for whom `mode` lets in.
pub fn router(app: Arc<App>, mode: AuthMode) -> Router {
    let guarded = match mode {
        AuthMode::None => routes(&app).layer(middleware::from_fn(host::only_local)),
        AuthMode::Keys => routes(&app).layer(middleware::from_fn_with_state(door::Door::new(&app), door::enter)),
    };
    guarded.layer(CatchPanicLayer::custom(problem::panicked)).with_state(app)
}

fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let body = app.engine.limits().max_statement_bytes.saturating_mul(2).saturating_add(BODY_SLACK);
    Router::new()
        .route("/", get(home::page))
        .route("/alerts", get(home::alerts))
        .route("/alerts/{id}", get(home::alerts))
        .route("/alerts/{id}/snooze", get(home::alerts))
        .route("/budgets/{id}", get(home::alerts))
        .route("/openapi.json", get(home::openapi))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/v1/status", get(status::get))
        .route("/v1/sql", post(sql::post))
        .route("/v1/prices", get(prices::list))
        .route("/v1/estimate", post(prices::estimate))
        .route("/v1/budgets", get(budgets::list).post(budgets::create))
        .route("/v1/budgets/status", get(budget_status::all))
        .route("/v1/budgets/{id}", get(budgets::get).patch(budgets::patch).delete(budgets::delete))
        .route("/v1/budgets/{id}/reset", post(budgets::reset))
        .route("/v1/budgets/{id}/status", get(budget_status::one))
        .route("/v1/alerts", get(alerts::list))
        .route("/v1/alerts/{id}", get(alerts::get))
        .route("/v1/alerts/{id}/ack", post(alerts::acknowledge))
        .route("/v1/alerts/{id}/snooze", post(alerts::snooze))
        .route("/v1/blocks", get(lists::blocks))
        .route("/v1/directory", get(lists::directory))
        .route("/v1/audit", get(lists::audit))
        .route("/v1/coverage", get(coverage::get))
        .route("/v1/reports/focus", get(focus::get))
        .route("/v1/summary", get(reports::summary))
        .route("/v1/reports/runs", get(reports::runs))
        .route("/v1/reports/daily", get(reports::daily))
        .route("/v1/reports/monthly", get(reports::monthly))
        .route("/v1/reports/chargeback", get(reports::chargeback))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(body))
}

async fn not_found(uri: Uri) -> Problem {
    ApiError::NotFound(format!("there is nothing at {}; /openapi.json lists what there is", uri.path())).into()
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    ApiError::Method(format!("{} does not know {method}; /openapi.json says what it knows", uri.path())).into()
}

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod control_tests;
#[cfg(test)]
mod report_tests;
#[cfg(test)]
mod site;
#[cfg(test)]
mod tests;
