//! The daily summary. In: a local time of day, the budgets' time zones, yesterday's spend in the lake, where budgets stand. Out: one alert of
//! kind `daily_summary` per time zone and day. Sent late after a downtime, as long as its day is yesterday; never twice, by its id.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use chrono::{DateTime, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::json;
use spendstream_schemas::alert::{Alert, Kind, Level, series_alert_id};
use spendstream_schemas::budget::{Quarter, ResolvedScope};
use spendstream_schemas::config::Config;
use spendstream_schemas::money::Amount;
use spendstream_storage::Lake;
use tokio::sync::{mpsc, watch};

use super::{now, pause};
use crate::budget::live::Live;
use crate::budget::percent;
use crate::budget::standing::Ground;
use crate::lake::LakeError;
use crate::lake::view::{LakeView, failed, texts};
use crate::metrics::Metrics;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(20);
/// After which a day is told of although events of it may be missing.
const LATEST: TimeDelta = TimeDelta::hours(23);
/// Teams, models and budgets that are named.
const NAMED: usize = 5;
/// Summaries that are remembered as sent.
const REMEMBERED: usize = 1_000;

/// A day of a time zone: its date, its first moment and the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub date: NaiveDate,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// What a day cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    pub cost: Amount,
    pub calls: i64,
    pub unpriced: i64,
    /// Of the day before.
    pub before: Amount,
    /// The most expensive first.
    pub teams: Vec<(Option<String>, Amount)>,
    pub models: Vec<(Option<String>, Amount)>,
}

/// See the module.
pub struct Summary {
    at: Option<NaiveTime>,
    zone: Tz,
    lake: Lake,
    memory: usize,
    currency: String,
    live: Arc<Live>,
    out: mpsc::Sender<Alert>,
    sent: HashSet<String>,
    metrics: Arc<Metrics>,
    /// How long after all of a day was read it is in the lake.
    settle: TimeDelta,
    /// Since when all of a day was read.
    ripe: HashMap<String, DateTime<Utc>>,
}

impl Summary {
    #[must_use]
    pub fn new(
        config: &Config,
        lake: Lake,
        (live, metrics): (Arc<Live>, Arc<Metrics>),
        out: mpsc::Sender<Alert>,
    ) -> Self {
        Self {
            at: config.alerts.summary_time(),
            // The configuration was checked.
            zone: config.alerts.summary_timezone.parse().unwrap_or(Tz::UTC),
            lake,
            memory: config.live.load_memory_bytes,
            currency: config.lake.currency.clone(),
            live,
            out,
            sent: HashSet::new(),
            metrics,
            settle: TimeDelta::from_std(config.lake.commit_interval * 2).unwrap_or(TimeDelta::MAX),
            ripe: HashMap::new(),
        }
    }

    /// Works until it is stopped, or nobody takes alerts.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let Some(at) = self.at else { return };
        while !pause(LOOK, &mut stop).await {
            let now = now();
            for (zone, since) in self.zones() {
                // Of a day before there was a budget in the zone nobody asked.
                let Some(day) = due(zone, at, now).filter(|day| since < day.to) else { continue };
                if self.sent.contains(&id(zone, day)) {
                    continue;
                }
                let is_late = now - day.to >= LATEST;
                if !is_late && !self.is_whole((zone, day), now) {
                    continue;
                }
                match self.spend(day).await {
                    Ok(spend) => {
                        let budgets =
                            self.live.with_ground(self.live.spend(), now, |ground| standings(ground, zone, now));
                        let mut alert = alert((zone, day), &spend, &budgets, &self.currency, now);
                        if is_late {
                            alert.message.push_str(" Events of that day may still be missing: reading is behind.");
                        }
                        if self.sent.len() >= REMEMBERED {
                            self.sent.clear();
                        }
                        self.sent.insert(alert.id.clone());
                        if self.out.send(alert).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::warn!(%error, %zone, "the daily summary waits until the lake can be read"),
                }
            }
        }
    }

    /// Whether all events of a day are in the lake: the watermark has passed it, or all that the broker has was read, and what was read
    /// then is committed.
    fn is_whole(&mut self, (zone, day): (Tz, Day), now: DateTime<Utc>) -> bool {
        let watermark = self.live.spend().as_of().watermark.and_then(DateTime::from_timestamp_micros);
        let id = id(zone, day);
        if !self.ripe.contains_key(&id) {
            if !self.metrics.is_caught_up() && watermark.is_none_or(|watermark| watermark < day.to) {
                return false;
            }
            if self.ripe.len() >= REMEMBERED {
                self.ripe.clear();
            }
            self.ripe.insert(id.clone(), now);
        }
        self.ripe.get(&id).is_some_and(|since| now - *since >= self.settle)
    }

    /// The configured one, and those of budgets, with the time since when there is a budget in each.
    fn zones(&self) -> Vec<(Tz, DateTime<Utc>)> {
        let mut zones = vec![(self.zone, DateTime::UNIX_EPOCH)];
        for entry in self.live.book().entries() {
            let (zone, since) = (entry.budget.period.timezone, entry.budget.created_at);
            match zones.iter_mut().find(|(known, _)| *known == zone) {
                Some((_, first)) => *first = since.min(*first),
                None => zones.push((zone, since)),
            }
        }
        zones
    }

