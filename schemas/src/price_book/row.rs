//! One price as a line of `prices.csv`. Text comes in, typed rows and one message per bad line go out.

use std::collections::HashSet;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::instant;
use super::schedule::Schedule;
use crate::meter;

/// The columns of `prices.csv`, in order.
pub const COLUMNS: [&str; 14] = [
    "provider",
    "model",
    "meter",
    "price",
    "per",
    "currency",
    "effective_from",
    "effective_until",
    "tier_min_tokens",
    "service_tier",
    "region",
    "schedule",
    "source",
    "source_ref",
];

/// The units a price may be given for: one, a thousand, a million, or the seconds of an hour.
pub const UNITS: [u32; 4] = [1, 1000, 1_000_000, 3600];

/// The service tier of a price that names none.
pub const STANDARD: &str = "standard";

/// One price: what one `meter` of one model costs, when, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// Line in its file, from 1; the header is line 1.
    pub line: usize,
    pub provider: Arc<str>,
    pub model: Arc<str>,
    pub meter: Arc<str>,
    /// As published, for `per` units.
    pub price: Decimal,
    pub per: u32,
    pub currency: Arc<str>,
    /// Microseconds since the epoch; `None`: since ever.
    pub effective_from: Option<i64>,
    /// Exclusive; `None`: until further notice.
    pub effective_until: Option<i64>,
    /// The price applies to the whole call when all its prompt tokens exceed this; 0 for the base price.
    pub tier_min_tokens: i64,
    /// Empty for standard.
    pub service_tier: Arc<str>,
    /// Empty for the default region.
    pub region: Arc<str>,
    pub schedule: Option<Arc<Schedule>>,
    pub source: Arc<str>,
    pub source_ref: Arc<str>,
}

impl PriceRow {
    /// Whether it is in force at a moment, its schedule aside.
    #[must_use]
    pub fn in_force(&self, micros: i64) -> bool {
        self.effective_from.is_none_or(|from| from <= micros) && self.effective_until.is_none_or(|until| micros < until)
    }

    /// The line of `prices.csv`, without line end; fields quoted where needed.
    #[must_use]
    pub fn fields(&self) -> [String; 14] {
        let instant = |at: Option<i64>| at.map(instant::show).unwrap_or_default();
        [
            self.provider.to_string(),
            self.model.to_string(),
            self.meter.to_string(),
            self.price.normalize().to_string(),
            self.per.to_string(),
            self.currency.to_string(),
            instant(self.effective_from),
            instant(self.effective_until),
            if self.tier_min_tokens == 0 { String::new() } else { self.tier_min_tokens.to_string() },
            self.service_tier.to_string(),
            self.region.to_string(),
            self.schedule.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.source.to_string(),
            self.source_ref.to_string(),
        ]
    }
}

/// Rows as the text of a `prices.csv`, header included.
#[must_use]
pub fn to_csv(rows: &[PriceRow]) -> String {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    // Writing to memory cannot fail; a failure would show as a short text, which the reader refuses.
    let _ = writer.write_record(COLUMNS);
    for row in rows {
        let _ = writer.write_record(row.fields());
    }
    writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Gives equal texts one allocation.
#[derive(Debug, Default)]
pub struct Words(HashSet<Arc<str>>);

impl Words {
    pub fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.0.get(text) {
            return Arc::clone(word);
        }
        let word: Arc<str> = Arc::from(text);
        self.0.insert(Arc::clone(&word));
        word
    }
}

/// Reads a `prices.csv`. Every line that is not a price is named in the errors (`prices.csv:7: …`); an empty text is an empty list.
#[must_use]
pub fn parse(text: &str, errors: &mut Vec<String>) -> Vec<PriceRow> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut rows = Vec::new();
    let mut words = Words::default();
    let mut first = true;
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => return rows,
            Ok(true) => {}
            Err(error) => {
                errors.push(format!("prices.csv: {error}"));
                return rows;
            }
        }
        let line = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
        if std::mem::take(&mut first) {
            if record.iter().ne(COLUMNS) {
                errors.push(format!("prices.csv:1: the columns must be {}", COLUMNS.join(",")));
                return rows;
            }
            continue;
        }
        match row(&record, line, &mut words) {
            Ok(row) => rows.push(row),
            Err(error) => errors.push(format!("prices.csv:{line}: {error}")),
        }
    }
}

