//! The words for live totals that were not what the lake says. In: what a comparison found; out: an alert with every figure. Pure; what
//! differed is repaired before this is asked.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::json;
use spendstream_schemas::alert::{Alert, Kind, Level, series_alert_id};
use spendstream_schemas::budget::ResolvedScope;
use spendstream_schemas::money::Amount;

use super::words::time;
use crate::aggregate::join::{Difference, Reconciled};
use crate::aggregate::plan::Watch;
use crate::aggregate::sums::Sums;

/// The alert about a watch, one per watch and hour; `None` when nothing differed.
#[must_use]
pub fn alert(report: &Reconciled, watch: &Watch, currency: &str, now: DateTime<Utc>) -> Option<Alert> {
    let first = report.examples.first().filter(|_| report.differences > 0)?;
    let what = format!("live totals of {} by {}", watch.keys, watch.bucketing);
    let window = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    let examples: Vec<String> = report.examples.iter().map(|found| example(found, watch, currency)).collect();
    let Reconciled { differences, compared, version, .. } = report;
    let message = format!(
        "{differences} of {compared} sums were not what version {version} of the lake and the batches after it say. They are \
         repaired: what the lake says is in use. {}",
        examples.join(" ")
    );
    let details = json!({
        "series": what,
        "differences": differences,
        "compared": compared,
        "lake_version": version,
        "examples": report.examples.iter().map(|found| details(found, watch)).collect::<Vec<_>>(),
    });
    Some(Alert {
        id: series_alert_id(&what, window, Kind::Reconciliation),
        kind: Kind::Reconciliation,
        level: Level::Critical,
        budget_id: None,
        scope: scope(first, watch),
        title: format!("The {what} differed from the lake"),
        message,
        value: money(first.live.cost),
        threshold: money(first.lake.cost),
        currency: currency.to_owned(),
        period_start: None,
        period_end: None,
        event_time: first.bucket.start(),
        raised_at: now,
        owner: None,
        details,
    })
}

/// `user=ann from 2026-11-22T00:00:00Z: live 1.5 USD (6 requests, 0 without a price), lake …, live - lake = 0.5 USD; spendstream/…/0, …`
fn example(found: &Difference, watch: &Watch, currency: &str) -> String {
    let Difference { live, lake, source, committed, reached, .. } = found;
    let told = |sums: &Sums| {
        format!("{} {currency} ({} requests, {} without a price)", money(sums.cost), sums.requests, sums.unpriced)
    };
    format!(
        "{} from {}: live {}, lake {}, live - lake = {} {currency}; topic {} partition {}, both up to offset {reached}, of which \
         the lake had those before {committed}.",
        scope(found, watch),
        time(found.bucket.start()),
        told(live),
        told(lake),
        money(live.cost - lake.cost),
        source.topic,
        source.partition,
    )
}

fn details(found: &Difference, watch: &Watch) -> serde_json::Value {
    let sums = |sums: &Sums| json!({"cost": money(sums.cost), "requests": sums.requests, "unpriced": sums.unpriced});
    json!({
        "scope": scope(found, watch).to_string(),
        "from": time(found.bucket.start()),
        "source": found.source.to_string(),
        "live": sums(&found.live),
        "lake": sums(&found.lake),
        "committed": found.committed,
        "reached": found.reached,
    })
}

fn scope(found: &Difference, watch: &Watch) -> ResolvedScope {
    ResolvedScope::new(watch.keys.keys().iter().cloned().zip(found.values.iter().cloned()))
}

/// A sum that is spoilt may be more than an amount can be; then it is told in its units.
fn money(units: i128) -> String {
    Amount::from_units(units).map_or_else(|_| format!("{units}e-15"), |amount| amount.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spendstream_schemas::alert::{Kind, Level};
    use spendstream_schemas::budget::{Period, PeriodRule, Quarter, ScopeKey};
    use spendstream_schemas::dimension::Text;
    use spendstream_schemas::ids::SourcePartition;

    use super::super::fixture::at;
    use super::alert;
    use crate::aggregate::join::{Difference, Reconciled};
    use crate::aggregate::plan::{Bucketing, DimensionSet, Watch, WatchPlan};
    use crate::aggregate::sums::Sums;

    fn watch(period: Period) -> Watch {
        let rule = PeriodRule { period, timezone: chrono_tz::Europe::Berlin, starts_on: None };
        let keys = DimensionSet::new([ScopeKey::Text(Text::Team)]);
        WatchPlan::default().next(&[(keys, Bucketing::of(rule))]).watches()[0].clone()
    }

    fn report(watch: &Watch) -> Reconciled {
        let found = Difference {
            values: vec![None],
            bucket: Quarter::of(at("2026-11-21T23:00:00Z")),
            source: Arc::new(SourcePartition { cluster: "eu".into(), topic: "usage.events".into(), partition: 3 }),
            live: Sums { cost: 1_500_000_000_000_001, requests: 7, unpriced: 1 },
            lake: Sums { cost: 1_500_000_000_000_000, requests: 6, unpriced: 1 },
            committed: 20,
            reached: 30,
        };
        Reconciled { watch: watch.id, version: 12, compared: 5, differences: 1, examples: vec![found] }
    }

    #[test]
    fn a_difference_is_told_with_every_figure() {
        let watch = watch(Period::Daily);
        let told = alert(&report(&watch), &watch, "USD", at("2026-11-22T10:59:00Z")).unwrap();
        assert_eq!((told.kind, told.level), (Kind::Reconciliation, Level::Critical));
        assert_eq!(told.title, "The live totals of team by daily periods of Europe/Berlin differed from the lake");
        assert_eq!(
            told.message,
            "1 of 5 sums were not what version 12 of the lake and the batches after it say. They are repaired: what the lake says \
             is in use. team=(none) from 2026-11-21T23:00:00Z: live 1.500000000000001 USD (7 requests, 1 without a price), lake \
             1.5 USD (6 requests, 1 without a price), live - lake = 0.000000000000001 USD; topic usage.events partition 3, both \
             up to offset 30, of which the lake had those before 20."
        );
        assert_eq!((told.value.as_str(), told.threshold.as_str()), ("1.500000000000001", "1.5"));
        assert_eq!(told.details["examples"][0]["reached"], 30);
    }

    #[test]
    fn it_is_one_alert_per_watch_and_hour_and_none_without_a_difference() {
        let (daily, rolling) = (watch(Period::Daily), watch(Period::Rolling(4)));
        let id = |watch: &Watch, time: &str| alert(&report(watch), watch, "USD", at(time)).unwrap().id;
        assert_eq!(id(&daily, "2026-11-22T10:00:00Z"), id(&daily, "2026-11-22T10:59:59Z"));
        assert_ne!(id(&daily, "2026-11-22T10:00:00Z"), id(&daily, "2026-11-22T11:00:00Z"));
        assert_ne!(id(&daily, "2026-11-22T10:00:00Z"), id(&rolling, "2026-11-22T10:00:00Z"));
        let fine = Reconciled { differences: 0, examples: Vec::new(), ..report(&daily) };
        assert_eq!(alert(&fine, &daily, "USD", at("2026-11-22T10:00:00Z")), None);
    }

    #[test]
    fn a_sum_that_is_no_amount_is_told_in_units() {
        let watch = watch(Period::Daily);
        let mut report = report(&watch);
        report.examples[0].live.cost = 10_i128.pow(30);
        let told = alert(&report, &watch, "USD", at("2026-11-22T10:00:00Z")).unwrap();
        assert_eq!(told.value, "1000000000000000000000000000000e-15");
    }
}
