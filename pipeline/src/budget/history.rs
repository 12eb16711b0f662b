//! What calls and evaluation runs of a scope needed before. In: rows of two queries over the lake; out: the output tokens that 95 of
//! 100 calls stay within, and the cost of one item by one metric. Pure: the queries are run by whoever has the lake.
//!
//! A scope is the project within its organisation; where that has too few calls, the organisation.

use hashbrown::HashMap;
use spendstream_schemas::money::Amount;

/// Fewer calls than this say nothing.
pub const FEWEST_CALLS: u64 = 50;
/// How far back the queries look.
pub const DAYS: u32 = 30;

/// Output tokens by organisation, project, model and task type; `{since}` is a timestamp. Projects and the whole organisation
/// (project null) in one pass; calls that failed or came from the app's own cache say nothing about their length.
pub const OUTPUT_TOKENS: &str = "SELECT organization, project, model_id, task_type, \
     CAST(approx_percentile_cont(output_tokens, 0.95) AS BIGINT) AS p95, COUNT(*) AS calls, GROUPING(project) AS is_all \
     FROM usage WHERE event_time >= {since} AND output_tokens > 0 AND model_id IS NOT NULL \
     AND (status IS NULL OR status = 'ok') AND cache_hit IS NOT TRUE \
     GROUP BY GROUPING SETS ((organization, project, model_id, task_type), (organization, model_id, task_type)) \
     HAVING COUNT(*) >= 50";

/// Cost of one item by one metric, by organisation and project; `{since}` is a timestamp. The same items are evaluated again and again: each
/// run, or where that is not told each day, counts them anew.
pub const METRIC_COSTS: &str = "SELECT organization, project, metric, SUM(cost) AS cost, COUNT(*) AS items FROM (\
     SELECT organization, project, metric, item_id, COALESCE(run_id, CAST(date AS VARCHAR)) AS run, SUM(cost) AS cost \
     FROM usage WHERE event_time >= {since} AND metric IS NOT NULL AND item_id IS NOT NULL AND cost IS NOT NULL \
     GROUP BY organization, project, metric, item_id, COALESCE(run_id, CAST(date AS VARCHAR))) AS runs \
     GROUP BY organization, project, metric";

/// Calls of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallKind {
    pub organization: Option<String>,
    /// `None`: all of the organisation.
    pub project: Option<String>,
    pub model_id: String,
    pub task_type: Option<String>,
}

/// One row of [`OUTPUT_TOKENS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRow {
    pub kind: CallKind,
    pub p95: i64,
    pub calls: u64,
}

/// One row of [`METRIC_COSTS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRow {
    pub organization: Option<String>,
    pub project: Option<String>,
    pub metric: String,
    pub cost: Amount,
    pub items: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct History {
    outputs: HashMap<u128, i64>,
    metrics: HashMap<u128, Amount>,
}

impl History {
    /// From the rows of the two queries.
    #[must_use]
    pub fn new(outputs: &[OutputRow], metrics: &[MetricRow]) -> Self {
        let output = |row: &OutputRow| {
            let CallKind { organization, project, model_id, task_type } = &row.kind;
            let parts = [organization.as_deref(), project.as_deref(), Some(model_id.as_str()), task_type.as_deref()];
            (hash(&parts), row.p95)
        };
        let metric = |row: &MetricRow| {
            let items = i128::from(row.items);
            let units = spendstream_schemas::money::div_half_even(row.cost.units(), items);
            let parts = [row.organization.as_deref(), row.project.as_deref(), Some(row.metric.as_str())];
            Some((hash(&parts), Amount::from_units(units).ok()?))
        };
        Self {
            outputs: outputs.iter().filter(|row| row.calls >= FEWEST_CALLS).map(output).collect(),
            metrics: metrics.iter().filter(|row| row.items > 0).filter_map(metric).collect(),
        }
    }

    /// The output tokens that 95 of 100 calls of that kind stayed within.
    #[must_use]
    pub fn output_p95(
        &self,
        organization: Option<&str>,
        project: Option<&str>,
        model_id: &str,
        task_type: Option<&str>,
    ) -> Option<i64> {
        let find = |project| self.outputs.get(&hash(&[organization, project, Some(model_id), task_type])).copied();
        project.and_then(|project| find(Some(project))).or_else(|| find(None))
    }

    /// What one item cost by that metric in the project.
    #[must_use]
    pub fn metric_cost(&self, organization: Option<&str>, project: Option<&str>, metric: &str) -> Option<Amount> {
        self.metrics.get(&hash(&[organization, project, Some(metric)])).copied()
    }
}

fn hash(parts: &[Option<&str>]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&crate::aggregate::key::of(parts))
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::money::Amount;

    use super::{CallKind, History, MetricRow, OutputRow};

    fn row(project: Option<&str>, p95: i64, calls: u64) -> OutputRow {
        let kind = CallKind {
            organization: Some("acme".into()),
            project: project.map(Into::into),
            model_id: "gpt-4o".into(),
            task_type: Some("chat".into()),
        };
        OutputRow { kind, p95, calls }
    }

    #[test]
    fn a_project_with_enough_calls_speaks_for_itself_else_its_organisation() {
        let history = History::new(&[row(Some("a"), 700, 50), row(Some("b"), 90, 49), row(None, 300, 99)], &[]);
        for (organization, project, expected) in [
            (Some("acme"), Some("a"), Some(700)),
            (Some("acme"), Some("b"), Some(300)),
            (Some("acme"), None, Some(300)),
            (Some("bolt"), Some("a"), None),
            (None, None, None),
        ] {
            assert_eq!(history.output_p95(organization, project, "gpt-4o", Some("chat")), expected, "{project:?}");
        }
        assert_eq!(history.output_p95(Some("acme"), Some("a"), "gpt-4o", None), None);
    }

    #[test]
    fn a_metric_costs_what_an_item_cost_on_average() {
        let cost = Amount::from_decimal("1.0".parse().unwrap()).unwrap();
        let row =
            |items| MetricRow { organization: None, project: Some("p".into()), metric: "tone".into(), cost, items };
        let history = History::new(&[], &[row(3)]);
        assert_eq!(history.metric_cost(None, Some("p"), "tone").unwrap().to_string(), "0.333333333333333");
        assert_eq!(history.metric_cost(None, None, "tone"), None);
        assert_eq!(History::new(&[], &[row(0)]).metric_cost(None, Some("p"), "tone"), None);
    }
}
