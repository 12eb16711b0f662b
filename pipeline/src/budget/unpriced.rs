//! Usage without a price, told once a day for each provider and model. In: live totals by provider, model and quarter-hour, and what of
//! them has changed; out: alerts. Pure. It counts requests, since it is what they cost that nobody knows.
//!
//! Days are those of UTC. Events that are older than what is held (the day before the one that runs) are counted in reports, not told here.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::json;
use spendstream_schemas::alert::{Alert, Kind, Level, series_alert_id};
use spendstream_schemas::budget::{Quarter, ResolvedScope, ScopeKey, Span};
use spendstream_schemas::dimension::Text;

use super::words::time;
use crate::aggregate::cells::CellId;
use crate::aggregate::plan::{Bucketing, DimensionSet, Request, WatchId, WatchPlan};
use crate::aggregate::read::Unknown;
use crate::aggregate::sums::Sums;
use crate::aggregate::totals::{Totals, Touch};

const PROVIDER: ScopeKey = ScopeKey::Text(Text::ProviderSent);
const MODEL: ScopeKey = ScopeKey::Text(Text::Model);
/// The day that runs and, for late events, the one before it.
const KEEP: u32 = 2 * 96;

/// What live totals have to keep for it.
#[must_use]
pub fn request() -> Request {
    (DimensionSet::new([PROVIDER, MODEL]), Bucketing::Quarters { keep: KEEP })
}

/// Usage of a provider's model on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub scope: ResolvedScope,
    /// The day's first quarter-hour.
    pub day: Quarter,
    /// Of the day, as far as it is known.
    pub sums: Sums,
    /// The first quarter-hour with a request that has no price.
    pub since: Quarter,
}

/// When it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub now: DateTime<Utc>,
    /// Of the newest event.
    pub event_time: DateTime<Utc>,
}

/// What was told already.
#[derive(Debug)]
pub struct Unpriced {
    told: HashSet<String>,
    max: usize,
    /// How many models were told of each day.
    models: BTreeMap<Quarter, usize>,
    most_models: usize,
    /// The watch, and of which plan.
    found: (u64, Option<WatchId>),
}

impl Unpriced {
    /// Remembers up to `max` alerts, some 60 bytes each; at the limit the store is asked again which are news. Of a day `most_models` are
    /// told one by one; that there are more is one alert.
    #[must_use]
    pub fn new(max: usize, most_models: usize) -> Self {
        Self { told: HashSet::new(), max, models: BTreeMap::new(), most_models, found: (0, None) }
    }

    /// The watch that answers, if anything does.
    pub fn watch(&mut self, plan: &WatchPlan) -> Option<WatchId> {
        if self.found.0 != plan.version() {
            let (keys, bucketing) = request();
            self.found = (plan.version(), plan.find(&keys, &bucketing));
        }
        self.found.1
    }

    /// Sums have changed.
    pub fn touched(&mut self, totals: &Totals, touched: &[Touch], at: Moment) -> Vec<Alert> {
        let Some(watch) = self.watch(totals.plan()) else { return Vec::new() };
        let ours = touched.iter().filter(|touch| touch.watch == watch);
        ours.filter_map(|touch| self.judge(totals, watch, (touch.bucket, touch.cell), at)).collect()
    }

    /// Everything that is held of the two days: sums were read anew, or what was told could not be sent.
    pub fn look(&mut self, totals: &Totals, at: Moment) -> Vec<Alert> {
        let Some(watch) = self.watch(totals.plan()) else { return Vec::new() };
        let today = day(Quarter::of(at.now));
        let span = Span { from: today.plus(-Quarter::PER_DAY), to: Quarter::of(at.now).plus(1) };
        let Ok(cells) = totals.cells_in(watch, span) else { return Vec::new() };
        cells.filter_map(|sum| self.judge(totals, watch, sum, at)).collect()
    }

    /// Forgets what was told: the store knows.
    pub fn forget(&mut self) {
        self.told.clear();
        self.models.clear();
    }

    fn judge(
        &mut self,
        totals: &Totals,
        watch: WatchId,
        (quarter, cell): (Quarter, CellId),
        at: Moment,
    ) -> Option<Alert> {
        let sums = one(totals, watch, cell, quarter).ok()?;
        let oldest = day(Quarter::of(at.now)).plus(-Quarter::PER_DAY);
        if sums.unpriced == 0 || quarter < oldest {
            return None;
        }
        // Whoever sends a model of its own with every request must not hold up what budgets need.
        let of_day = self.models.get(&day(quarter)).copied().unwrap_or_default();
        if of_day > self.most_models {
            return None;
        }
        let keys = totals.plan().watch(watch)?.keys.keys().iter().cloned();
        let scope = ResolvedScope::new(keys.zip(totals.values(watch, cell)));
        let id = id(&scope, day(quarter));
        if self.told.contains(&id) {
            return None;
        }
        if self.told.len() >= self.max {
            self.told.clear();
        }
        self.told.insert(id);
        self.models.retain(|day, _| *day >= oldest);
        self.models.insert(day(quarter), of_day + 1);
        if of_day == self.most_models {
            return Some(many(day(quarter), self.most_models, at));
        }
        Some(alert(&usage(totals, watch, cell, scope, quarter), at))
    }
}

