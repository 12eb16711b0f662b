//! `GET /v1/recent`: the last 60 minutes as live totals have them, before any commit. In come dimensions as parameters, `*` for each value; out
//! come requests, cost, mean and rate. Only what is watched by quarter-hours can be asked.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use spendstream_schemas::budget::{Quarter, ResolvedScope, Scope, ScopeValue, Span};

use super::problem::problem;
use crate::aggregate::live::Live;
use crate::aggregate::plan::{Bucketing, DimensionSet, Watch, WatchPlan};
use crate::aggregate::read::{Recent, Spend as _};
use crate::aggregate::totals::Totals;
use crate::control::now;

/// Quarter-hours of the last 60 minutes.
const HOUR: Bucketing = Bucketing::Quarters { keep: 4 };
/// Values that are told, the dearest first.
const MOST: usize = 100;

pub fn router(totals: &Live) -> Router {
    Router::new().route("/v1/recent", get(answer)).with_state(totals.clone())
}

async fn answer(State(totals): State<Live>, asked: Result<Query<Vec<(String, String)>>, QueryRejection>) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let scope = match Scope::new(asked.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        Ok(scope) => scope,
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return problem(StatusCode::BAD_REQUEST, &lines.join("; "));
        }
    };
    let plan = totals.plan();
    let scope = scope.spelled(|key, value| plan.spellings().of(key, value).map(ToOwned::to_owned));
    let keys = DimensionSet::new(scope.keys().cloned());
    let Some(watch) = plan.find(&keys, &HOUR).and_then(|id| plan.watch(id)) else {
        return problem(StatusCode::NOT_FOUND, &not_watched(&keys, &plan));
    };
    match recent(&totals.read(), watch, &scope, now()) {
        Ok(body) => axum::Json(body).into_response(),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

fn not_watched(keys: &DimensionSet, plan: &Arc<WatchPlan>) -> String {
    let by_quarters = |watch: &&Watch| matches!(watch.bucketing, Bucketing::Quarters { keep } if keep >= 4);
    let mut known: Vec<String> =
        plan.watches().iter().filter(by_quarters).map(|watch| watch.keys.to_string()).collect();
    known.sort_unstable();
    known.dedup();
    format!(
        "{keys} is not watched by quarter-hours; watched are: {}. A rolling budget or detect.scopes has more watched",
        known.join("; ")
    )
}

fn recent(totals: &Totals, watch: &Watch, scope: &Scope, now: DateTime<Utc>) -> Result<Value, String> {
    let micros = now.timestamp_micros();
    let quarter = Quarter::of_micros(micros);
    let span = Span { from: quarter.plus(-3), to: quarter.plus(1) };
    let named: Vec<Option<&str>> = scope
        .iter()
        .map(|(_, value)| match value {
            ScopeValue::Is(value) => Some(value.as_str()),
            ScopeValue::Each => None,
        })
        .collect();
    let unknown = |why: crate::aggregate::read::Unknown| format!("the last hour of {} is not known: {why}", watch.keys);
    let mut rows: Vec<(Vec<Option<String>>, Recent)> = Vec::new();
    if scope.is_template() {
        let mut cells: Vec<_> = totals.cells_in(watch.id, span).map_err(unknown)?.map(|(_, cell)| cell).collect();
        cells.sort_unstable();
        cells.dedup();
        for cell in cells {
            let values = totals.values(watch.id, cell);
            let fits = |(value, wanted): (Option<&str>, Option<&str>)| {
                wanted.map_or(value.is_some(), |wanted| value == Some(wanted))
            };
            if values.iter().map(Option::as_deref).zip(named.iter().copied()).all(fits) {
                let texts: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                let found = totals.recent(watch.id, &texts, micros).map_err(unknown)?;
                rows.push((values, found));
            }
        }
        rows.sort_by_key(|(_, recent)| std::cmp::Reverse(recent.sums.cost));
    } else {
        let found = totals.recent(watch.id, &named, micros).map_err(unknown)?;
        rows.push((named.iter().map(|value| value.map(ToOwned::to_owned)).collect(), found));
    }
    let left_out = rows.len().saturating_sub(MOST);
    let show = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let shown = rows.into_iter().take(MOST).map(|(values, recent)| {
        json!({
            "scope": ResolvedScope::new(watch.keys.keys().iter().cloned().zip(values)),
            "requests": recent.sums.requests,
            "unpriced": recent.sums.unpriced,
            "cost": recent.cost().to_string(),
            "mean_cost": recent.mean.map(|mean| mean.to_string()),
            "requests_per_minute": recent.per_minute.to_string(),
        })
    });
    let newest = totals.as_of().newest.and_then(DateTime::from_timestamp_micros);
    Ok(json!({
        "from": show(span.start()),
        "until": show(now),
        "as_of": newest.map(show),
        "rows": shown.collect::<Vec<_>>(),
        "left_out": left_out,
    }))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use chrono::DateTime;
    use serde_json::Value;
    use spendstream_schemas::budget::Scope;
    use tower::ServiceExt;

    use super::HOUR;
    use crate::aggregate::tests::rig::{NOW, Rig, event, set};

    async fn refused(rig: &Rig, query: &str) -> (u16, String) {
        let request = Request::get(format!("/v1/recent{query}")).body(Body::empty()).unwrap();
        let response = super::router(&rig.live).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        (status, body["detail"].as_str().unwrap_or_default().to_owned())
    }

    fn rows(rig: &Rig, scope: &[(&str, &str)]) -> Vec<Value> {
        let scope = Scope::new(scope.iter().copied()).unwrap();
        let keys: Vec<String> = scope.keys().map(ToString::to_string).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let plan = rig.live.plan();
        let watch = plan.watch(rig.watch(&keys, &HOUR)).unwrap();
        let now = DateTime::from_timestamp_micros(rig.now).unwrap();
        super::recent(&rig.live.read(), watch, &scope, now).unwrap()["rows"].as_array().unwrap().clone()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_last_hour_is_told_as_a_whole_and_by_value() {
        let mut rig = Rig::new(&[(set(&[]), HOUR), (set(&["team"]), HOUR)]).await;
        assert_eq!(refused(&rig, "").await.0, 503, "the lake was not read yet");
        rig.settle().await;
        // Numbers 0 and 9 are of `search`, 1 is of `ads`.
        let events: Vec<String> = [0, 9, 1].map(|number| event(number, NOW)).to_vec();
        rig.read(0, &events).await;
        let all = rows(&rig, &[]);
        assert_eq!((all.len(), &all[0]["requests"], all[0]["scope"].to_string().as_str()), (1, &3.into(), "{}"));
        let teams = rows(&rig, &[("team", "*")]);
        let mut told: Vec<_> =
            teams.iter().map(|row| (row["scope"]["team"].as_str(), row["requests"].as_u64())).collect();
        told.sort_unstable();
        assert_eq!(told, [(Some("ads"), Some(1)), (Some("search"), Some(2))]);
        let one = rows(&rig, &[("team", "ads")]);
        assert!(teams.contains(&one[0]));
        assert_eq!(one[0]["mean_cost"], one[0]["cost"]);

        let (status, why) = refused(&rig, "?user=ann").await;
        let expected = "user is not watched by quarter-hours; watched are: everything; team. ";
        assert!(status == 404 && why.starts_with(expected), "{status} {why}");
        assert_eq!(refused(&rig, "?teem=ads").await.0, 400);
    }
}
