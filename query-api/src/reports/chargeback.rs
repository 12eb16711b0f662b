//! Who pays what for a month or any time: `GET /v1/reports/chargeback`, `spendstream report chargeback`. In come words, out come a line per owner, and the
//! totals, over calls and charges.
//!
//! The first dimension of `by` is who pays, the others break it down. Rows without it are `unallocated`, rows that `shared.DIMENSION=VALUE` names are
//! `shared`; `split` says who takes them. `cost + shared_cost = total` on every line, and each column adds up to its total, to the last digit.

use chrono::Months;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use spendstream_schemas::money::{Amount, SCALE};

use super::asked::{Asked, Span, month};
use super::dimension::Dimension;
use super::document::{Cell, Column, Document, Kind, Part};
use super::reader::Reader;
use super::shares::{Line, Split, Whose, shares};
use super::split::split;
use super::statement::{Source, Statement, counted, money, whole};
use super::{Ground, ReportError};
use crate::budgets::freshness::Freshness;
use crate::error::QueryError;
use crate::words::Words;

const SOURCE: Source = Source::Spend;
/// Columns after the key and `whose`: how many people, calls and tokens.
const MEASURES: [&str; 5] = ["users", "requests", "input_tokens", "output_tokens", "unpriced_requests"];
/// Of an invoice at least.
const CENTS: u32 = 2;

/// An amount that is to be divided, in its own currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    pub amount: Decimal,
    pub currency: String,
}

impl Invoice {
    fn new(text: &str) -> Result<Self, String> {
        let wrong = || format!("allocate={text} is no amount; write allocate=12345.67 EUR");
        let (amount, currency) = text.trim().split_once([' ', '+']).ok_or_else(wrong)?;
        let mut amount: Decimal = amount.parse().map_err(|_| wrong())?;
        if currency.len() != 3
            || !currency.bytes().all(|byte| byte.is_ascii_uppercase())
            || amount.scale() > SCALE.unsigned_abs().into()
        {
            return Err(wrong());
        }
        amount.rescale(amount.scale().max(CENTS));
        Ok(Self { amount, currency: currency.to_owned() })
    }

    fn digits(&self) -> i8 {
        i8::try_from(self.amount.scale()).unwrap_or(SCALE)
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Chargeback {
    pub asked: Asked,
    pub by: Vec<Dimension>,
    /// Rows that are everybody's, as SQL.
    shared: Option<String>,
    shared_shown: Vec<String>,
    pub split: Split,
    pub invoice: Option<Invoice>,
    /// `2026-10`, where it is a month.
    pub month: Option<String>,
}

impl Chargeback {
    /// # Errors
    /// When a word is wrong.
    pub fn new(mut words: Words, ground: &Ground<'_>) -> Result<Self, String> {
        let mut asked = Asked::new(&mut words, ground)?;
        let by = Dimension::list("by", &words.take("by").unwrap_or_else(|| "team".to_owned()), SOURCE)?;
        if by.is_empty() {
            return Err("by names no dimension; write by=team".to_owned());
        }
        let split = Split::new(words.take("split").as_deref(), words.take("weights").as_deref())?;
        let invoice = words.take("allocate").as_deref().map(Invoice::new).transpose()?;
        let mut shared = Vec::new();
        let mut shared_shown = Vec::new();
        for (name, value) in words.take_all("shared.") {
            let dimension = Dimension::new(&name, SOURCE).map_err(|error| format!("shared.{name}: {error}"))?;
            shared.push(dimension.is(&value, ground.pseudonyms));
            shared_shown.push(format!("{name}={value}"));
        }
        let shared = (!shared.is_empty()).then(|| shared.join(" AND "));
        let asked_month = words.take("month");
        let is_range = asked.range(&mut words)?;
        let month = match asked_month {
            Some(_) if is_range => return Err("month, or from and to: leave one out".to_owned()),
            None if is_range => None,
            text => Some(whole_month(&mut asked, text.as_deref(), ground)?),
        };
        asked.filter(&mut words, SOURCE, ground)?;
        Ok(Self { asked, by, shared, shared_shown, split, invoice, month })
    }

    /// The statement of the lines; of all together where there are no keys.
    #[must_use]
    pub fn sql(&self, has_keys: bool) -> String {
        let (mut keys, mut shown) = (Vec::new(), Vec::new());
        if has_keys {
            for (at, dimension) in self.by.iter().enumerate() {
                keys.push(dimension.sql.clone());
                shown.push(format!("k{at} AS {}", dimension.quoted()));
            }
            shown.push(format!("k{} AS whose", keys.len()));
            let owner = format!("CASE WHEN {} IS NULL THEN 'unallocated' ELSE 'owner' END", self.by[0].sql);
            keys.push(match &self.shared {
                Some(shared) => format!("CASE WHEN {shared} THEN 'shared' ELSE {owner} END"),
                None => owner,
            });
        }
        let order: Vec<_> = (0..keys.len()).map(|at| format!("k{at} NULLS LAST")).collect();
        shown.extend([whole("users", MEASURES[0]), whole("calls", MEASURES[1])]);
        shown.extend([MEASURES[2], MEASURES[3]].map(|name| whole(name, name)));
        shown.extend([whole("unpriced", MEASURES[4]), whole("cost", "cost")]);
        let mut statement = Statement {
            source: SOURCE,
            keys,
            sums: counted(SOURCE),
            condition: self.asked.rows(&self.asked.span.rows()),
            shown,
            tail: if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) },
        };
        statement.sum("users", "count(DISTINCT user_id)".to_owned());
        statement.sum("cost", money("cost", self.asked.currency.as_deref()));
        statement.sql()
    }

