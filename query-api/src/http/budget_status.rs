//! `GET /v1/budgets/{id}/status` and `GET /v1/budgets/status`: in comes a budget or a filter, out comes how it stands by SQL at
//! the newest version of the lake, with what that covers. `?explain=sql` shows a statement that gives `used`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use spendstream_control::Store;
use spendstream_control::budgets::BudgetFilter;
use spendstream_schemas::budget::Budget;

use super::App;
use super::budgets::named;
use super::parameters::{Given, Parameters, page};
use super::problem::Problem;
use crate::budgets::report::{Inputs, Report, active, directory, report};

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    given: Given,
) -> Result<Json<Value>, Problem> {
    let mut parameters = Parameters::new(given)?;
    let (explain, paging) = (parameters.explain()?, Paging::take(&mut parameters)?);
    parameters.end()?;
    let store = app.control.get().await?;
    let budget = store.budgets().get(&id).await?;
    let mut report = stand(&app, &store, vec![budget.clone()], explain).await?;
    let head = if budget.scope.is_template() {
        let mut head = paging.states(&mut report);
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
    let (explain, paging) = (parameters.explain()?, Paging::take(&mut parameters)?);
    let filter = BudgetFilter { active: Some(true), scope: named(parameters.scope()?) };
    let store = app.control.get().await?;
    let mut budgets = store.budgets().list(&filter).await?;
    let now = app.now();
    budgets.retain(|budget| budget.in_force(now));
    let mut report = stand(&app, &store, budgets, explain).await?;
    let head = paging.states(&mut report);
    Ok(Json(covered(head, &report)))
}

async fn stand(app: &Arc<App>, store: &Store, subjects: Vec<Budget>, explain: bool) -> Result<Report, Problem> {
    let inputs = Inputs {
        directory: directory(store, &subjects, &app.directory.precedence).await?,
        others: active(store).await?,
        book: app.book().await?,
        now: app.now(),
        subjects,
        explain,
    };
    Ok(report(&app.engine, &app.sums, inputs).await?)
}

/// Which of the states are shown.
struct Paging {
    limit: usize,
    after: usize,
}

impl Paging {
    fn take(parameters: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { limit: parameters.limit()?, after: parameters.take_as("after", "100")?.unwrap_or(0) })
    }

    fn states(&self, report: &mut Report) -> Value {
        let (states, next) = page(std::mem::take(&mut report.standings), self.after, self.limit);
        json!({"states": states, "next": next})
    }
}

/// With what the figures cover.
fn covered(mut body: Value, report: &Report) -> Value {
    body["as_of"] = json!(report.as_of);
    body["lake_version"] = report.freshness.lake_version.into();
    body["partitions"] = json!(report.freshness.partitions);
    body
}
