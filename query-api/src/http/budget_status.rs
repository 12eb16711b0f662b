//! `GET /v1/budgets/{id}/status` and `GET /v1/budgets/status`: in comes a budget or a filter, out comes how it stands by SQL at
//! the newest version of the lake, with what that covers. `?explain=sql` shows a statement that gives `used`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spendstream_control::Store;
use spendstream_control::budgets::BudgetFilter;
use spendstream_schemas::budget::{Budget, ScopeKey};

use super::App;
use super::parameters::{Given, Parameters};
use super::problem::Problem;
use crate::budgets::report::{Inputs, Page, Report, active, directory, report};

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    given: Given,
) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let (explain, page) = (parameters.explain()?, page(&mut parameters)?);
    parameters.end()?;
    let store = app.control.get().await?;
    let budget = store.budgets().get(&id).await?;
    // Without "*" there is one state, whatever page is asked for.
    let page = if budget.scope.is_template() { page } else { Page { after: 0, limit: 1 } };
    let asked = (vec![budget.clone()], Vec::new());
    let report = Box::pin(stand(&app, &store, asked, (explain, page), app.now())).await?;
    let head = if budget.scope.is_template() {
        let mut head = states(&report);
        head["budget_id"] = budget.id.into();
        head["name"] = budget.name.into();
        head["scope"] = json!(budget.scope);
        head
    } else {
        json!(report.standings.first())
    };
    Ok(Json(covered(head, &report)))
}

pub(super) async fn all(State(app): State<Arc<App>>, given: Given) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let (explain, page) = (parameters.explain()?, page(&mut parameters)?);
    let mut within = parameters.scope()?;
    let store = app.control.get().await?;
    // A budget with one cell per value has one for the value that is asked for.
    let all = BudgetFilter { active: Some(true) };
    let mut budgets = store.budgets().list(&all).await?;
    let now = app.now();
    let names = |budget: &Budget| within.iter().all(|(key, _)| budget.scope.keys().any(|known| known == key));
    budgets.retain(|budget| budget.in_force(now) && names(budget));
    // Each value, of budgets that have the dimension.
    within.retain(|(_, wanted)| wanted != "*");
    let report = Box::pin(stand(&app, &store, (budgets, within), (explain, page), now)).await?;
    let head = states(&report);
    Ok(Json(covered(head, &report)))
}

/// How budgets stand at a time.
pub(super) async fn stand(
    app: &Arc<App>,
    store: &Store,
    (subjects, within): (Vec<Budget>, Vec<(ScopeKey, String)>),
    (explain, page): (bool, Page),
    now: DateTime<Utc>,
) -> Result<Report, Problem> {
    let (pseudonyms, book) = (&app.pseudonyms, app.book().await?);
    let directory = directory(store, &app.directory.precedence, pseudonyms).await?;
    // Budgets may name a person in clear; the lake has what stands for the person.
    let known = |budget: Budget| Budget { scope: pseudonyms.scope(&budget.scope), ..budget };
    let subjects = subjects.into_iter().map(known).collect();
    let others = active(store).await?.into_iter().map(known).collect();
    let stands_for = |(key, value): (ScopeKey, String)| {
        let pseudonym = pseudonyms.of_scope(&key, &value);
        (key, pseudonym.unwrap_or(value))
    };
    let within = within.into_iter().map(stands_for).collect();
    let inputs = Inputs { subjects, within, others, directory, book, now, explain, page };
    Ok(Box::pin(report(&app.engine, &app.sums, inputs)).await?)
}

fn page(parameters: &mut Parameters) -> Result<Page, Problem> {
    Ok(Page { limit: parameters.limit()?, after: parameters.take_as("after", "100")?.unwrap_or(0) })
}

fn states(report: &Report) -> Value {
    json!({"states": report.standings, "next": report.next})
}

/// With what the figures cover.
fn covered(mut body: Value, report: &Report) -> Value {
    body["as_of"] = json!(report.as_of);
    body["lake_version"] = report.freshness.lake_version.into();
    body["partitions"] = json!(report.freshness.partitions);
    body
}