fn row(record: &csv::StringRecord, line: usize, words: &mut Words) -> Result<PriceRow, String> {
    if record.len() != COLUMNS.len() {
        return Err(format!("{} fields, expected {}", record.len(), COLUMNS.len()));
    }
    let field = |at: usize| record.get(at).unwrap_or_default().trim();
    let required = |at: usize| match field(at) {
        "" => Err(format!("{} is empty", COLUMNS[at])),
        text => Ok(text),
    };
    let instant = |at: usize| match field(at) {
        "" => Ok(None),
        text => instant::parse(text)
            .map(Some)
            .ok_or_else(|| format!("{} '{text}' is neither a date nor an RFC 3339 time", COLUMNS[at])),
    };
    let meter = required(2)?;
    if !meter::is_known(meter) {
        return Err(format!("meter '{meter}' is not in the vocabulary"));
    }
    let price = price(required(3)?)?;
    let per = unit(required(4)?)?;
    let (effective_from, effective_until) = (instant(6)?, instant(7)?);
    if let (Some(from), Some(until)) = (effective_from, effective_until)
        && from >= until
    {
        return Err(format!("effective_until {} is not after effective_from {}", field(7), field(6)));
    }
    let tier_min_tokens = match field(8) {
        "" => 0,
        text => text
            .parse()
            .ok()
            .filter(|tokens| *tokens > 0)
            .ok_or_else(|| format!("tier_min_tokens '{text}' is not a positive integer"))?,
    };
    let schedule = match field(11) {
        "" => None,
        text => Some(Arc::new(
            Schedule::parse(text)
                .ok_or_else(|| format!("schedule '{text}' is not of the form '01:00-04:00 06:00-10:00 mon-fri'"))?,
        )),
    };
    let tier = field(9);
    Ok(PriceRow {
        line,
        provider: words.word(required(0)?),
        model: words.word(required(1)?),
        meter: words.word(meter),
        price,
        per,
        currency: words.word(currency(required(5)?)?),
        effective_from,
        effective_until,
        tier_min_tokens,
        service_tier: words.word(if tier == STANDARD { "" } else { tier }),
        region: words.word(field(10)),
        schedule,
        source: words.word(field(12)),
        source_ref: words.word(field(13)),
    })
}

/// Reads a price: a plain decimal that is not negative, exact to the last digit, and without the noise of a binary float.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn price(text: &str) -> Result<Decimal, String> {
    let price =
        Decimal::from_str_exact(text).map_err(|_| format!("price '{text}' is not a decimal of at most 28 digits"))?;
    if price.is_sign_negative() && !price.is_zero() {
        return Err(format!("price '{text}' is negative"));
    }
    if is_float_noise(price) {
        return Err(format!("price '{text}' carries the noise of a binary float; give the published figure"));
    }
    Ok(price)
}

/// More than 14 significant digits: no provider publishes such a price, a binary float prints 15 to 17.
#[must_use]
pub fn is_float_noise(price: Decimal) -> bool {
    price.normalize().mantissa().unsigned_abs() >= 10_u128.pow(14)
}

/// Reads a unit of [`UNITS`].
///
/// # Errors
/// One line that says what is wrong with it.
pub fn unit(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|per| UNITS.contains(per))
        .ok_or_else(|| format!("per '{text}' is not one of 1, 1000, 1000000, 3600"))
}

/// Checks that a text is three capital letters.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn currency(text: &str) -> Result<&str, String> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(text)
    } else {
        Err(format!("currency '{text}' is not an ISO 4217 code such as USD"))
    }
}
