//! What anomalies ask of the lake: hours of the values that cost the most, and who moved. In: one version of the lake; out: exact sums. Never writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use spendstream_schemas::budget::ScopeKey;
use spendstream_schemas::money::Amount;

use crate::aggregate::load::column;
use crate::detect::cause::{Cause, Part, expected, find_causes};
use crate::detect::watched::Hour;
use crate::lake::LakeError;
use crate::lake::view::{LakeView, failed, quoted, texts};

/// Values of a set, in the order of its keys.
pub type Values = Vec<Option<String>>;
/// What values cost, by hour; hours without spend are left out.
pub type Hours = BTreeMap<Values, BTreeMap<Hour, Amount>>;

/// Hours that "the week before" has.
pub const WEEK: i64 = 7 * 24;
/// Values of one dimension that are looked at for a cause: those that cost the most.
const LOOKED_AT: usize = 200;

/// From the first to before the second.
pub type Between = (Hour, Hour);

/// The values that cost the most, the most expensive first.
///
/// # Errors
/// When the lake cannot be read.
pub async fn top(view: &LakeView, keys: &[ScopeKey], between: Between, most: u32) -> Result<Vec<Values>, LakeError> {
    if keys.is_empty() {
        return Ok(vec![Values::new()]);
    }
    let listed = listed(keys);
    let numbers = numbers(keys.len());
    let sql = format!(
        "SELECT {listed}sum(cost) FROM usage WHERE {} GROUP BY {numbers} HAVING sum(cost) > 0 ORDER BY {} DESC, {numbers} LIMIT {most}",
        within(between),
        keys.len() + 1
    );
    let mut found = Vec::new();
    for batch in view.rows(&sql).await? {
        let columns: Vec<_> = (0..keys.len()).map(|at| texts(&batch, at)).collect();
        found.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    Ok(found)
}

/// What these values cost, hour by hour.
///
/// # Errors
/// When the lake cannot be read.
pub async fn hours(
    view: &LakeView,
    keys: &[ScopeKey],
    between: Between,
    values: &[&Values],
) -> Result<Hours, LakeError> {
    let mut hours = Hours::new();
    if values.is_empty() || between.0 >= between.1 {
        return Ok(hours);
    }
    let only: Vec<String> = values.iter().map(|values| format!("({})", is(keys, values))).collect();
    let sql = format!(
        "SELECT {}CAST(event_time AS BIGINT) / 3600000000, sum(cost) FROM usage WHERE {} AND ({}) GROUP BY {}",
        listed(keys),
        within(between),
        only.join(" OR "),
        numbers(keys.len() + 1)
    );
    for batch in view.rows(&sql).await? {
        let columns: Vec<_> = (0..keys.len()).map(|at| texts(&batch, at)).collect();
        let starts = cast(batch.column(keys.len()), &DataType::Int64).map_err(|error| failed(&view.lake, &error))?;
        let starts = starts.as_primitive::<Int64Type>();
        for (row, cost) in amounts(view, batch.column(keys.len() + 1))?.into_iter().enumerate() {
            let values = columns.iter().map(|column| column[row].clone()).collect();
            hours.entry(values).or_default().insert(Hour(starts.value(row)), cost);
        }
    }
    Ok(hours)
}

/// Who moved in an hour, beside the mean of up to `age` hours of the week before.
///
/// # Errors
/// When the lake cannot be read.
pub async fn causes(
    view: &LakeView,
    scope: (&[ScopeKey], &Values),
    hour: Hour,
    (is_above, age): (bool, u32),
    dimensions: &[ScopeKey],
) -> Result<Vec<Cause>, LakeError> {
    let hours = age.clamp(1, u32::try_from(WEEK).unwrap_or(1));
    let from = hour.plus(-i64::from(hours));
    let start = instant(hour);
    let sums = format!(
        "sum(CASE WHEN event_time >= {start} THEN cost END), sum(CASE WHEN event_time < {start} THEN cost END) FROM usage WHERE {} \
         AND {}",
        within((from, hour.plus(1))),
        is(scope.0, scope.1)
    );
    let mean = |sum: Amount| expected(sum, hours).map_err(|error| failed(&view.lake, &error));
    let mut whole = (Amount::ZERO, Amount::ZERO);
    for batch in view.rows(&format!("SELECT {sums}")).await? {
        let both = amounts(view, batch.column(0))?.into_iter().zip(amounts(view, batch.column(1))?);
        for (now, before) in both {
            whole = (now, mean(before)?);
        }
    }
    let order = if is_above { 2 } else { 3 };
    let mut moved: Vec<(String, Option<String>, Amount, Amount)> = Vec::new();
    for key in dimensions.iter().filter(|key| !scope.0.contains(key)) {
        let sql =
            format!("SELECT {}, {sums} GROUP BY 1 ORDER BY {order} DESC NULLS LAST, 1 LIMIT {LOOKED_AT}", column(key));
        for batch in view.rows(&sql).await? {
            let both = amounts(view, batch.column(1))?.into_iter().zip(amounts(view, batch.column(2))?);
            for (value, (now, before)) in texts(&batch, 0).into_iter().zip(both) {
                moved.push((key.to_string(), value, now, mean(before)?));
            }
        }
    }
    let parts = moved.iter().map(|(dimension, value, now, expected)| Part {
        dimension,
        value: value.as_deref(),
        now: *now,
        expected: *expected,
    });
    Ok(find_causes(whole.0, whole.1, &parts.collect::<Vec<_>>()))
}

fn amounts(view: &LakeView, column: &ArrayRef) -> Result<Vec<Amount>, LakeError> {
    let costs = column.as_primitive_opt::<Decimal128Type>();
    let costs = costs.ok_or_else(|| failed(&view.lake, &"a sum of cost is no decimal"))?;
    let amount =
        |units: Option<i128>| Amount::from_units(units.unwrap_or(0)).map_err(|error| failed(&view.lake, &error));
    costs.iter().map(amount).collect()
}

fn listed(keys: &[ScopeKey]) -> String {
    keys.iter().fold(String::new(), |mut list, key| {
        let _ = write!(list, "{}, ", column(key));
        list
    })
}

fn numbers(count: usize) -> String {
    (1..=count).map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

fn is(keys: &[ScopeKey], values: &Values) -> String {
    let each: Vec<String> = (keys.iter().zip(values))
        .map(|(key, value)| match value {
            Some(value) => format!("{} = {}", column(key), quoted(value)),
            None => format!("{} IS NULL", column(key)),
        })
        .collect();
    if each.is_empty() { "true".to_owned() } else { each.join(" AND ") }
}

fn within((from, to): Between) -> String {
    format!(
        "date >= CAST('{}' AS DATE) AND date <= CAST('{}' AS DATE) AND event_time >= {} AND event_time < {}",
        from.start().format("%F"),
        to.plus(-1).start().format("%F"),
        instant(from),
        instant(to)
    )
}

fn instant(hour: Hour) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", hour.start().timestamp_micros())
}
