//! Watches hourly spend for anomalies. In: hours that are over from the lake, the hour that runs from the live totals. Out: alerts that name
//! who moved, to the same channel as those of budgets. It never writes the lake, and nobody waits for it.
//!
//! What is known is made from the lake alone, at the start and once an hour, by the same steps: a restart says the same again, and the ids
//! of alerts make it be told once. The hour that runs is judged every `detect.interval`, for more than usual only.

mod ask;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_schemas::alert::Alert;
use spendstream_schemas::budget::{Quarter, ResolvedScope, Span};
use spendstream_schemas::config::{Config, DetectConfig};
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::money::Amount;
use spendstream_storage::Lake;
use tokio::sync::{mpsc, watch};

use self::ask::Values;
use super::{now, pause};
use crate::aggregate::live::Live as Totals;
use crate::aggregate::plan::{Bucketing, DimensionSet, Request, WatchId, WatchPlan};
use crate::aggregate::read::{Spend, Unknown};
use crate::detect::notice::{self, Subject};
use crate::detect::watched::{Finding, Hour, Judging, News, Watched, figure};
use crate::detect::{Cause, Rule, Settings};
use crate::lake::LakeError;
use crate::lake::view::LakeView;
use crate::metrics::Metrics;

/// Quarter-hours that live totals keep for it: the hour that runs and those that may not be final.
const KEEP: u32 = 4 * 4;
/// Hours that ended longer ago are learnt in silence: after a day nobody can act.
const NEWS_HOURS: i64 = 24;
/// How often, and how many times, the lake is looked at for what live totals have, before an anomaly is told by what it has.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS: usize = 60;
/// Alerts that are remembered as told; beyond, the store says which are news.
const REMEMBERED: usize = 10_000;

/// One in so many of `detect.minimum_hours` must have had spend, of anybody.
const BUSY_PART: u32 = 4;

/// What live totals have to keep for it.
#[must_use]
pub fn requests(config: &DetectConfig) -> Vec<Request> {
    let scopes = config.scopes.iter().filter(|_| config.enabled);
    scopes.map(|keys| (DimensionSet::new(keys.iter().cloned()), Bucketing::Quarters { keep: KEEP })).collect()
}

/// One set of dimensions.
#[derive(Debug)]
struct Set {
    keys: DimensionSet,
    watched: BTreeMap<Values, Watched>,
    /// The first hour that is not learnt; `None` before the first reading.
    next: Option<Hour>,
}
/// Hours before this one are over, and in the lake as soon as it has these offsets.
type Due = (Hour, Vec<(Arc<SourcePartition>, i64)>);

/// See the module.
pub struct Anomalies {
    config: DetectConfig,
    judging: Judging,
    lake: Lake,
    memory: usize,
    totals: Totals,
    metrics: Arc<Metrics>,
    out: mpsc::Sender<Alert>,
    sets: Vec<Set>,
    due: Option<Due>,
    told: HashSet<String>,
}

/// Something to tell: of which set, whose, and what.
type Found = (usize, Values, News);

impl Anomalies {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(
        config: &Config,
        lake: Lake,
        (totals, metrics): (Totals, Arc<Metrics>),
        out: mpsc::Sender<Alert>,
    ) -> Self {
        let detect = config.detect.clone();
        let sets: HashSet<DimensionSet> = requests(&detect).into_iter().map(|(keys, _)| keys).collect();
        let mut sets: Vec<Set> =
            sets.into_iter().map(|keys| Set { keys, watched: BTreeMap::new(), next: None }).collect();
        sets.sort_by(|a, b| a.keys.cmp(&b.keys));
        Self {
            judging: judging(&detect, &config.lake.currency),
            config: detect,
            lake,
            memory: config.live.load_memory_bytes,
            totals,
            metrics,
            out,
            sets,
            due: None,
            told: HashSet::new(),
        }
    }

