//! Spend without an owner. In: what each organisation's events must have (`directory.required`), and the lake by SQL. Out: one alert per
//! organisation, dimension and day whose spend without it reached `directory.unallocated_minimum`. Never writes, never guesses.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;
use spendstream_schemas::alert::{Alert, Kind, Level, series_alert_id};
use spendstream_schemas::budget::{ResolvedScope, ScopeKey};
use spendstream_schemas::config::Config;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::money::Amount;
use spendstream_storage::Lake;
use tokio::sync::{mpsc, watch};

use super::{now, pause};
use crate::aggregate::load::column;
use crate::lake::LakeError;
use crate::lake::view::{LakeView, failed, texts};

/// Any organisation that has no line of its own.
const ANY: &str = "*";
/// Alerts that are remembered as told; beyond, the store says which are news.
const REMEMBERED: usize = 10_000;

/// See the module.
pub struct Unallocated {
    lake: Lake,
    memory: usize,
    required: BTreeMap<String, BTreeSet<ScopeKey>>,
    minimum: Amount,
    every: Duration,
    currency: String,
    out: mpsc::Sender<Alert>,
    told: HashSet<String>,
}

/// Spend of a day that lacks a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lacking {
    day: NaiveDate,
    organization: Option<String>,
    dimension: ScopeKey,
    cost: Amount,
    calls: i64,
}

impl Unallocated {
    /// Nothing is looked at when nothing is required.
    #[must_use]
    pub fn new(config: &Config, lake: Lake, out: mpsc::Sender<Alert>) -> Self {
        let required = config.directory.required.iter();
        // The configuration was checked: a word that is no dimension does not come here.
        let keys = |names: &Vec<String>| names.iter().filter_map(|name| name.parse().ok()).collect();
        Self {
            lake,
            memory: config.live.load_memory_bytes,
            required: required.map(|(name, words)| (name.clone(), keys(words))).collect(),
            minimum: Amount::from_decimal(config.directory.unallocated_minimum).unwrap_or(Amount::ZERO),
            every: config.directory.unallocated_interval,
            currency: config.lake.currency.clone(),
            out,
            told: HashSet::new(),
        }
    }

    /// Works until it is stopped, or nobody takes alerts.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut is_away = false;
        while !self.required.is_empty() && !pause(self.every, &mut stop).await {
            let now = now();
            match self.look(now).await {
                Ok(found) => {
                    is_away = false;
                    for lacking in found {
                        let alert = alert(&lacking, self.minimum, &self.currency, now);
                        if self.told.len() >= REMEMBERED {
                            self.told.clear();
                        }
                        if self.told.insert(alert.id.clone()) && self.out.send(alert).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) if !is_away => {
                    is_away = true;
                    tracing::warn!(%error, "spend without an owner is not looked at until the lake can be read");
                }
                Err(_) => {}
            }
        }
    }

    /// Today and yesterday, as events of yesterday may still arrive.
    async fn look(&self, now: DateTime<Utc>) -> Result<Vec<Lacking>, LakeError> {
        let view = LakeView::open(&self.lake, self.memory).await?;
        let (to, from) = (now.date_naive(), (now - TimeDelta::days(1)).date_naive());
        let dimensions: BTreeSet<&ScopeKey> = self.required.values().flatten().collect();
        let mut found = Vec::new();
        for dimension in dimensions {
            let sql = format!(
                "SELECT CAST(date AS VARCHAR) AS day, organization, sum(cost), count(*) FROM usage \
                 WHERE date >= CAST('{from}' AS DATE) AND date <= CAST('{to}' AS DATE) AND {} IS NULL GROUP BY date, organization",
                column(dimension)
            );
            for batch in view.rows(&sql).await? {
                let (days, organizations) = (texts(&batch, 0), texts(&batch, 1));
                let costs = batch.column(2).as_primitive_opt::<Decimal128Type>();
                let costs = costs.ok_or_else(|| failed(&self.lake, &"a sum of cost is no decimal"))?;
                let calls = cast(batch.column(3), &DataType::Int64).map_err(|error| failed(&self.lake, &error))?;
                for row in 0..batch.num_rows() {
                    let Some(day) = days[row].as_deref().and_then(|day| day.parse().ok()) else { continue };
                    let units = if costs.is_null(row) { 0 } else { costs.value(row) };
                    found.push(Lacking {
                        day,
                        organization: organizations[row].clone(),
                        dimension: dimension.clone(),
                        cost: Amount::saturating(units),
                        calls: calls.as_primitive::<Int64Type>().value(row),
                    });
                }
            }
        }
        found.retain(|lacking| lacking.cost >= self.minimum && self.requires(lacking));
        Ok(found)
    }

