//! `time_bucket('1 day', event_time, 'Europe/Berlin')`: where the hour, day, week, month, quarter or year that a time lies in begins, by the clocks of a time
//! zone; UTC without one. In: the call as it was written. Out: the same by functions of the query engine. Pure.
//!
//! One of these units is cut by the calendar, and a day has 23 to 25 hours. Several minutes or hours (`'15 minutes'`, `'6 hours'`) are steps from
//! midnight UTC of 1 January 1970, and only shown in the zone. Several days or months are no steps of a calendar.

use chrono_tz::Tz;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName,
    Value,
};

const NAME: &str = "time_bucket";
const EXAMPLE: &str = "time_bucket('1 day', event_time, 'Europe/Berlin')";
const CALENDAR: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];

/// What stands for a call of `time_bucket`; `None` for anything else.
///
/// # Errors
/// Why the call cannot be read.
pub fn rewritten(expr: &Expr) -> Option<Result<Expr, String>> {
    let Expr::Function(function) = expr else { return None };
    function.name.to_string().eq_ignore_ascii_case(NAME).then(|| replaced(function))
}

fn replaced(function: &Function) -> Result<Expr, String> {
    let FunctionArguments::List(list) = &function.args else { return Err(format!("write {EXAMPLE}")) };
    let args = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => Ok(arg),
        _ => Err(format!("{NAME} takes no such argument; write {EXAMPLE}")),
    });
    let (step, time, zone) = match args.collect::<Result<Vec<_>, _>>()?.as_slice() {
        [step, time] => (*step, *time, None),
        [step, time, zone] => (*step, *time, Some(*zone)),
        _ => return Err(format!("{NAME} takes two or three arguments; write {EXAMPLE}")),
    };
    let zone =
        zone.map_or(Ok("UTC"), |zone| text(zone).ok_or_else(|| format!("the zone is a text; write {EXAMPLE}")))?;
    if zone.parse::<Tz>().is_err() {
        return Err(format!("'{zone}' is no time zone; write an IANA name: {EXAMPLE}"));
    }
    let time_zone = Box::new(Expr::value(Value::SingleQuotedString(zone.to_owned())));
    let time = Expr::AtTimeZone { timestamp: Box::new(time.clone()), time_zone };
    Ok(match step_of(step)? {
        Step::Calendar(unit) => call(function, "date_trunc", Expr::value(Value::SingleQuotedString(unit)), time),
        Step::Even(step) => call(function, "date_bin", interval(step), time),
    })
}

enum Step {
    Calendar(String),
    Even(String),
}

fn step_of(step: &Expr) -> Result<Step, String> {
    let step = match step {
        Expr::Interval(interval) if interval.leading_field.is_none() => text(&interval.value),
        other => text(other),
    };
    let step = step.ok_or_else(|| format!("the step is a text; write {EXAMPLE}"))?;
    let wrong = || {
        format!(
            "'{step}' is no step: 1 hour, day, week, month, quarter or year, or any number of minutes or hours; \
             other steps are those of date_bin"
        )
    };
    let lower = step.trim().to_lowercase();
    let (number, unit) = lower.split_once(' ').unwrap_or(("1", lower.as_str()));
    let (number, unit) = (number.parse::<u32>().map_err(|_| wrong())?, unit.trim().trim_end_matches('s'));
    match (number, unit) {
        (1, unit) if CALENDAR.contains(&unit) => Ok(Step::Calendar(unit.to_owned())),
        (1.., "minute" | "hour") => Ok(Step::Even(format!("{number} {unit}s"))),
        _ => Err(wrong()),
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn interval(step: String) -> Expr {
    Expr::Interval(Interval {
        value: Box::new(Expr::value(Value::SingleQuotedString(step))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

fn call(function: &Function, name: &str, step: Expr, time: Expr) -> Expr {
    let args = [step, time].map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).to_vec();
    let args = FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() });
    Expr::Function(Function { name: ObjectName::from(vec![Ident::new(name)]), args, ..function.clone() })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Row, TestLake, json};

    #[tokio::test]
    async fn buckets_follow_the_clocks_of_a_zone() {
        let at =
            |time: &'static str| Row { id: time, date: &time[..10], time: Some(time), cost: Some("1"), ..Row::BLANK };
        // The night in which clocks are put back in Berlin.
        let lake = TestLake::with(&[
            at("2026-10-24T22:10:00Z"),
            at("2026-10-25T00:40:00Z"),
            at("2026-10-25T22:50:00Z"),
            at("2026-10-25T23:00:00Z"),
        ])
        .await;
        let engine = lake.engine();
        let check = async |bucket: &str, expected: &str| {
            let sql = format!("SELECT CAST({bucket} AS VARCHAR) AS b, count(*) AS n FROM usage GROUP BY 1 ORDER BY 1");
            let found = json(&engine, &sql)
                .await
                .unwrap()
                .replace(['"', '{', '}', '[', ']', '\n'], "")
                .replace("b:", "")
                .replace("n:", "");
            assert_eq!(found, expected, "{bucket}");
        };
        check(
            "time_bucket('1 day', event_time, 'Europe/Berlin')",
            "2026-10-25T00:00:00+02:00,3,2026-10-26T00:00:00+01:00,1",
        )
        .await;
        check("time_bucket('day', event_time)", "2026-10-24T00:00:00Z,1,2026-10-25T00:00:00Z,3").await;
        check("TIME_BUCKET(INTERVAL '1 month', event_time, 'UTC')", "2026-10-01T00:00:00Z,4").await;
        check(
            "time_bucket('15 minutes', event_time)",
            "2026-10-24T22:00:00Z,1,2026-10-25T00:30:00Z,1,2026-10-25T22:45:00Z,1,2026-10-25T23:00:00Z,1",
        )
        .await;
        check(
            "time_bucket('6 hours', event_time, 'Asia/Kolkata')",
            "2026-10-24T23:30:00+05:30,1,2026-10-25T05:30:00+05:30,1,2026-10-25T23:30:00+05:30,2",
        )
        .await;
        for (bucket, expected) in [
            ("time_bucket('2 days', event_time)", "'2 days' is no step"),
            ("time_bucket('0 hours', event_time)", "is no step"),
            ("time_bucket('1 day', event_time, 'Europe/Berlinn')", "'Europe/Berlinn' is no time zone"),
            ("time_bucket('1 day', event_time, team)", "the zone is a text"),
            ("time_bucket('1 day')", "two or three arguments"),
        ] {
            let error = json(&engine, &format!("SELECT {bucket} FROM usage")).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