fn day(quarter: Quarter) -> Quarter {
    Quarter(quarter.0.div_euclid(Quarter::PER_DAY) * Quarter::PER_DAY)
}

fn one(totals: &Totals, watch: WatchId, cell: CellId, quarter: Quarter) -> Result<Sums, Unknown> {
    totals.cell_sums(watch, cell, Span { from: quarter, to: quarter.plus(1) })
}

/// Adds up the day of a quarter-hour.
fn usage(totals: &Totals, watch: WatchId, cell: CellId, scope: ResolvedScope, quarter: Quarter) -> Usage {
    let day = day(quarter);
    let mut usage = Usage { scope, day, sums: Sums::default(), since: quarter };
    for quarter in (0..Quarter::PER_DAY).map(|number| day.plus(number)) {
        // Parts of tomorrow may not be held yet; nothing is there.
        let Ok(sums) = one(totals, watch, cell, quarter) else { continue };
        if sums.unpriced > 0 {
            usage.since = usage.since.min(quarter);
        }
        usage.sums += sums;
    }
    usage
}

fn id(scope: &ResolvedScope, day: Quarter) -> String {
    series_alert_id(&format!("unpriced usage of {scope}"), day.start(), Kind::UnpricedUsage)
}

fn advice(provider: Option<&str>, model: Option<&str>) -> &'static str {
    match (provider, model) {
        (Some(_), Some(_)) => {
            "Add its price: write the book to a directory with `spendstream prices export DIR`, add a line to prices.csv (or to \
             aliases.csv, if it is another name of a model with a price), see that `spendstream prices check --book DIR` finds nothing, \
             and set prices.book to DIR; your own terms go in the file that prices.overrides names. The new price holds for events \
             that are read from then on."
        }
        _ => "Without a provider and a model there is no price: see who sends these events and have both named.",
    }
}

/// An alert about a day, without what it says.
fn of_day(id: String, scope: ResolvedScope, day: Quarter, at: Moment) -> Alert {
    Alert {
        id,
        kind: Kind::UnpricedUsage,
        level: Level::Warning,
        budget_id: None,
        scope,
        title: String::new(),
        message: String::new(),
        value: String::new(),
        threshold: "0".to_owned(),
        // Requests and models are compared, no money.
        currency: String::new(),
        period_start: Some(day.start()),
        period_end: Some(day.plus(Quarter::PER_DAY).start()),
        event_time: at.event_time,
        raised_at: at.now,
        owner: None,
        details: json!({}),
    }
}

/// That more models than are told one by one have no price on a day.
fn many(day: Quarter, told: usize, at: Moment) -> Alert {
    let id = series_alert_id("unpriced usage of many models", day.start(), Kind::UnpricedUsage);
    Alert {
        level: Level::Critical,
        title: format!("More than {told} models without a price"),
        message: format!(
            "Requests to more than {told} models have no price on {}, and no further ones are told today: their tokens are counted, their cost \
             is missing in every total, budget and limit. `SELECT provider, model, count(*) FROM usage WHERE cost IS NULL GROUP BY 1, 2` \
             lists all of them. See who sends such names: a model's name is no place for an id.",
            day.start().format("%F")
        ),
        value: (told + 1).to_string(),
        threshold: told.to_string(),
        details: json!({"advice": "The next one is told tomorrow, if there still are as many."}),
        ..of_day(id, ResolvedScope::new([]), day, at)
    }
}

/// The alert: how many requests since when, and what to do.
#[must_use]
pub fn alert(usage: &Usage, at: Moment) -> Alert {
    let Usage { scope, day, sums, since } = usage;
    let (provider, model) = (scope.get(&PROVIDER), scope.get(&MODEL));
    let name = format!("{}/{}", provider.unwrap_or("(no provider)"), model.unwrap_or("(no model)"));
    let advice = advice(provider, model);
    let message = format!(
        "{} of {} requests to {name} since {} have no price. Their tokens are counted, their cost is not: it is missing in every \
         total, budget and limit. {advice}",
        sums.unpriced,
        sums.requests,
        time(since.start()),
    );
    Alert {
        title: format!("{name}: usage without a price"),
        message,
        value: sums.unpriced.to_string(),
        details: json!({
            "unpriced": sums.unpriced,
            "requests": sums.requests,
            "since": time(since.start()),
            // In the place of a message's general advice.
            "advice": "The next one is told tomorrow, if there still is no price.",
        }),
        ..of_day(id(scope, *day), scope.clone(), *day, at)
    }
}

#[cfg(test)]
#[path = "unpriced_tests.rs"]
mod tests;
