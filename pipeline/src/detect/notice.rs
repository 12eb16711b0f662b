//! Anomalies in words. In: a finding and who moved, or the end of one; out: the alert, one per series, hour, kind and level. Pure; all money
//! is exact but the end of a usual range, which is an estimate.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use spendstream_schemas::alert::{Alert, Kind, Level, series_alert_id};
use spendstream_schemas::budget::ResolvedScope;
use spendstream_schemas::money::Amount;

use super::cause::Cause;
use super::watched::{CRITICAL_TIMES, Finding, Hour, is_critical};

/// Whose spend it is, and who is told.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    pub scope: &'a ResolvedScope,
    pub owner: Option<String>,
    pub currency: &'a str,
    pub now: DateTime<Utc>,
}

/// The alert about an hour. `causes`: `None` when the lake could not be asked.
#[must_use]
pub fn begun(subject: &Subject<'_>, finding: &Finding, causes: Option<&[Cause]>) -> Alert {
    let side = if finding.is_above { "above" } else { "below" };
    let who = match causes {
        None => "Who moved could not be read from the lake; look by model, team, user and app.".to_owned(),
        Some([]) => "No single model, team, user or app stands out.".to_owned(),
        Some(causes) => {
            let words: Vec<String> = causes.iter().map(|cause| cause.words(subject.currency)).collect();
            format!("Who moved, beside the mean hour of the week before: {}.", words.join(". "))
        }
    };
    let message = format!("The hour from {}: {}. {who}", hour(finding.hour), finding.reason);
    let title = format!("{} is {side} what is usual", of(subject.scope));
    let level = level(finding);
    let critical = Amount::from_units(finding.mean.units().saturating_mul(CRITICAL_TIMES)).ok();
    let threshold = critical.filter(|_| level == Level::Critical).unwrap_or(finding.threshold);
    let alert = alert(subject, finding.hour, Kind::Anomaly, level, title, message);
    Alert {
        // An hour that goes on to cost far more is told again as what it has become.
        id: if level == Level::Critical { format!("{}-critical", alert.id) } else { alert.id },
        value: finding.cost.to_string(),
        threshold: threshold.to_string(),
        details: json!({
            "detector": finding.by.word(),
            "mean": finding.mean.to_string(),
            "causes": causes.unwrap_or_default().iter().map(cause).collect::<Vec<_>>(),
        }),
        ..alert
    }
}

/// The end of what began in an hour.
#[must_use]
pub fn over(subject: &Subject<'_>, since: Hour) -> Alert {
    let title = format!("{} is usual again", of(subject.scope));
    let message = format!("What began in the hour from {} is over, or is what is usual now.", hour(since));
    let mut alert = alert(subject, since, Kind::Recovery, Level::Info, title, message);
    // Of which level it was is not known any more.
    alert.details = json!({ "recovers": { "kind": Kind::Anomaly } });
    alert
}

fn alert(subject: &Subject<'_>, hour: Hour, kind: Kind, level: Level, title: String, message: String) -> Alert {
    let start = hour.start();
    Alert {
        id: series_alert_id(&format!("hourly spend of {}", subject.scope), start, kind),
        kind,
        level,
        budget_id: None,
        scope: subject.scope.clone(),
        title,
        message,
        value: String::new(),
        threshold: String::new(),
        currency: subject.currency.to_owned(),
        period_start: Some(start),
        period_end: Some(start + TimeDelta::hours(1)),
        event_time: subject.now.min(start + TimeDelta::hours(1)),
        raised_at: subject.now,
        owner: subject.owner.clone(),
        details: Value::Null,
    }
}

fn level(finding: &Finding) -> Level {
    if finding.is_above && is_critical(finding.cost, finding.mean) { Level::Critical } else { Level::Warning }
}

fn of(scope: &ResolvedScope) -> String {
    if scope.is_everything() { "All spend".to_owned() } else { format!("Spend of {scope}") }
}

fn hour(hour: Hour) -> String {
    hour.start().format("%Y-%m-%d %H:%M UTC").to_string()
}

fn cause(cause: &Cause) -> Value {
    let money = |amount: Amount| amount.to_string();
    let movers = cause.movers.iter().map(|mover| {
        json!({
            "value": mover.value,
            "cost": money(mover.now),
            "expected": money(mover.expected),
            "change": money(mover.change),
            "percent": i64::try_from(mover.percent).unwrap_or(i64::MAX),
        })
    });
    json!({ "dimension": cause.dimension, "movers": movers.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::alert::{Kind, Level};
    use spendstream_schemas::budget::ResolvedScope;
    use spendstream_schemas::money::Amount;

    use super::super::cause::{Part, find_causes};
    use super::super::watched::{By, Finding, Hour};
    use super::{Subject, begun, over};

    fn usd(text: &str) -> Amount {
        Amount::from_decimal(text.parse().unwrap()).unwrap()
    }

    fn finding(cost: &str) -> Finding {
        Finding {
            hour: Hour(490_000),
            by: By::HourlyMean,
            cost: usd(cost),
            mean: usd("2"),
            threshold: usd("6"),
            is_above: true,
            reason: "this hour cost too much".into(),
        }
    }

    #[test]
    fn the_alert_names_who_moved_and_its_id_is_that_of_the_hour() {
        let scope = ResolvedScope::new([("team".parse().unwrap(), Some("search".to_owned()))]);
        let now = Hour(490_000).start() + chrono::TimeDelta::minutes(12);
        let subject = Subject { scope: &scope, owner: None, currency: "USD", now };
        let parts = [
            Part { dimension: "user", value: Some("ann"), now: usd("9"), expected: usd("1") },
            Part { dimension: "user", value: Some("bob"), now: usd("1"), expected: usd("1") },
        ];
        let causes = find_causes(usd("10"), usd("2"), &parts);
        let told = begun(&subject, &finding("10"), Some(&causes));
        assert_eq!((told.kind, told.level), (Kind::Anomaly, Level::Warning));
        assert_eq!(told.title, "Spend of team=search is above what is usual");
        assert_eq!(
            told.message,
            "The hour from 2025-11-24 16:00 UTC: this hour cost too much. Who moved, beside the mean hour of the week before: \
             user ann: 9 USD instead of 1 USD (+8 USD, 100 % of the change)."
        );
        assert_eq!(told.details["causes"][0]["movers"][0]["change"], "8");
        assert_eq!(told.event_time, now);
        let worse = begun(&subject, &finding("20.000000000000001"), None);
        assert_eq!((worse.level, worse.id), (Level::Critical, format!("{}-critical", told.id)));
        assert_eq!((told.threshold.as_str(), worse.threshold.as_str()), ("6", "20"));
        let end = over(&subject, Hour(490_000));
        assert_eq!((end.kind, end.title.as_str()), (Kind::Recovery, "Spend of team=search is usual again"));
        assert_ne!(end.id, told.id);
    }
}
