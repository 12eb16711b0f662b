//! The words of a budget's alert. In: a threshold, the figures it was compared with; out: an [`Alert`] with its id, title and message.
//! Pure.

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde_json::json;
use spendstream_schemas::alert::{Alert, Basis, Kind, Level, PERIOD_OVER, budget_alert_id};
use spendstream_schemas::money::{Amount, div_half_even};

use super::book::Entry;
use super::crossing::Sum;
use super::limit::figure;
use super::percent;
use super::standing::{Ground, Standing};
use super::words::time;

/// One threshold and what was compared with it.
pub(super) struct Case<'a> {
    pub entry: &'a Entry,
    pub sum: Sum<'a>,
    pub standing: Standing,
    /// What the id calls the period.
    pub occurrence: DateTime<Utc>,
    pub basis: Basis,
    /// Used, or projected.
    pub value: Amount,
    pub threshold: Decimal,
    pub now: DateTime<Utc>,
}

/// The threshold is reached.
pub(super) fn reached(case: &Case<'_>, ground: &Ground<'_>) -> Alert {
    let (kind, level) = told(case);
    let name = name(case, ground);
    let percent = percent::text(case.value, case.standing.limit);
    // Which threshold: a jump over several is an alert for each.
    let threshold = case.threshold.normalize();
    let title = match (kind, case.basis) {
        (_, Basis::Forecast) => format!("{name}: heading for {percent} % of its budget (over {threshold} %)"),
        (Kind::LimitReached, _) => format!("{name}: limit reached, {percent} % of its budget is used"),
        _ => format!("{name}: over {threshold} %, {percent} % of its budget is used"),
    };
    let is_over = kind == Kind::LimitReached && case.standing.span.end() <= case.now;
    let after = match kind {
        Kind::LimitReached if is_over => " That period is over: nothing is refused for it.",
        Kind::LimitReached => " Calls that are not critical are refused.",
        Kind::ThresholdExceeded if !case.entry.budget.hard_limit => " Nothing is refused: the limit is not a hard one.",
        _ => "",
    };
    let figures = figures(case, ground);
    let mut alert = alert(case, ground, (kind, level), title, format!("{figures}{after}"));
    if is_over {
        alert.details["advice"] =
            "Nothing is to be done for that period. Raise the budget if the next one needs more.".into();
    }
    alert
}

/// The budget, and which of its cells where it has one per value.
fn name(case: &Case<'_>, ground: &Ground<'_>) -> String {
    let budget = &case.entry.budget;
    if !budget.scope.is_template() {
        return budget.name.clone();
    }
    format!("{} ({})", budget.name, case.entry.resolve(ground.book.keys(case.entry), case.sum.values))
}

/// As what the crossing of a threshold is told.
fn told(case: &Case<'_>) -> (Kind, Level) {
    match case.basis {
        Basis::Actual => case.entry.budget.crossing(case.threshold),
        Basis::Forecast => (Kind::ForecastBreach, Level::Warning),
    }
}

/// It was reached before and is not any more.
pub(super) fn recovered(case: &Case<'_>, ground: &Ground<'_>) -> Alert {
    let what = if case.basis == Basis::Forecast { "is no longer heading for" } else { "is back below" };
    let title = format!("{}: {what} {} % of its budget", name(case, ground), case.threshold.normalize());
    let message = figures(case, ground);
    let (kind, level) = told(case);
    let mut alert = alert(case, ground, (Kind::Recovery, Level::Info), title, message);
    alert.details["recovers"] = json!({"kind": kind, "level": level});
    alert
}

/// Why what was told of a budget is over, though nothing was said of its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The budget does not watch it any more.
    Withdrawn,
    /// A new period has begun.
    Period,
}

/// Takes back what was told; its id follows from that of the alert, so that it is told once.
#[must_use]
pub fn over(told: &Alert, why: Over, now: DateTime<Utc>) -> Alert {
    let text = |name: &str| told.details.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    // Older alerts say only which budget.
    let budget = [text("name"), text("budget")].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let threshold = text("threshold_percent");
    let mut details = told.details.clone();
    details["recovers"] = json!({"kind": told.kind, "level": told.level});
    details["seen"] = time(now).into();
    let (is_period, scope) = (why == Over::Period, &told.scope);
    let is_rolling = told.is_rolling();
    details[PERIOD_OVER] = (is_period && !is_rolling).into();
    let what = if is_rolling { "has used nothing in the window of now" } else { "begins a new period" };
    let (title, message) = if is_period {
        (format!("{budget}: the period in which {threshold} % was told is over"), format!("{scope} {what}."))
    } else {
        let message = format!(
            "The budget does not watch {threshold} % of {scope} any more: it was deleted or changed, is not in force, or another one stands \
             in for it there."
        );
        (format!("{budget}: not watched any more; {threshold} % of it had been told"), message)
    };
    Alert {
        id: told.recovery_id().unwrap_or_else(|| format!("{}-over", told.id)),
        kind: Kind::Recovery,
        level: Level::Info,
        title,
        message,
        event_time: now,
        raised_at: now,
        details,
        ..told.clone()
    }
}

