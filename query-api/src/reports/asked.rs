//! What all reports can be asked for: a time, a time zone, a currency, filters. In come words, out come values, and the facts about them. Pure.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use spendstream_schemas::budget::midnight;

use super::Ground;
use super::dimension::Dimension;
use super::reader::Reader;
use super::statement::Source;
use crate::budgets::look::{during, literal};
use crate::error::QueryError;
use crate::words::Words;

/// Looked back when nobody says since when.
const DAYS: i64 = 30;

/// A time from one moment up to and without another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Span {
    /// A day of a time zone.
    #[must_use]
    pub fn day(zone: Tz, date: NaiveDate) -> Self {
        let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
        Self { from: midnight(zone, date).start(), to: midnight(zone, next).start() }
    }

    /// The month of a time zone that a date is in.
    #[must_use]
    pub fn month(zone: Tz, date: NaiveDate) -> Self {
        let first = date.with_day(1).unwrap_or(date);
        let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
        Self { from: midnight(zone, first).start(), to: midnight(zone, next).start() }
    }

    /// Its rows; the date is there so that other days are not even opened.
    #[must_use]
    pub fn rows(self) -> String {
        during(self.from, self.to)
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub zone: Tz,
    pub span: Span,
    /// Where it is not the lake's.
    pub currency: Option<String>,
    /// What of, and what it is to be, for people; and as SQL.
    pub filters: Vec<(String, String)>,
}

impl Asked {
    /// Takes the zone and the currency; the rest are filters, which [`Asked::filter`] takes last.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn new(words: &mut Words, ground: &Ground<'_>) -> Result<Self, String> {
        let zone = words.take_as::<Tz>("timezone", "Europe/Berlin")?.unwrap_or(ground.zone);
        let currency = words.take("currency");
        if let Some(code) = currency.as_deref().filter(|code| !is_code(code)) {
            return Err(format!("currency={code} is no currency; write its three letters: currency=EUR"));
        }
        let currency = currency.filter(|code| code != ground.currency);
        let span = Span { from: ground.now - TimeDelta::days(DAYS), to: ground.now };
        Ok(Self { zone, span, currency, filters: Vec::new() })
    }

    /// `from` and `to`: dates of the zone, or times. The last 30 days without them.
    ///
    /// # Errors
    /// When one cannot be read, or the first is not before the second.
    pub fn range(&mut self, words: &mut Words) -> Result<bool, String> {
        let (from, to) = (words.take("from"), words.take("to"));
        let is_asked = from.is_some() || to.is_some();
        if let Some(to) = to {
            self.span.to = moment("to", &to, self.zone)?;
        }
        self.span.from = match from {
            Some(from) => moment("from", &from, self.zone)?,
            None => self.span.to - TimeDelta::days(DAYS),
        };
        if self.span.from >= self.span.to {
            let (from, to) = (self.time(self.span.from), self.time(self.span.to));
            return Err(format!("from={from} is not before to={to}"));
        }
        Ok(is_asked)
    }

    /// All words that are left: dimensions with their values.
    ///
    /// # Errors
    /// When one is no dimension.
    pub fn filter(&mut self, words: &mut Words, source: Source, ground: &Ground<'_>) -> Result<(), String> {
        for (name, value) in words.rest() {
            let wrong = |error| format!("there is no parameter '{name}' here, and as a filter it is wrong: {error}");
            let dimension = Dimension::new(&name, source).map_err(wrong)?;
            self.filters.push((format!("{name}={value}"), dimension.is(&value, ground.pseudonyms)));
        }
        Ok(())
    }

    /// Its rows, of that time.
    #[must_use]
    pub fn rows(&self, time: &str) -> String {
        self.filters.iter().fold(time.to_owned(), |all, (_, filter)| format!("{all} AND {filter}"))
    }

    /// A time as clocks of the zone show it.
    #[must_use]
    pub fn time(&self, time: DateTime<Utc>) -> String {
        time.with_timezone(&self.zone).to_rfc3339_opts(SecondsFormat::AutoSi, self.zone == Tz::UTC)
    }

    /// What a report says of itself first.
    #[must_use]
    pub fn facts(&self, reader: &Reader<'_>) -> Vec<(&'static str, Value)> {
        let filters: Vec<_> = self.filters.iter().map(|(filter, _)| filter.as_str()).collect();
        vec![
            ("from", self.time(self.span.from).into()),
            ("to", self.time(self.span.to).into()),
            ("timezone", self.zone.name().into()),
            ("currency", self.currency.as_deref().unwrap_or(reader.ground.currency).into()),
            ("filters", json!(filters)),
            ("made_at", self.time(reader.ground.now).into()),
            ("lake_version", reader.snapshot.version.into()),
            ("charges_version", reader.snapshot.charges.into()),
        ]
    }

    /// The rates that amounts were converted by, each with its days; none where nothing was.
    ///
    /// # Errors
    /// As any query.
    pub async fn rates(&self, reader: &Reader<'_>, source: Source, rows: &str) -> Result<Vec<String>, QueryError> {
        let Some(code) = self.currency.as_deref().map(literal) else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT concat(CAST(min(date) AS VARCHAR), ' to ', CAST(max(date) AS VARCHAR), ': ', CAST(rate AS VARCHAR)) AS rates \
             FROM (SELECT date, to_currency(1, {code}, date) AS rate FROM {} WHERE {rows} GROUP BY date) AS days \
             GROUP BY rate ORDER BY min(date)",
            source.table()
        );
        reader.texts(sql).await
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// A date of the zone, or a time with its own offset.
fn moment(name: &str, text: &str, zone: Tz) -> Result<DateTime<Utc>, String> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(midnight(zone, date).start());
    }
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.with_timezone(&Utc)).map_err(|_| {
        format!("{name}={text} cannot be read; write a date ({name}=2026-11-01) or a time (2026-11-01T06:00:00Z)")
    })
}

/// `2026-10`.
///
/// # Errors
/// When it is no month.
pub fn month(text: &str) -> Result<NaiveDate, String> {
    let date = (text.len() == 7).then(|| format!("{text}-01").parse::<NaiveDate>().ok()).flatten();
    date.ok_or_else(|| format!("month={text} is no month; write month=2026-10"))
}