    /// Works until it is stopped, or nobody takes alerts.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut is_away = false;
        while !self.sets.is_empty() && !pause(self.config.interval, &mut stop).await {
            let now = now();
            let mut found = Vec::new();
            match self.learn(now, &mut found).await {
                Ok(()) => is_away = false,
                Err(error) => {
                    if !is_away {
                        tracing::warn!(%error, "anomalies are judged by what was known before, until the lake can be read");
                    }
                    is_away = true;
                }
            }
            found.extend(self.peek(now));
            for (set, values, news) in found {
                if !self.tell(set, &values, &news, (now, &mut stop)).await {
                    return;
                }
            }
        }
    }

    /// Learns the hours that became final, and adds what they said.
    ///
    /// # Errors
    /// When the lake cannot be read; what was learnt before stays learnt, and the next try goes on from there.
    async fn learn(&mut self, now: DateTime<Utc>, found: &mut Vec<Found>) -> Result<(), LakeError> {
        if self.due.is_none() {
            self.due = self.due(now);
        }
        let Some((closed, offsets)) = &self.due else { return Ok(()) };
        let view = LakeView::open(&self.lake, self.memory).await?;
        if !reaches(&view, offsets) {
            return Ok(());
        }
        let closed = *closed;
        let oldest = Hour::of(now).plus(-NEWS_HOURS);
        for (at, set) in self.sets.iter_mut().enumerate() {
            let news = set.learn(&view, closed, &self.config, &self.judging).await?;
            found.extend(
                news.into_iter().filter(|(hour, ..)| *hour >= oldest).map(|(_, values, news)| (at, values, news)),
            );
        }
        self.due = None;
        Ok(())
    }

    /// The hours that are over, if there are new ones: by the watermark, or by the clock when all that the broker has is in the lake.
    fn due(&self, now: DateTime<Utc>) -> Option<Due> {
        let totals = self.totals.read();
        // While nothing comes the watermark stands, and an outage would never be an hour without spend.
        let reached = if self.metrics.is_caught_up() {
            now
        } else {
            DateTime::from_timestamp_micros(totals.as_of().watermark?)?.min(now)
        };
        let settle = TimeDelta::from_std(self.config.settle).unwrap_or(TimeDelta::MAX);
        let closed = Hour::of(reached.checked_sub_signed(settle)?);
        if self.sets.iter().all(|set| set.next.is_some_and(|next| next >= closed)) {
            return None;
        }
        let watch = self.sets.iter().find_map(|set| find(totals.plan(), set))?;
        totals.is_known(watch).then(|| (closed, totals.covered(watch)))
    }

    /// Judges the hours that may still grow, by live totals.
    fn peek(&self, now: DateTime<Utc>) -> Vec<Found> {
        let totals = self.totals.read();
        let mut found = Vec::new();
        for (at, set) in self.sets.iter().enumerate() {
            let (Some(watch), Some(next)) = (find(totals.plan(), set), set.next) else { continue };
            for (values, watched) in &set.watched {
                let names: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                let cost = |hour: Hour| -> Result<Amount, Unknown> {
                    let sums = totals.sums(watch, &names, span(hour))?;
                    Amount::from_units(sums.cost).map_err(|_| Unknown::NotHeld)
                };
                let hours = (next.0..=Hour::of(now).0).map(Hour).map_while(|hour| Some((hour, cost(hour).ok()?)));
                let news = watched.peek(hours, &self.judging);
                found.extend(news.into_iter().map(|finding| (at, values.clone(), News::Begun(finding))));
            }
        }
        found
    }

    /// Sends an alert that was not sent before. False when nobody takes any.
    async fn tell(
        &mut self,
        set: usize,
        values: &Values,
        news: &News,
        (now, stop): (DateTime<Utc>, &mut watch::Receiver<bool>),
    ) -> bool {
        let Some(set) = self.sets.get(set) else { return true };
        let keys = set.keys.keys();
        let scope = ResolvedScope::new(keys.iter().cloned().zip(values.iter().cloned()));
        let subject = Subject { scope: &scope, owner: None, currency: &self.judging.currency, now };
        let mut alert = match news {
            News::Begun(finding) => notice::begun(&subject, finding, None),
            News::Over { since } => notice::over(&subject, *since),
        };
        if self.told.contains(&alert.id) || !self.is_warm() {
            return true;
        }
        if let News::Begun(finding) = news {
            let age = set.watched.get(values).map_or(0, Watched::hours);
            match self.causes((set, values), finding, age, stop).await {
                Ok(causes) => alert = notice::begun(&subject, finding, Some(&causes)),
                Err(error) => tracing::warn!(%error, "an anomaly is told without who moved"),
            }
        }
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        self.told.insert(alert.id.clone());
        self.out.send(alert).await.is_ok()
    }

    /// Whether anything was seen long enough to say what is usual: the first events of an installation, one of them of days ago, are no anomaly.
    fn is_warm(&self) -> bool {
        let busy = self.config.minimum_hours.div_ceil(BUSY_PART) as usize;
        self.sets.iter().flat_map(|set| set.watched.values()).any(|watched| watched.busy_hours() >= busy)
    }

    /// Who moved, by the lake as soon as it has what live totals have.
    async fn causes(
        &self,
        (set, values): (&Set, &Values),
        finding: &Finding,
        age: u32,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Vec<Cause>, LakeError> {
        let offsets = {
            let totals = self.totals.read();
            find(totals.plan(), set).map_or_else(Vec::new, |watch| totals.covered(watch))
        };
        let mut view = LakeView::open(&self.lake, self.memory).await?;
        for _ in 0..LOOKS {
            if reaches(&view, &offsets) || pause(LOOK, stop).await {
                break;
            }
            view = LakeView::open(&self.lake, self.memory).await?;
        }
        ask::causes(&view, (set.keys.keys(), values), finding.hour, (finding.is_above, age), &self.config.causes).await
    }
}

