//! `/v1/budgets`: in come drafts, out come budgets with their `ETag`. Changes are checked and audited by the control store.
//!
//! `If-Match` takes the `ETag` of what was read, or its revision. A deleted budget stays, inactive.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use spendstream_control::Act;
use spendstream_control::budgets::BudgetFilter;
use spendstream_schemas::budget::{Budget, BudgetDraft, Context, ScopeKey};

use super::App;
use super::parameters::{Given, Parameters, actor, invalid, json as body_json};
use super::problem::Problem;
use crate::budgets::own;
use crate::budgets::report::directory;
use crate::budgets::wanted::Wanted;

const EXAMPLE: &str = "{\"name\": \"search team\", \"scope\": {\"team\": \"search\"}, \"period\": \"monthly\", \
                       \"amount\": \"100.00\"}";

pub(super) async fn list(State(app): State<Arc<App>>, given: Given) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let (limit, after) = (parameters.limit()?, parameters.take("after"));
    let active = parameters.take_as("active", "true")?;
    let filter = BudgetFilter { active };
    let wanted = wanted(&app, parameters.scope()?).await?;
    let mut budgets = app.control.get().await?.budgets().list(&filter).await?;
    if let Some(wanted) = wanted {
        budgets.retain(|budget| wanted.takes_budget(budget));
    }
    let start = match &after {
        None => 0,
        Some(id) => {
            1 + budgets
                .iter()
                .position(|budget| budget.id == *id)
                .ok_or_else(|| invalid(format!("after={id} is none of these budgets; use `next` of the page before")))?
        }
    };
    let (page, next) = super::parameters::page(budgets, start, limit);
    let next = next.and_then(|_| page.last().map(|budget| budget.id.clone()));
    Ok(Json(json!({"budgets": page, "next": next})))
}

/// The values that are asked for, to compare with; `None` where all will do.
pub(super) async fn wanted(app: &Arc<App>, pairs: Vec<(ScopeKey, String)>) -> Result<Option<Wanted>, Problem> {
    if pairs.is_empty() {
        return Ok(None);
    }
    let directory = directory(&app.control.get().await?, &app.directory.precedence, &app.pseudonyms).await?;
    Ok(Some(Wanted::new(pairs, app.book().await?, Arc::clone(directory.spellings()))))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let act = Act { who: actor(&headers)?, now: app.now() };
    let draft: BudgetDraft = body_json(body, EXAMPLE)?;
    let advice = match advice_on_rate(&app, &draft).await? {
        Ok(advice) => advice,
        Err(problem) => {
            let context = Context { id: "", currency: &app.currency, now: act.now };
            let others = draft.check(None, &context).err().unwrap_or_default();
            return Err(refused([problem].into_iter().chain(others.iter().map(ToString::to_string))));
        }
    };
    let budget = app.control.get().await?.budgets().create(&draft, &app.currency, &act).await?;
    let location = format!("/v1/budgets/{}", budget.id);
    let mut response = (StatusCode::CREATED, advised(&budget, advice)).into_response();
    // An id of ours is always a header's text.
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(show(&app.control.get().await?.budgets().get(&id).await?))
}

pub(super) async fn patch(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let act = Act { who: actor(&headers)?, now: app.now() };
    let draft: BudgetDraft = body_json(body, "{\"amount\": \"200.00\"}")?;
    let advice = advice_on_rate(&app, &draft).await?.map_err(|problem| refused([problem]))?;
    let store = app.control.get().await?;
    let expected = |budget: &Budget| is_expected(&headers, budget);
    let budget = store.budgets().expecting(&expected).update(&id, &draft, &app.currency, &act).await?;
    Ok(advised(&budget, advice))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let act = Act { who: actor(&headers)?, now: app.now() };
    let store = app.control.get().await?;
    let expected = |budget: &Budget| is_expected(&headers, budget);
    Ok(show(&store.budgets().expecting(&expected).delete(&id, &act).await?))
}

pub(super) async fn reset(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let act = Act { who: actor(&headers)?, now: app.now() };
    let store = app.control.get().await?;
    let expected = |budget: &Budget| is_expected(&headers, budget);
    Ok(show(&store.budgets().expecting(&expected).reset(&id, &act).await?))
}

fn refused(problems: impl IntoIterator<Item = String>) -> Problem {
    spendstream_control::Error::Invalid(problems.into_iter().collect()).into()
}

/// What is to be said of the rate by which the amount is compared, if anything. One whose amount nobody can compare is refused, with the line
/// inside: it would neither alert nor block.
async fn advice_on_rate(app: &Arc<App>, draft: &BudgetDraft) -> Result<Result<Option<String>, String>, Problem> {
    let Some(currency) = draft.0.get("currency").and_then(Value::as_str).map(str::trim) else { return Ok(Ok(None)) };
    // Whatever is no currency is refused by the check of the draft.
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    let now = app.now().timestamp_micros();
    if !is_code || currency == app.currency {
        return Ok(Ok(None));
    }
    if let Some(rate) = app.book().await?.rate(currency, now) {
        return Ok(Ok(own::advice(currency, rate, &app.currency)));
    }
    Ok(Err(format!(
        "currency: there is no exchange rate from {currency} to {} in the price book, so nothing can be compared with the amount; add one \
         to the file of prices.rates, or write the budget in {}",
        app.currency, app.currency
    )))
}

/// Whether the budget is what `If-Match` says, if it says something.
fn is_expected(headers: &HeaderMap, budget: &Budget) -> bool {
    let Some(wanted) = headers.get(header::IF_MATCH) else { return true };
    wanted.to_str().is_ok_and(|wanted| is_match(wanted, budget))
}

fn is_match(wanted: &str, budget: &Budget) -> bool {
    let (tag, revision) = (tag(budget), budget.revision.to_string());
    wanted.split(',').map(str::trim).any(|one| one == "*" || one == tag || one.trim_matches('"') == revision)
}

/// The revision, and when it was changed: a new name or owner is no new revision.
fn tag(budget: &Budget) -> String {
    format!("\"{}-{}\"", budget.revision, budget.updated_at.timestamp_micros())
}

fn show(budget: &Budget) -> Response {
    advised(budget, None)
}

/// The budget, and beside its fields what to think of.
fn advised(budget: &Budget, advice: Option<String>) -> Response {
    #[derive(Serialize)]
    struct Advised<'b> {
        #[serde(flatten)]
        budget: &'b Budget,
        #[serde(skip_serializing_if = "Option::is_none")]
        advice: Option<String>,
    }
    let mut response = Json(Advised { budget, advice }).into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag(budget)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