    async fn spend(&self, day: Day) -> Result<Spend, LakeError> {
        let view = LakeView::open(&self.lake, self.memory).await?;
        let before = Day { from: day.from - (day.to - day.from), to: day.from, ..day };
        let totals = "SELECT sum(cost), count(*), count(*) - count(cost) FROM usage WHERE ";
        let mut spend = Spend::default();
        for (batch, is_day) in [
            (view.rows(&format!("{totals}{}", during(day))).await?, true),
            (view.rows(&format!("{totals}{}", during(before))).await?, false),
        ] {
            let Some(batch) = batch.iter().find(|batch| batch.num_rows() > 0) else { continue };
            let cost = self.amounts(batch, 0)?.first().copied().unwrap_or_default();
            if is_day {
                (spend.cost, spend.calls, spend.unpriced) = (cost, self.integer(batch, 1)?, self.integer(batch, 2)?);
            } else {
                spend.before = cost;
            }
        }
        spend.teams = self.largest(&view, "team", day).await?;
        spend.models = self.largest(&view, "coalesce(model_id, model)", day).await?;
        Ok(spend)
    }

    async fn largest(
        &self,
        view: &LakeView,
        column: &str,
        day: Day,
    ) -> Result<Vec<(Option<String>, Amount)>, LakeError> {
        let sql = format!(
            "SELECT {column}, sum(cost) FROM usage WHERE {} GROUP BY 1 HAVING sum(cost) > 0 ORDER BY 2 DESC, 1 LIMIT {NAMED}",
            during(day)
        );
        let mut found = Vec::new();
        for batch in view.rows(&sql).await? {
            found.extend(texts(&batch, 0).into_iter().zip(self.amounts(&batch, 1)?));
        }
        Ok(found)
    }

    fn amounts(&self, batch: &arrow::record_batch::RecordBatch, column: usize) -> Result<Vec<Amount>, LakeError> {
        let costs = batch.column(column).as_primitive_opt::<Decimal128Type>();
        let costs = costs.ok_or_else(|| failed(&self.lake, &"a sum of cost is no decimal"))?;
        Ok(costs.iter().map(|units| Amount::saturating(units.unwrap_or(0))).collect())
    }

    fn integer(&self, batch: &arrow::record_batch::RecordBatch, column: usize) -> Result<i64, LakeError> {
        let column = cast(batch.column(column), &DataType::Int64).map_err(|error| failed(&self.lake, &error))?;
        Ok(if column.is_null(0) { 0 } else { column.as_primitive::<Int64Type>().value(0) })
    }
}

/// Yesterday, once it is time to tell of it. A time of day that a change of the clock leaves out is the next that there is.
fn due(zone: Tz, at: NaiveTime, now: DateTime<Utc>) -> Option<Day> {
    let today = now.with_timezone(&zone).date_naive();
    let moment = |date: NaiveDate, time: NaiveTime| {
        (0..8).find_map(|quarters| {
            let local = date.and_time(time) + TimeDelta::minutes(15 * quarters);
            match zone.from_local_datetime(&local) {
                LocalResult::Single(one) | LocalResult::Ambiguous(one, _) => Some(one.with_timezone(&Utc)),
                LocalResult::None => None,
            }
        })
    };
    let date = today.pred_opt()?;
    let day = Day { date, from: moment(date, NaiveTime::MIN)?, to: moment(today, NaiveTime::MIN)? };
    (now >= moment(today, at)?).then_some(day)
}

fn during(day: Day) -> String {
    let instant =
        |at: DateTime<Utc>| format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.timestamp_micros());
    format!(
        "date >= CAST('{}' AS DATE) AND date <= CAST('{}' AS DATE) AND event_time >= {} AND event_time < {}",
        day.from.format("%F"),
        day.to.format("%F"),
        instant(day.from),
        instant(day.to)
    )
}

/// The fullest budgets of a time zone that name all of their values: name, used, limit.
fn standings(ground: Ground<'_>, zone: Tz, now: DateTime<Utc>) -> Vec<(String, Amount, Amount)> {
    let ours = ground.book.entries().iter().filter(|entry| entry.budget.period.timezone == zone);
    let mut found: Vec<(String, Amount, Amount)> = ours
        .filter(|entry| entry.budget.in_force(now))
        .filter_map(|entry| {
            let values = entry.named()?;
            let standing = ground.standing(entry, &values, Quarter::of(now)).ok()?;
            Some((entry.budget.name.clone(), standing.used, standing.limit))
        })
        .collect();
    found.sort_by(|a, b| percent::fullness(b.1, b.2).cmp(&percent::fullness(a.1, a.2)).then_with(|| a.0.cmp(&b.0)));
    found.truncate(NAMED);
    found
}

fn id(zone: Tz, day: Day) -> String {
    series_alert_id(&format!("daily summary of {zone}"), day.from, Kind::DailySummary)
}