    fn title(&self) -> String {
        let by: Vec<_> = self.by.iter().map(|dimension| dimension.name.as_str()).collect();
        let time = self.month.clone().unwrap_or_else(|| {
            format!("{} to {}", self.asked.time(self.asked.span.from), self.asked.time(self.asked.span.to))
        });
        format!("Chargeback by {}, {time}", by.join(", "))
    }

    async fn facts(&self, reader: &Reader<'_>) -> Result<Vec<(&'static str, Value)>, QueryError> {
        let rows = self.asked.rows(&self.asked.span.rows());
        let rates = self.asked.rates(reader, SOURCE, &rows).await?;
        let books =
            format!("SELECT price_book_version FROM usage WHERE {} GROUP BY 1 ORDER BY 1", self.asked.span.rows());
        let books = reader.texts(books).await?;
        let mut facts = self.asked.facts(reader);
        facts.extend([
            ("month", json!(self.month)),
            ("rates", json!(rates)),
            ("price_books", json!(books)),
            ("as_of", as_of(&self.asked, reader).await?),
            ("shared", json!(self.shared_shown)),
            ("split", self.split.shown().into()),
        ]);
        if let Some(invoice) = &self.invoice {
            facts.push(("allocated", format!("{} {}", invoice.amount, invoice.currency).into()));
        }
        Ok(facts)
    }
}

/// The month that was asked for, or the last that is over.
fn whole_month(asked: &mut Asked, text: Option<&str>, ground: &Ground<'_>) -> Result<String, String> {
    let date = if let Some(text) = text {
        month(text)?
    } else {
        let today = ground.now.with_timezone(&asked.zone).date_naive();
        today.checked_sub_months(Months::new(1)).unwrap_or(today)
    };
    asked.span = Span::month(asked.zone, date);
    Ok(date.format("%Y-%m").to_string())
}

/// The event time up to which all that was read of the source is in the lake.
pub(super) async fn as_of(asked: &Asked, reader: &Reader<'_>) -> Result<Value, QueryError> {
    let since = (reader.ground.now - chrono::TimeDelta::days(2)).min(asked.span.to).date_naive();
    let freshness = Freshness::read(reader.ground.engine, &reader.snapshot, since).await?;
    Ok(json!(freshness.as_of(reader.ground.now).map(|time| asked.time(time))))
}

/// # Errors
/// When a word is wrong, and as any query.
pub async fn make(ground: &Ground<'_>, words: Words) -> Result<Document, ReportError> {
    let asked = Chargeback::new(words, ground)?;
    let reader = Reader::open(ground).await?;
    let found = reader.part("lines", asked.sql(true)).await?;
    let all = reader.part("totals", asked.sql(false)).await?;
    let facts = asked.facts(&reader).await?;
    let lines = lines(&asked, found);
    let totals = totals(&asked, &lines, all)?;
    Ok(Document { report: "chargeback", title: asked.title(), facts, parts: vec![lines, totals], next: None })
}

