//! A day or a month at a glance: `GET /v1/reports/daily`, `/v1/reports/monthly`, `spendstream report daily`. In come words, out come totals, what was spent by
//! whom, and what moved most, beside the day (or month) before and, of a day, the mean of the same weekday.
//!
//! Over calls and charges. The mean is that of the last four such days that have any spend. Of each dimension the values that spent most, then or before,
//! are looked at.

use std::cmp::Reverse;

use chrono::{Datelike, Days, Months, NaiveDate};
use chrono_tz::Tz;
use serde_json::json;
use spendstream_schemas::money::{Amount, div_half_even};

use super::asked::{Asked, Span, month};
use super::chargeback::as_of;
use super::dimension::Dimension;
use super::document::{Cell, Column, Document, Kind, Part};
use super::reader::Reader;
use super::statement::{FAILED, Source, Statement, UNPRICED, money, whole};
use super::{Ground, ReportError};
use crate::words::Words;

const SOURCE: Source = Source::Spend;
/// What is broken down: the part's name and the dimension.
const BY: [(&str, &str); 7] = [
    ("by_team", "team"),
    ("by_model", "model"),
    ("by_provider", "provider"),
    ("by_organization", "organization"),
    ("by_endpoint", "endpoint"),
    ("by_project", "project"),
    ("by_user", "user"),
];
/// Values of a dimension that are looked at.
const LOOKED_AT: usize = 1_000;
/// Values that are shown when nobody says how many.
const SHOWN: usize = 20;
const MOVERS: usize = 10;
/// Weeks that are looked back.
const WEEKS: u64 = 4;
const COUNTS: [&str; 6] = ["calls", "input_tokens", "output_tokens", "failed", "unpriced", "users"];

/// How long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Day,
    Month,
}