/// Whether a view has all that sums reach.
pub(super) fn reaches(view: &LakeView, offsets: &[(Arc<SourcePartition>, i64)]) -> bool {
    offsets.iter().all(|(source, offset)| view.state.offsets.get(&**source).is_some_and(|reached| reached >= offset))
}

impl Set {
    /// Learns the hours before `closed`; gives what they said, by hour. Nothing changes when the lake cannot be read.
    async fn learn(
        &mut self,
        view: &LakeView,
        closed: Hour,
        config: &DetectConfig,
        judging: &Judging,
    ) -> Result<Vec<(Hour, Values, News)>, LakeError> {
        let keys = self.keys.keys();
        let first = closed.plus(-24 * i64::from(config.history_days));
        // After a pause that is longer than the history everything is read anew.
        let next = self.next.filter(|next| *next > first);
        if next.is_some_and(|next| next >= closed) {
            return Ok(Vec::new());
        }
        let top = ask::top(view, keys, (closed.plus(-ask::WEEK), closed), config.top).await?;
        let is_known = |values: &Values| next.is_some() && self.watched.contains_key(values);
        // What is told and not over is followed to its end, also when it costs little meanwhile.
        let open = self.watched.iter().filter(|(values, watched)| watched.is_open() && !top.contains(values));
        let open: Vec<Values> = open.map(|(values, _)| values.clone()).filter(|values| is_known(values)).collect();
        let (known, new): (Vec<&Values>, Vec<&Values>) = top.iter().chain(&open).partition(|values| is_known(values));
        let from = next.unwrap_or(first);
        let mut costs = ask::hours(view, keys, (from, closed), &known).await?;
        let histories = ask::hours(view, keys, (first, closed), &new).await?;
        let mut news = Vec::new();
        let mut watched = BTreeMap::new();
        for values in known {
            let hours = costs.remove(values).unwrap_or_default();
            let mut one = self.watched.remove(values).unwrap_or_default();
            news.extend(
                feed(&mut one, (from, closed), &hours, judging).map(|(hour, told)| (hour, values.clone(), told)),
            );
            watched.insert(values.clone(), one);
        }
        for (values, hours) in histories {
            let mut one = Watched::new();
            let first = hours.keys().next().copied().unwrap_or(closed);
            news.extend(
                feed(&mut one, (first, closed), &hours, judging).map(|(hour, told)| (hour, values.clone(), told)),
            );
            watched.insert(values, one);
        }
        self.watched = watched;
        self.next = Some(closed);
        Ok(news)
    }
}

/// Feeds hours, quiet ones included.
fn feed(
    watched: &mut Watched,
    (from, to): (Hour, Hour),
    hours: &BTreeMap<Hour, Amount>,
    judging: &Judging,
) -> impl Iterator<Item = (Hour, News)> {
    let news = (from.0..to.0).map(Hour).filter_map(|hour| {
        let cost = hours.get(&hour).copied().unwrap_or(Amount::ZERO);
        Some((hour, watched.learn(hour, cost, judging)?))
    });
    news.collect::<Vec<_>>().into_iter()
}

fn find(plan: &WatchPlan, set: &Set) -> Option<WatchId> {
    plan.find(&set.keys, &Bucketing::Quarters { keep: KEEP })
}

fn span(hour: Hour) -> Span {
    let from = Quarter::of(hour.start());
    Span { from, to: from.plus(4) }
}

fn judging(config: &DetectConfig, currency: &str) -> Judging {
    // Bounded by the configuration's own check.
    let minimum = Amount::from_decimal(config.minimum).unwrap_or(Amount::ZERO);
    Judging {
        rule: Rule { times: config.times, minimum, hours: config.minimum_hours },
        settings: Settings {
            threshold: config.threshold,
            learn: TimeDelta::days(i64::from(config.learn_days)),
            least: figure(minimum),
            timezone: config.zone(),
            ..Settings::default()
        },
        window: 24 * config.history_days as usize,
        currency: currency.to_owned(),
    }
}