/// The columns behind the keys.
fn columns(invoice: Option<&Invoice>) -> Vec<Column> {
    let mut columns = MEASURES.map(|name| Column::new(name, Kind::Whole)).to_vec();
    columns.extend(["cost", "shared_cost", "total"].map(|name| Column::new(name, Kind::MONEY)));
    columns.push(Column::new("percent", Kind::Text));
    columns.extend(invoice.map(|invoice| Column::new("allocated", Kind::Decimal(invoice.digits()))));
    columns
}

/// What was found, with what each line takes of others' cost and of the invoice.
fn lines(asked: &Chargeback, found: Part) -> Part {
    let keys = asked.by.len();
    let mut rows = found.rows;
    if let Split::Weights(weights) = &asked.split {
        let known =
            |owner: &String, row: &Vec<Cell>| row[0] == Cell::Text(owner.clone()) && whose(&row[keys]) == Whose::Owner;
        // Who used nothing pays its part all the same.
        for owner in weights.keys() {
            if !rows.iter().any(|row| known(owner, row)) {
                let mut row = vec![Cell::Null; keys];
                row[0] = Cell::Text(owner.clone());
                row.push(Cell::text(Some(Whose::Owner.word())));
                row.extend(MEASURES.map(|_| Cell::Whole(0)));
                row.push(Cell::money(Amount::ZERO));
                rows.push(row);
            }
        }
    }
    let of = |row: &Vec<Cell>| Line {
        key: row[..keys].iter().map(Cell::shown).collect(),
        whose: whose(&row[keys]),
        cost: row[keys + 1 + MEASURES.len()].amount(),
    };
    let plain: Vec<Line> = rows.iter().map(of).collect();
    let taken = shares(&plain, &asked.split);
    let totals: Vec<Amount> = plain.iter().zip(&taken).map(|(line, taken)| line.cost + *taken).collect();
    let all: Amount = totals.iter().copied().sum();
    let weights: Vec<_> =
        plain.iter().zip(&totals).map(|(line, total)| ((&line.key, line.whose), total.units())).collect();
    let allocated =
        asked.invoice.as_ref().map(|invoice| (split(invoice.amount.mantissa(), &weights), invoice.digits()));
    for (at, row) in rows.iter_mut().enumerate() {
        row.extend([Cell::money(taken[at]), Cell::money(totals[at]), Cell::percent(totals[at], all)]);
        row.extend(allocated.as_ref().map(|(parts, digits)| Cell::Decimal(parts[at], *digits)));
    }
    rows.sort_by_cached_key(|row| (std::cmp::Reverse(row[keys + 3 + MEASURES.len()].amount()), of(row).key));
    let mut named: Vec<_> = asked.by.iter().map(|one| Column::new(&one.name, Kind::Text)).collect();
    named.push(Column::new("whose", Kind::Text));
    named.extend(columns(asked.invoice.as_ref()));
    Part { columns: named, rows, ..found }
}

fn whose(cell: &Cell) -> Whose {
    let word = cell.shown().unwrap_or_default();
    [Whose::Shared, Whose::Unallocated].into_iter().find(|whose| whose.word() == word).unwrap_or(Whose::Owner)
}

/// All lines together. Users are counted once, however many lines they are on.
fn totals(asked: &Chargeback, lines: &Part, all: Part) -> Result<Part, QueryError> {
    let first = asked.by.len() + 1 + MEASURES.len();
    let sum = |at: usize| lines.rows.iter().map(|row| row[at].amount()).sum::<Amount>();
    let mut row = all.rows.first().cloned().unwrap_or_default();
    let cost = row.last().map_or(Amount::ZERO, Cell::amount);
    if sum(first) != cost || sum(first + 2) != cost {
        let detail = format!("the lines of a chargeback add up to {} of {cost}", sum(first + 2));
        return Err(QueryError::Internal(detail));
    }
    row.extend([Cell::money(sum(first + 1)), Cell::money(cost), Cell::percent(cost, cost)]);
    // Where there is no line nothing is allocated.
    let allocated = |invoice: &Invoice| {
        let mantissa = if lines.rows.is_empty() { 0 } else { invoice.amount.mantissa() };
        Cell::Decimal(mantissa, invoice.digits())
    };
    row.extend(asked.invoice.as_ref().map(allocated));
    Ok(Part { columns: columns(asked.invoice.as_ref()), rows: vec![row], ..all })
}