impl Of {
    fn report(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Month => "monthly",
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Overview {
    pub asked: Asked,
    pub of: Of,
    pub date: NaiveDate,
    before: Span,
    /// The same weekday of weeks before, the latest first.
    weekdays: Vec<Span>,
    shown: usize,
}

impl Overview {
    /// # Errors
    /// When a word is wrong.
    pub fn new(of: Of, mut words: Words, ground: &Ground<'_>) -> Result<Self, String> {
        let mut asked = Asked::new(&mut words, ground)?;
        let today = ground.now.with_timezone(&asked.zone).date_naive();
        let (date, before) = match of {
            Of::Day => {
                let yesterday = today.checked_sub_days(Days::new(1)).unwrap_or(today);
                let date = words.take_as("date", "2026-11-01")?.unwrap_or(yesterday);
                (date, Span::day(asked.zone, date.checked_sub_days(Days::new(1)).unwrap_or(date)))
            }
            Of::Month => {
                let date = words.take("month").map(|text| month(&text)).transpose()?.unwrap_or(today);
                let first = date.with_day(1).unwrap_or(date);
                (first, Span::month(asked.zone, first.checked_sub_months(Months::new(1)).unwrap_or(first)))
            }
        };
        let weekdays = if of == Of::Day { weekdays(asked.zone, date) } else { Vec::new() };
        asked.span = if of == Of::Day { Span::day(asked.zone, date) } else { Span::month(asked.zone, date) };
        let shown = words.take_as("top", "20")?.unwrap_or(SHOWN).min(LOOKED_AT);
        asked.filter(&mut words, SOURCE, ground)?;
        Ok(Self { asked, of, date, before, weekdays, shown })
    }

    fn spans(&self) -> impl Iterator<Item = Span> {
        [self.asked.span, self.before].into_iter().chain(self.weekdays.iter().copied())
    }

    /// The sums of a dimension's values, or of all; the same columns for both.
    fn sql(&self, by: Option<&Dimension>) -> String {
        let at = |span: &Span| during_only(*span);
        let (day, before) = (at(&self.asked.span), at(&self.before));
        let amount = |when: &str| money(&format!("CASE WHEN {when} THEN cost END"), self.asked.currency.as_deref());
        let count = |what: &str| format!("sum(CASE WHEN {day} THEN {what} ELSE 0 END)");
        let rows: Vec<_> = self.spans().map(|span| format!("({})", span.rows())).collect();
        let mut statement = Statement {
            source: SOURCE,
            keys: by.iter().map(|by| by.sql.clone()).collect(),
            sums: Vec::new(),
            condition: self.asked.rows(&format!("({})", rows.join(" OR "))),
            shown: by.iter().map(|by| format!("k0 AS {}", by.quoted())).collect(),
            tail: String::new(),
        };
        statement.sum("cost", amount(&day));
        statement.sum("before", amount(&before));
        let weekdays: Vec<_> = self.weekdays.iter().map(at).collect();
        for (number, when) in weekdays.iter().enumerate() {
            statement.sum(&format!("weekday{number}"), amount(when));
        }
        let failed = format!("CASE WHEN {FAILED} THEN calls ELSE 0 END");
        let unpriced = format!("CASE WHEN {UNPRICED} THEN calls ELSE 0 END");
        let counted = ["calls", "input_tokens", "output_tokens", &failed, &unpriced];
        for (name, what) in COUNTS.into_iter().zip(counted) {
            statement.sum(name, count(what));
        }
        // Of all alone: without it sums of calls may come from the rollup.
        if by.is_none() {
            statement.sum("users", format!("count(DISTINCT CASE WHEN {day} THEN user_id END)"));
        }
        statement.shown.extend(["coalesce(cost, 0) AS cost", "coalesce(before, 0) AS before"].map(str::to_owned));
        statement.shown.extend((0..weekdays.len()).map(|at| format!("coalesce(weekday{at}, 0) AS weekday{at}")));
        let names = if by.is_some() { &COUNTS[..counted.len()] } else { &COUNTS[..] };
        statement.shown.extend(names.iter().map(|name| whole(name, name)));
        if by.is_some() {
            statement.tail = format!(
                " ORDER BY greatest(coalesce(cost, 0), coalesce(before, 0)) DESC, k0 NULLS LAST LIMIT {LOOKED_AT}"
            );
        }
        statement.sql()
    }

    fn title(&self) -> String {
        match self.of {
            Of::Day => format!("Spend of {}", self.date),
            Of::Month => format!("Spend of {}", self.date.format("%Y-%m")),
        }
    }
}

fn weekdays(zone: Tz, date: NaiveDate) -> Vec<Span> {
    let days = (1..=WEEKS).filter_map(|week| date.checked_sub_days(Days::new(7 * week)));
    days.map(|date| Span::day(zone, date)).collect()
}

/// Of that time, among rows that are of some of these days.
fn during_only(span: Span) -> String {
    let rows = span.rows();
    rows.split_once("event_time").map_or(rows.clone(), |(_, times)| format!("event_time{times}"))
}

/// What one value, or all, spent.
struct Line {
    value: Cell,
    cost: Amount,
    before: Amount,
    /// `None` where no such day has any spend.
    mean: Option<Amount>,
    counts: Vec<Cell>,
}

impl Line {
    fn change(&self) -> Amount {
        self.cost - self.before
    }

    fn off_mean(&self) -> Option<Amount> {
        self.mean.map(|mean| self.cost - mean)
    }

    /// How much it moved, at most.
    fn moved(&self) -> i128 {
        let of = |amount: Amount| amount.units().abs();
        of(self.change()).max(self.off_mean().map_or(0, of))
    }

    fn cells(&self, whole: Amount) -> Vec<Cell> {
        let mut cells = vec![Cell::money(self.cost), Cell::percent(self.cost, whole)];
        cells.extend(self.counts.iter().cloned());
        cells.extend(self.moves());
        cells
    }

    fn moves(&self) -> Vec<Cell> {
        let money = |amount: Option<Amount>| amount.map_or(Cell::Null, Cell::money);
        let percent = |of: Option<Amount>, from: Option<Amount>| match (of, from) {
            (Some(of), Some(from)) => Cell::percent(of, from),
            _ => Cell::Null,
        };
        vec![
            Cell::money(self.before),
            Cell::money(self.change()),
            percent(Some(self.change()), Some(self.before)),
            money(self.mean),
            money(self.off_mean()),
            percent(self.off_mean(), self.mean),
        ]
    }
}

fn move_columns() -> Vec<Column> {
    let money = |name| Column::new(name, Kind::MONEY);
    let text = |name| Column::new(name, Kind::Text);
    vec![
        money("before"),
        money("change"),
        text("change_percent"),
        money("weekday_mean"),
        money("weekday_change"),
        text("weekday_change_percent"),
    ]
}

fn columns(first: Option<&str>) -> Vec<Column> {
    let mut columns: Vec<_> = first.map(|name| Column::new(name, Kind::Text)).into_iter().collect();
    columns.extend([Column::new("cost", Kind::MONEY), Column::new("percent", Kind::Text)]);
    let names = ["calls", "input_tokens", "output_tokens", "failures", "unpriced_calls"];
    columns.extend(names.map(|name| Column::new(name, Kind::Whole)));
    columns.extend(first.is_none().then(|| Column::new("users", Kind::Whole)));
    columns.extend(move_columns());
    columns
}

/// The lines of an answer. `days` of the weekdays before have spend.
fn lines(found: &Part, has_value: bool, weekdays: usize, days: i128) -> Vec<Line> {
    let first = usize::from(has_value);
    let line = |row: &Vec<Cell>| {
        let sum: Amount = row[first + 2..first + 2 + weekdays].iter().map(Cell::amount).sum();
        Line {
            value: if has_value { row[0].clone() } else { Cell::Null },
            cost: row[first].amount(),
            before: row[first + 1].amount(),
            mean: (days > 0).then(|| Amount::saturating(div_half_even(sum.units(), days))),
            counts: row[first + 2 + weekdays..].to_vec(),
        }
    };
    found.rows.iter().map(line).collect()
}

/// # Errors
/// When a word is wrong, and as any query.
pub async fn make(of: Of, ground: &Ground<'_>, words: Words) -> Result<Document, ReportError> {
    let asked = Overview::new(of, words, ground)?;
    let reader = Reader::open(ground).await?;
    let found = reader.part("totals", asked.sql(None)).await?;
    let weekdays = asked.weekdays.len();
    let spent = |row: &Vec<Cell>| row[2..2 + weekdays].iter().filter(|cell| !cell.amount().is_zero()).count();
    let days = found.rows.first().map_or(0, spent) as i128;
    let totals = lines(&found, false, weekdays, days);
    let whole = totals.first().map_or(Amount::ZERO, |line| line.cost);
    let rows = totals.iter().map(|line| line.cells(whole)).collect();
    let mut parts = vec![Part { columns: columns(None), rows, ..found }];
    let mut movers: Vec<(&str, Line)> = Vec::new();
    for (name, word) in BY {
        let dimension = Dimension::new(word, SOURCE)?;
        let found = reader.part(name, asked.sql(Some(&dimension))).await?;
        let mut lines = lines(&found, true, weekdays, days);
        lines.sort_by_cached_key(|line| (Reverse(line.cost), line.value.shown()));
        let shown = lines.iter().filter(|line| line.counts[0].whole() != 0 || !line.cost.is_zero()).take(asked.shown);
        let rows = shown.map(|line| [vec![line.value.clone()], line.cells(whole)].concat()).collect();
        parts.push(Part { columns: columns(Some(word)), rows, ..found });
        // Where no row has the dimension, what moved is all.
        let has_values = lines.len() > 1 || lines.iter().any(|line| line.value != Cell::Null);
        let moved = lines.into_iter().filter(|line| has_values && line.moved() > 0);
        movers.extend(moved.map(|line| (word, line)));
    }
    parts.insert(1, moved(movers));
    let mut facts = asked.asked.facts(&reader);
    let rates = asked.asked.rates(&reader, SOURCE, &asked.asked.rows(&asked.asked.span.rows())).await?;
    facts.extend([("rates", json!(rates)), ("as_of", as_of(&asked.asked, &reader).await?)]);
    facts.push(("weekdays_compared", json!(u64::try_from(days).unwrap_or(0))));
    Ok(Document { report: of.report(), title: asked.title(), facts, parts, next: None })
}

/// What moved most, of all dimensions.
fn moved(mut movers: Vec<(&str, Line)>) -> Part {
    movers.sort_by_cached_key(|(dimension, line)| (Reverse(line.moved()), *dimension, line.value.shown()));
    movers.truncate(MOVERS);
    let mut columns = vec![Column::new("dimension", Kind::Text), Column::new("value", Kind::Text)];
    columns.push(Column::new("cost", Kind::MONEY));
    columns.extend(move_columns());
    let row = |(dimension, line): &(&str, Line)| {
        let mut row = vec![Cell::text(Some(dimension)), line.value.clone(), Cell::money(line.cost)];
        row.extend(line.moves());
        row
    };
    Part { name: "movers", columns, rows: movers.iter().map(row).collect(), sql: None }
}
