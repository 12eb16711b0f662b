//! What cannot tell rows of one sum apart. In: an expression over `usage`. Out: the same over what is read instead, or nothing where it can. Pure.
//!
//! Of the time of an event only its quarter-hour is left there, in the column that is called the same: what is asked of it must have one answer for
//! all of a quarter-hour.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Offset, TimeZone};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use spendstream_schemas::table::rollup::{DIMENSIONS, QUARTER_MICROS};
use spendstream_schemas::table::usage::DATE;

use super::source::{NAME, TIME};
use crate::catalog::usage::ByRollup;

/// A dimension that is no text.
pub(super) const CACHE_HIT: &str = "cache_hit";

/// Since this day every zone is whole quarter-hours away from UTC, and changes its offset at the beginning of one: St. John's did so
/// a minute late until 2011.
const ZONES_SINCE: &str = "2015-01-01";
/// Of these zones that is not true.
const ODD_ZONES: [&str; 1] = ["Antarctica/Casey"];

/// What periods `date_trunc` and `date_part` know that are no shorter than an hour.
const LONG: [&str; 12] =
    ["hour", "day", "dow", "isodow", "doy", "week", "isoyear", "month", "quarter", "year", "decade", "century"];

const NANOS: i64 = 1_000;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Whether no row is older than what is known of time zones.
    has_zones: bool,
}

/// How an expression tells the time of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Instant,
    /// By a clock on a wall.
    Local,
}

impl Keys {
    pub fn of(by_rollup: &ByRollup) -> Self {
        Self { has_zones: by_rollup.oldest.as_str() >= ZONES_SINCE }
    }

    /// The expression over what is read instead.
    ///
    /// # Errors
    /// Never; the walk wants to be able to fail.
    pub fn kept(self, expr: &Expr) -> Result<Option<Expr>> {
        let mut fits = true;
        let kept = expr.clone().transform_down(|part| {
            if self.is_of_quarters(&part) {
                return Ok(Transformed::new(moved(part)?, true, TreeNodeRecursion::Jump));
            }
            fits &= is_plain(&part);
            match part {
                Expr::Column(column) if is_key(&column.name) => {
                    Ok(Transformed::new(of_sums(column), true, TreeNodeRecursion::Jump))
                }
                Expr::Column(column) => {
                    fits = false;
                    Ok(Transformed::new(Expr::Column(column), false, TreeNodeRecursion::Stop))
                }
                other => Ok(Transformed::no(other)),
            }
        })?;
        Ok(fits.then_some(kept.data))
    }

    /// Whether it is asked of the time of an event, and has one answer for all of a quarter-hour.
    fn is_of_quarters(self, expr: &Expr) -> bool {
        match expr {
            Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
                ("date_trunc" | "date_part", [period, time]) => is_long(period) && self.tells(time).is_some(),
                ("date_bin", [step, time, origin @ ..]) => {
                    let whole = origin.iter().all(|origin| micros(origin).is_some_and(starts_quarter));
                    origin.len() < 2 && whole && is_whole(step) && self.tells(time).is_some()
                }
                _ => false,
            },
            Expr::Cast(cast) => matches!(cast.field.data_type(), DataType::Date32) && self.tells(&cast.expr).is_some(),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (self.tells(left), self.tells(right)) {
                (Some(_), None) => is_boundary(*op, right),
                (None, Some(_)) => op.swap().is_some_and(|op| is_boundary(op, left)),
                _ => false,
            },
            Expr::Between(Between { expr, low, high, .. }) => {
                self.tells(expr).is_some() && is_boundary(Operator::GtEq, low) && is_boundary(Operator::LtEq, high)
            }
            _ => false,
        }
    }

    /// Whether it is the time of an event, whole quarter-hours away from it at most.
    fn tells(self, expr: &Expr) -> Option<Told> {
        match expr {
            Expr::Column(column) => (column.name == TIME).then_some(Told::Instant),
            Expr::Cast(cast) => {
                let from = self.tells(&cast.expr)?;
                match (from, cast.field.data_type()) {
                    (_, DataType::Timestamp(unit, _)) if !is_fine(*unit) => None,
                    (Told::Instant, DataType::Timestamp(_, Some(zone))) => self.is_whole(zone).then_some(from),
                    (_, DataType::Timestamp(_, None)) => Some(Told::Local),
                    _ => None,
                }
            }
            Expr::ScalarFunction(call) if call.name() == "to_local_time" => match call.args.as_slice() {
                [time] => (self.tells(time)? == Told::Instant).then_some(Told::Local),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a zone is whole quarter-hours away from UTC.
    fn is_whole(self, zone: &str) -> bool {
        // A fixed offset is the same at any time; what changes is whole since the day that is known.
        let at = DateTime::from_timestamp(1_767_225_600, 0).map(|time| time.naive_utc());
        let offset = Tz::from_str(zone).ok().zip(at).map(|(zone, at)| zone.offset_from_utc_datetime(&at).fix());
        let whole = offset.is_some_and(|offset| offset.local_minus_utc() % 900 == 0);
        let known = self.has_zones && !ODD_ZONES.contains(&zone);
        whole && (known || zone == "UTC" || zone == "+00:00")
    }
}

/// Whether values of the unit are no coarser than the column's own.
fn is_fine(unit: TimeUnit) -> bool {
    matches!(unit, TimeUnit::Microsecond | TimeUnit::Nanosecond)
}

/// What depends on nothing but its parts.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => true,
        Expr::ScalarFunction(_) => !expr.is_volatile_node(),
        _ => false,
    }
}