fn alert(
    (zone, day): (Tz, Day),
    spend: &Spend,
    budgets: &[(String, Amount, Amount)],
    currency: &str,
    now: DateTime<Utc>,
) -> Alert {
    let Spend { cost, calls, unpriced, before, teams, models } = spend;
    let mut message =
        format!("{} {currency} in {calls} calls; {} {currency} the day before.", cost.brief(), before.brief());
    for (what, list) in [("team", teams), ("model", models)] {
        let named: Vec<String> = list
            .iter()
            .map(|(name, cost)| format!("{} {} {currency}", name.as_deref().unwrap_or("(none)"), cost.brief()))
            .collect();
        if !named.is_empty() {
            let _ = write!(message, " By {what}: {}.", named.join(", "));
        }
    }
    for (name, used, limit) in budgets {
        let _ = write!(
            message,
            " Budget {name}: {} of {limit} {currency} ({} %).",
            used.brief(),
            percent::text(*used, *limit)
        );
    }
    if *unpriced > 0 {
        let _ = write!(message, " {unpriced} calls have no price and are not in these sums.");
    }
    let list = |list: &[(Option<String>, Amount)]| {
        list.iter().map(|(name, cost)| json!({"name": name, "cost": cost.to_string()})).collect::<Vec<_>>()
    };
    Alert {
        id: id(zone, day),
        kind: Kind::DailySummary,
        level: Level::Info,
        budget_id: None,
        scope: ResolvedScope::default(),
        title: format!("{}: {} {currency} spent ({zone})", day.date, cost.brief()),
        message,
        value: cost.to_string(),
        threshold: String::new(),
        currency: currency.to_owned(),
        period_start: Some(day.from),
        period_end: Some(day.to),
        event_time: day.to,
        raised_at: now,
        owner: None,
        details: json!({
            "timezone": zone.name(),
            "calls": calls,
            "unpriced": unpriced,
            "before": before.to_string(),
            "teams": list(teams),
            "models": list(models),
            "budgets": budgets.iter().map(|(name, used, limit)| {
                json!({"name": name, "used": used.to_string(), "amount": limit.to_string()})
            }).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveTime, Utc};
    use chrono_tz::Tz;
    use spendstream_schemas::money::Amount;

    use super::{Day, Spend, alert, due};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn usd(text: &str) -> Amount {
        Amount::from_decimal(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn yesterday_is_due_from_the_local_time_on_also_where_the_clock_jumps() {
        let eight = NaiveTime::from_hms_opt(8, 0, 0).unwrap();
        let berlin = Tz::Europe__Berlin;
        assert_eq!(due(berlin, eight, at("2026-11-22T06:59:59Z")), None);
        let day = due(berlin, eight, at("2026-11-22T07:00:00Z")).unwrap();
        assert_eq!((day.from, day.to), (at("2026-11-20T23:00:00Z"), at("2026-11-21T23:00:00Z")));
        assert_eq!(due(berlin, eight, at("2026-11-22T22:59:59Z")), Some(day), "late, but the day is yesterday");
        // The last Sunday of October has 25 hours.
        let long = due(berlin, eight, at("2026-10-26T12:00:00Z")).unwrap();
        assert_eq!((long.to - long.from).num_hours(), 25);
        let half = due(Tz::Asia__Kolkata, eight, at("2026-11-22T02:30:00Z")).unwrap();
        assert_eq!(half.to, at("2026-11-21T18:30:00Z"));
        // 02:30 is left out on the last Sunday of March: 03:00 summer time is 01:00 UTC.
        let left_out = NaiveTime::from_hms_opt(2, 30, 0).unwrap();
        assert_eq!(due(berlin, left_out, at("2026-03-29T00:59:59Z")), None);
        assert!(due(berlin, left_out, at("2026-03-29T01:00:00Z")).is_some());
    }

    #[test]
    fn it_says_what_was_spent_by_whom_and_where_budgets_stand() {
        let day = Day {
            date: "2026-11-21".parse().unwrap(),
            from: at("2026-11-21T00:00:00Z"),
            to: at("2026-11-22T00:00:00Z"),
        };
        let spend = Spend {
            cost: usd("12.5"),
            calls: 40,
            unpriced: 2,
            before: usd("10"),
            teams: vec![(Some("search".into()), usd("12")), (None, usd("0.5"))],
            models: vec![(Some("gpt-4o".into()), usd("12.5"))],
        };
        let budgets = [("search team".to_owned(), usd("80"), usd("100"))];
        let told = alert((Tz::UTC, day), &spend, &budgets, "USD", at("2026-11-22T08:00:00Z"));
        assert_eq!(told.title, "2026-11-21: 12.5 USD spent (UTC)");
        assert_eq!(
            told.message,
            "12.5 USD in 40 calls; 10 USD the day before. By team: search 12 USD, (none) 0.5 USD. By model: gpt-4o 12.5 USD. \
             Budget search team: 80 of 100 USD (80 %). 2 calls have no price and are not in these sums."
        );
    }
}