    fn requires(&self, lacking: &Lacking) -> bool {
        let own = lacking.organization.as_ref().and_then(|name| self.required.get(name));
        own.or_else(|| self.required.get(ANY)).is_some_and(|keys| keys.contains(&lacking.dimension))
    }
}

fn alert(lacking: &Lacking, minimum: Amount, currency: &str, now: DateTime<Utc>) -> Alert {
    let Lacking { day, organization, dimension, cost, calls } = lacking;
    let scope = ResolvedScope::new([(ScopeKey::Text(Text::Organization), organization.clone())]);
    let start = day.and_hms_opt(0, 0, 0).unwrap_or_default().and_utc();
    let who = organization.as_deref().unwrap_or("no organisation");
    Alert {
        id: series_alert_id(&format!("spend without {dimension} of {scope}"), start, Kind::Unallocated),
        kind: Kind::Unallocated,
        level: Level::Warning,
        budget_id: None,
        title: format!("Spend of {who} without {dimension}"),
        message: format!(
            "{} {currency} of {day} (UTC), in {calls} calls of {who}, have no {dimension}, which directory.required asks for. Nobody \
             is charged for them. Have the events sent with it, or add lines to the directory (`spendstream directory import FILE`): it \
             holds for events that are read from then on. GET /v1/coverage shows the shares.",
            cost.brief()
        ),
        value: cost.to_string(),
        threshold: minimum.to_string(),
        currency: currency.to_owned(),
        period_start: Some(start),
        period_end: Some(start + TimeDelta::days(1)),
        event_time: now.min(start + TimeDelta::days(1)),
        raised_at: now,
        owner: None,
        details: json!({ "dimension": dimension.to_string(), "calls": calls }),
        scope,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use spendstream_schemas::config::{Config, LakeConfig};
    use spendstream_schemas::money::Amount;
    use spendstream_storage::Lake;
    use tokio::sync::mpsc;

    use super::{Lacking, Unallocated, alert};

    fn lacking(organization: Option<&str>, dimension: &str) -> Lacking {
        Lacking {
            day: "2026-11-22".parse().unwrap(),
            organization: organization.map(str::to_owned),
            dimension: dimension.parse().unwrap(),
            cost: Amount::from_decimal("12.5".parse().unwrap()).unwrap(),
            calls: 40,
        }
    }

    #[test]
    fn an_organisation_of_its_own_line_is_not_asked_for_what_all_others_are() {
        let mut config = Config::default();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        config.directory.required =
            BTreeMap::from([("*".to_owned(), words(&["team"])), ("acme".to_owned(), words(&["tags.env"]))]);
        let folder = tempfile::tempdir().unwrap();
        let uri = folder.path().display().to_string();
        let lake = Lake::open(&LakeConfig { uri, ..LakeConfig::default() }).unwrap();
        let watch = Unallocated::new(&config, lake, mpsc::channel(1).0);
        let asked = [(None, "team"), (Some("bolt"), "team"), (Some("acme"), "team"), (Some("acme"), "tags.env")];
        let asked = asked.map(|(organization, dimension)| watch.requires(&lacking(organization, dimension)));
        assert_eq!(asked, [true, true, false, true]);
    }

    #[test]
    fn it_is_one_alert_per_organisation_dimension_and_day() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let told = |lacking: &Lacking| alert(lacking, Amount::ZERO, "USD", now);
        let one = told(&lacking(Some("acme"), "team"));
        assert_eq!(one.title, "Spend of acme without team");
        assert!(
            one.message.starts_with("12.5 USD of 2026-11-22 (UTC), in 40 calls of acme, have no team,"),
            "{}",
            one.message
        );
        assert_eq!(told(&Lacking { calls: 41, ..lacking(Some("acme"), "team") }).id, one.id);
        assert_ne!(told(&lacking(None, "team")).id, one.id);
        assert_ne!(told(&lacking(Some("acme"), "user")).id, one.id);
    }
}
