//! `GET /v1/summary` and `GET /v1/reports/…`: in come parameters, out comes a report in the form that was asked for. Daily and monthly ones say, where
//! nothing is left out, how budgets of that period stand too.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use spendstream_control::budgets::BudgetFilter;
use spendstream_schemas::budget::Period;

use super::App;
use super::budget_status::stand;
use super::parameters::{Given, Parameters, invalid};
use super::problem::{ApiError, Problem};
use crate::budgets::report::Page;
use crate::budgets::standing::Standing;
use crate::reports::document::{Cell, Column, Document, Kind as Of, Part};
use crate::reports::overview::{self, Overview};
use crate::reports::write::{Form, write};
use crate::reports::{Ground, Kind, ReportError, make};
use crate::words::Words;

/// Budgets that a report shows.
const BUDGETS: usize = 1_000;
/// A report that is opened in a browser runs and loads nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

pub(super) async fn summary(state: State<Arc<App>>, given: Given, headers: HeaderMap) -> Result<Response, Problem> {
    answer(Kind::Summary, state, given, &headers).await
}

pub(super) async fn runs(state: State<Arc<App>>, given: Given, headers: HeaderMap) -> Result<Response, Problem> {
    answer(Kind::Runs, state, given, &headers).await
}

pub(super) async fn daily(state: State<Arc<App>>, given: Given, headers: HeaderMap) -> Result<Response, Problem> {
    answer(Kind::Daily, state, given, &headers).await
}

pub(super) async fn monthly(state: State<Arc<App>>, given: Given, headers: HeaderMap) -> Result<Response, Problem> {
    answer(Kind::Monthly, state, given, &headers).await
}

pub(super) async fn chargeback(state: State<Arc<App>>, given: Given, headers: HeaderMap) -> Result<Response, Problem> {
    answer(Kind::Chargeback, state, given, &headers).await
}

async fn answer(
    kind: Kind,
    State(app): State<Arc<App>>,
    given: Given,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut words = Parameters::new(given)?.words();
    let form = form(words.take("format"), headers)?;
    let ground = Ground {
        engine: &app.engine,
        now: app.now(),
        zone: app.zone,
        currency: &app.currency,
        pseudonyms: &app.pseudonyms,
    };
    let mut document = Box::pin(make(kind, &ground, words.clone())).await?;
    if let Some((period, at)) = when(kind, words, &ground) {
        document.parts.push(Box::pin(budgets(&app, period, at)).await?);
    }
    let version = document.facts.iter().find(|(name, _)| *name == "lake_version").and_then(|(_, value)| value.as_u64());
    let mut response = write(&document, form)?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.extend(version.map(|version| (HeaderName::from_static(super::sql::VERSION), HeaderValue::from(version))));
    if let Some(name) = file_name(&document, form) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// What a browser calls the file, where it keeps one.
fn file_name(document: &Document, form: Form) -> Option<HeaderValue> {
    let is_file = !matches!(form, Form::Json | Form::Html | Form::Text);
    let name = format!("attachment; filename=\"{}.{}\"", document.report, form.name());
    is_file.then(|| HeaderValue::from_str(&name).ok()).flatten()
}

/// The address's word first, then `Accept`, then JSON.
fn form(name: Option<String>, headers: &HeaderMap) -> Result<Form, Problem> {
    if let Some(name) = name {
        return Form::by_name(&name).map_err(invalid);
    }
    let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Form::Json) };
    let accept = accept.to_str().unwrap_or_default();
    Form::by_accept(accept).ok_or_else(|| {
        let known = Form::ALL.map(Form::name).join(", ");
        ApiError::NotAcceptable(format!("none of '{accept}' can be made; formats are {known} (?format=)")).into()
    })
}

/// Which budgets a report is about, and when: at its end, or now where that is still to come.
fn when(kind: Kind, mut words: Words, ground: &Ground<'_>) -> Option<(Period, DateTime<Utc>)> {
    let (of, period) = match kind {
        Kind::Daily => (overview::Of::Day, Period::Daily),
        Kind::Monthly => (overview::Of::Month, Period::Monthly),
        _ => return None,
    };
    words.take("explain");
    let asked = Overview::new(of, words, ground).ok()?.asked;
    let last = asked.span.to - TimeDelta::seconds(1);
    (asked.filters.is_empty() && asked.span.from <= ground.now).then(|| (period, last.min(ground.now)))
}

/// How budgets of a period stand at a time; nothing where the control store is away, which the log says.
async fn budgets(app: &Arc<App>, period: Period, at: DateTime<Utc>) -> Result<Part, Problem> {
    let columns = [
        ("budget", Of::Text),
        ("scope", Of::Text),
        ("cost", Of::Text),
        ("limit", Of::Text),
        ("percent", Of::Text),
        ("remaining", Of::Text),
        ("status", Of::Text),
        ("currency", Of::Text),
        ("unpriced_calls", Of::Whole),
    ];
    let columns = columns.map(|(name, kind)| Column::new(name, kind)).to_vec();
    let mut part = Part { name: "budgets", columns, ..Part::default() };
    let store = match app.control.get().await {
        Ok(store) => store,
        Err(error) => {
            tracing::warn!(%error, "a report was made without budgets: the control store does not answer");
            return Ok(part);
        }
    };
    let mut budgets = store.budgets().list(&BudgetFilter { active: Some(true) }).await?;
    budgets.retain(|budget| budget.period.period == period && budget.in_force(at));
    let page = Page { after: 0, limit: BUDGETS };
    let report = Box::pin(stand(app, &store, (budgets, Vec::new()), (false, page), at)).await?;
    part.rows = report.standings.iter().map(row).collect();
    Ok(part)
}

fn row(standing: &Standing) -> Vec<Cell> {
    let text = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
    let state = standing.state.as_ref();
    let status = state.and_then(|state| serde_json::to_value(state.status).ok()?.as_str().map(str::to_owned));
    vec![
        Cell::Text(standing.name.clone()),
        Cell::Text(standing.scope.to_string()),
        text(state.map(|state| state.used.to_string()).or_else(|| standing.used_alone.clone())),
        text(state.map(|state| state.amount.to_string())),
        text(state.map(|state| state.percent.to_string())),
        text(state.map(|state| state.remaining.to_string())),
        text(status.or_else(|| standing.unavailable.clone())),
        Cell::Text(standing.currency.clone()),
        Cell::Whole(standing.unpriced_calls),
    ]
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Asked(why) => invalid(why),
            ReportError::Query(error) => error.into(),
        }
    }
}