fn is_key(name: &str) -> bool {
    DIMENSIONS.contains(&name) || name == CACHE_HIT || name == DATE
}

/// A column of what is read instead.
pub(super) fn of_sums(column: Column) -> Expr {
    Expr::Column(Column::new(Some(NAME), column.name))
}

fn moved(expr: Expr) -> Result<Expr> {
    let moved = expr.transform_up(|part| {
        Ok(match part {
            Expr::Column(column) => Transformed::yes(of_sums(column)),
            other => Transformed::no(other),
        })
    })?;
    Ok(moved.data)
}

fn is_long(period: &Expr) -> bool {
    let Expr::Literal(period, _) = period else { return false };
    period.try_as_str().flatten().is_some_and(|period| LONG.contains(&period.to_ascii_lowercase().as_str()))
}

/// Whether a step is a whole number of quarter-hours; how long a month is, nobody knows.
fn is_whole(step: &Expr) -> bool {
    const DAY: i64 = 86_400_000_000_000;
    let nanos = match step {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(step)), _) if step.months == 0 => {
            i64::from(step.days).checked_mul(DAY).and_then(|days| days.checked_add(step.nanoseconds))
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(step)), _) => {
            let time = i64::from(step.milliseconds) * 1_000_000;
            i64::from(step.days).checked_mul(DAY).and_then(|days| days.checked_add(time))
        }
        _ => None,
    };
    nanos.is_some_and(|nanos| nanos > 0 && nanos % (QUARTER_MICROS * NANOS) == 0)
}

/// Whether all of a quarter-hour is on one side of the constant.
fn is_boundary(op: Operator, constant: &Expr) -> bool {
    let Some(micros) = micros(constant) else { return false };
    match op {
        Operator::GtEq | Operator::Lt => starts_quarter(micros),
        // The column has microseconds, and after this one comes the next.
        Operator::Gt | Operator::LtEq => micros.0.checked_add(1).is_some_and(|next| next % QUARTER_MICROS == 0),
        _ => false,
    }
}

/// Whole microseconds, and whether there were parts of one beside.
fn micros(constant: &Expr) -> Option<(i64, bool)> {
    let Expr::Literal(constant, _) = constant else { return None };
    match constant {
        ScalarValue::TimestampSecond(Some(value), _) => Some((value.checked_mul(1_000_000)?, false)),
        ScalarValue::TimestampMillisecond(Some(value), _) => Some((value.checked_mul(1_000)?, false)),
        ScalarValue::TimestampMicrosecond(Some(value), _) => Some((*value, false)),
        ScalarValue::TimestampNanosecond(Some(value), _) => {
            Some((value.div_euclid(NANOS), value.rem_euclid(NANOS) != 0))
        }
        _ => None,
    }
}

fn starts_quarter((micros, more): (i64, bool)) -> bool {
    micros % QUARTER_MICROS == 0 && !more
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Offset, TimeZone};
    use chrono_tz::TZ_VARIANTS;

    use super::{ODD_ZONES, ZONES_SINCE};

    /// What the day stands on: no offset is, or begins, within a quarter-hour.
    #[test]
    fn zones_are_whole_quarters_from_utc_since_the_day() {
        const DAYS: i64 = 86_400;
        let since = format!("{ZONES_SINCE}T00:00:00Z").parse::<DateTime<chrono::Utc>>().unwrap().timestamp();
        for zone in TZ_VARIANTS.into_iter().filter(|zone| !ODD_ZONES.contains(&zone.name())) {
            let offset = |at: i64| {
                let at = DateTime::from_timestamp(at, 0).unwrap().naive_utc();
                zone.offset_from_utc_datetime(&at).fix().local_minus_utc()
            };
            for at in (0..25 * 73).map(|step| since + step * 5 * DAYS) {
                let (mut before, mut after) = (at, at + 5 * DAYS);
                assert_eq!(offset(after) % 900, 0, "{zone} at {after}");
                while offset(before) != offset(after) && after - before > 1 {
                    let middle = before.midpoint(after);
                    if offset(middle) == offset(before) { before = middle } else { after = middle }
                }
                assert!(offset(before) == offset(after) || after % 900 == 0, "{zone} changes at {after}");
            }
        }
    }
}