/// `team=search has used 81.25 of 100 USD (81.25 %) since 2026-11-01T00:00:00Z; the period ends at 2026-12-01T00:00:00Z.`
fn figures(case: &Case<'_>, ground: &Ground<'_>) -> String {
    let Case { standing, value, .. } = case;
    let scope = case.entry.resolve(ground.book.keys(case.entry), case.sum.values);
    // In the budget's own time zone.
    let zone = case.entry.budget.period.timezone;
    let local = |at: DateTime<Utc>| at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let (start, end) = (standing.span.start(), standing.span.end());
    let reset = case.entry.budget.reset_at.filter(|reset| start < *reset && *reset < end);
    let since = reset.map_or_else(|| local(start), |reset| format!("the reset at {}", local(reset)));
    let to = local(end);
    let used = standing.used.brief();
    let (percent, limit) = (percent::text(*value, standing.limit), in_words(case, ground));
    match case.basis {
        Basis::Actual => {
            let end = if case.entry.budget.period.is_rolling() { "the window ends" } else { "the period ends" };
            format!("{scope} has used {used} of {limit} ({percent} %) since {since}; {end} at {to}.")
        }
        Basis::Forecast => format!(
            "{scope} has used {used} of {limit} since {since}. At this pace it will be {} ({percent} %) when the period ends at {to}.",
            value.brief()
        ),
    }
}

/// `100 USD`; `1.08 USD = 1 EUR` where the budget is in another currency than the lake.
fn in_words(case: &Case<'_>, ground: &Ground<'_>) -> String {
    let (budget, currency) = (&case.entry.budget, ground.rates.prices.currency());
    let limit = case.standing.limit;
    if budget.currency == currency {
        return format!("{limit} {currency}");
    }
    let keys = ground.book.keys(case.entry).keys();
    let own = figure(budget, keys, case.sum.values, ground.rates).normalize();
    format!("{} {currency} = {own} {}", limit.brief(), budget.currency)
}

fn alert(case: &Case<'_>, ground: &Ground<'_>, (kind, level): (Kind, Level), title: String, message: String) -> Alert {
    let Case { entry, standing, value, threshold, .. } = case;
    let budget = &entry.budget;
    let scope = entry.resolve(ground.book.keys(entry), case.sum.values);
    let id = budget_alert_id(&budget.id, budget.revision, &scope, case.occurrence, kind, case.basis, *threshold);
    let compared = compared(standing.limit, *threshold).map_or_else(String::new, |amount| amount.to_string());
    let details = json!({
        "budget": budget.name,
        // With the value, of a template.
        "name": name(case, ground),
        "basis": if case.basis == Basis::Forecast { "forecast" } else { "actual" },
        "threshold_percent": threshold.normalize().to_string(),
        "percent": percent::text(*value, standing.limit),
        "used": standing.used.to_string(),
        "limit": standing.limit.to_string(),
        "occurrence": time(case.occurrence),
        "rolling": budget.period.is_rolling(),
        "revision": budget.revision,
        // Unlike `raised_at`, not when the store was reached.
        "seen": time(case.now),
        "timezone": budget.period.timezone.name(),
        "contacts": budget.contacts,
    });
    Alert {
        id,
        kind,
        level,
        budget_id: Some(budget.id.clone()),
        scope,
        title,
        message,
        value: value.to_string(),
        threshold: compared,
        currency: ground.rates.prices.currency().to_owned(),
        period_start: Some(standing.span.start()),
        period_end: Some(standing.span.end()),
        event_time: case.sum.event_time,
        raised_at: case.now,
        owner: budget.owner.clone(),
        details,
    }
}

/// The threshold as money.
fn compared(limit: Amount, threshold: Decimal) -> Option<Amount> {
    let scale = 10_i128.checked_pow(threshold.scale())?.checked_mul(100)?;
    Amount::from_units(div_half_even(limit.units().checked_mul(threshold.mantissa())?, scale)).ok()
}
