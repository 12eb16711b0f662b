//! The table `charges`: money that is not a call, partitioned by `date`. In: [`Charge`]s; out: an Arrow batch. A row is written once and never changed;
//! what was wrong is set right by another row, whose `corrects` names it.
//!
//! `charge_time` is the moment that the money counts at, and `date` its UTC date: a report over days has a charge where its `charge_time` lies. No row
//! names a person: `user_id` and `customer` are there to be like `usage`, and are null in what this program writes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::usage::{map_type, timestamp_type};
use crate::count::Count;
use crate::dimension::Text;
use crate::money::{self, Amount};

/// The partition column: the UTC date of `charge_time`.
pub const DATE: &str = "date";

/// Columns with minimum and maximum in the Delta log; none that could name a person.
pub const STATISTICS: [&str; 5] = ["charge_time", "period_start", "period_end", "billing_period", "charge_category"];

/// Texts of `usage` that a charge has too, in the order of the schema.
pub const TEXTS: [Text; 24] = [
    Text::Model,
    Text::Operation,
    Text::Organization,
    Text::Team,
    Text::Department,
    Text::CostCenter,
    Text::Project,
    Text::UserId,
    Text::Customer,
    Text::App,
    Text::Feature,
    Text::Agent,
    Text::Environment,
    Text::Endpoint,
    Text::TaskType,
    Text::Complexity,
    Text::RunId,
    Text::Metric,
    Text::ItemId,
    Text::SessionId,
    Text::ApiKeyId,
    Text::BillingAccount,
    Text::ServiceTier,
    Text::Region,
];

/// What kind of money it is, in the words of FOCUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChargeCategory {
    Usage,
    Purchase,
    Tax,
    Credit,
    Adjustment,
}

impl ChargeCategory {
    /// Every category.
    pub const ALL: [Self; 5] = [Self::Usage, Self::Purchase, Self::Tax, Self::Credit, Self::Adjustment];

    /// The word of FOCUS.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::Purchase => "Purchase",
            Self::Tax => "Tax",
            Self::Credit => "Credit",
            Self::Adjustment => "Adjustment",
        }
    }
}

impl fmt::Display for ChargeCategory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl FromStr for ChargeCategory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|category| category.word().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("'{text}' is no charge category; write Usage, Purchase, Tax, Credit or Adjustment"))
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Unique in the table: whoever makes a charge again gives it the same id.
    pub id: String,
    /// Microseconds since the epoch, UTC: the moment it counts at.
    pub time: i64,
    /// What it is for, microseconds since the epoch: from, and up to and without.
    pub period: (i64, i64),
    /// The month it counts in, `2026-10`, in `reports.timezone`.
    pub billing_period: String,
    pub category: ChargeCategory,
    /// Whether it sets something right that was charged before (`charge_class` is `Correction`).
    pub correction: bool,
    /// In the lake's currency; negative where money comes back.
    pub amount: Amount,
    pub currency: String,
    /// The price book's id of the provider where it has one, else the name on the bill.
    pub provider: Option<String>,
    pub service_name: Option<String>,
    pub model_id: Option<String>,
    /// Only of [`TEXTS`].
    pub texts: BTreeMap<Text, String>,
    pub tags: BTreeMap<String, String>,
    /// Calls that move with the money; 0 for money alone, negative where they are taken away.
    pub calls: i64,
    /// Tokens that move with the money, in the order of [`Count::ALL`].
    pub counts: [i64; Count::ALL.len()],
    pub reason: Option<String>,
    /// Who made it: `close`, `reconcile`, or the format and hash of what was imported.
    pub source: String,
    /// The statement that it follows from.
    pub statement_id: Option<String>,
    /// The charge that it sets right.
    pub corrects: Option<String>,
    /// Microseconds since the epoch: when it was written.
    pub recorded_at: i64,
}

impl Charge {
    /// An empty charge of no money, to be filled.
    #[must_use]
    pub fn blank(id: String, category: ChargeCategory, currency: &str, source: &str) -> Self {
        Self {
            id,
            time: 0,
            period: (0, 0),
            billing_period: String::new(),
            category,
            correction: false,
            amount: Amount::ZERO,
            currency: currency.to_owned(),
            provider: None,
            service_name: None,
            model_id: None,
            texts: BTreeMap::new(),
            tags: BTreeMap::new(),
            calls: 0,
            counts: [0; Count::ALL.len()],
            reason: None,
            source: source.to_owned(),
            statement_id: None,
            corrects: None,
            recorded_at: 0,
        }
    }
}

fn money_type() -> DataType {
    DataType::Decimal128(money::PRECISION, money::SCALE)
}

/// Days since the epoch, UTC.
fn date(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(86_400_000_000)).unwrap_or(i32::MAX)
}

/// The schema of the table: the partition column `date` is the last.
#[must_use]
pub fn table_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let required = |name: &str, data_type| Field::new(name, data_type, false);
    let mut fields = vec![
        required("charge_id", DataType::Utf8),
        required("charge_time", timestamp_type()),
        required("period_start", timestamp_type()),
        required("period_end", timestamp_type()),
        required("billing_period", DataType::Utf8),
        required("charge_category", DataType::Utf8),
        text("charge_class"),
        required("amount", money_type()),
        required("currency", DataType::Utf8),
        text("provider"),
        text("service_name"),
        text("model_id"),
    ];
    fields.extend(TEXTS.map(|column| text(column.column())));
    fields.push(required("tags", map_type(DataType::Utf8)));
    fields.push(required("calls", DataType::Int64));
    fields.extend(Count::ALL.map(|count| required(count.column(), DataType::Int64)));
    fields.extend([
        text("reason"),
        required("source", DataType::Utf8),
        text("statement_id"),
        text("corrects"),
        required("recorded_at", timestamp_type()),
        Field::new(DATE, DataType::Date32, true),
    ]);
    Arc::new(Schema::new(fields))
}

/// Rows as columns of [`table_schema`].
///
/// # Errors
/// Only when Arrow refuses consistent columns, which is a fault of this program.
pub fn batch(rows: &[Charge]) -> Result<RecordBatch, ArrowError> {
    let texts = |value: &dyn Fn(&Charge) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringArray>())
    };
    let times = |value: &dyn Fn(&Charge) -> i64| -> ArrayRef {
        let micros: TimestampMicrosecondArray = rows.iter().map(|row| Some(value(row))).collect();
        Arc::new(micros.with_timezone("UTC"))
    };
    let whole = |value: &dyn Fn(&Charge) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row))).collect::<Int64Array>())
    };
    let amounts: Decimal128Array = rows.iter().map(|row| Some(row.amount.units())).collect();
    let mut columns: Vec<ArrayRef> = vec![
        texts(&|row| Some(&row.id)),
        times(&|row| row.time),
        times(&|row| row.period.0),
        times(&|row| row.period.1),
        texts(&|row| Some(&row.billing_period)),
        texts(&|row| Some(row.category.word())),
        texts(&|row| row.correction.then_some("Correction")),
        Arc::new(amounts.with_precision_and_scale(money::PRECISION, money::SCALE)?),
        texts(&|row| Some(&row.currency)),
        texts(&|row| row.provider.as_deref()),
        texts(&|row| row.service_name.as_deref()),
        texts(&|row| row.model_id.as_deref()),
    ];
    columns.extend(TEXTS.map(|text| texts(&|row| row.texts.get(&text).map(String::as_str))));
    columns.push(tags(rows)?);
    columns.push(whole(&|row| row.calls));
    columns.extend((0..Count::ALL.len()).map(|at| whole(&|row| row.counts[at])));
    columns.extend([
        texts(&|row| row.reason.as_deref()),
        texts(&|row| Some(&row.source)),
        texts(&|row| row.statement_id.as_deref()),
        texts(&|row| row.corrects.as_deref()),
        times(&|row| row.recorded_at),
        Arc::new(rows.iter().map(|row| Some(date(row.time))).collect::<Date32Array>()),
    ]);
    RecordBatch::try_new(table_schema(), columns)
}

fn tags(rows: &[Charge]) -> Result<ArrayRef, ArrowError> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (name, value) in &row.tags {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true)?;
    }
    Ok(Arc::new(maps.finish()))
}

#[cfg(test)]
mod tests {
    use super::{Charge, ChargeCategory, TEXTS, batch};
    use crate::dimension::Text;
    use crate::money::Amount;

    #[test]
    fn rows_become_columns_with_exact_money() {
        let mut charge = Charge::blank("c-1".into(), ChargeCategory::Credit, "USD", "test");
        charge.time = 1_795_000_000_000_000;
        charge.amount = Amount::from_units(-1).unwrap();
        charge.texts.insert(Text::Team, "search".into());
        charge.tags.insert("plan".into(), "pro".into());
        charge.counts[0] = -7;
        let found = batch(&[charge.clone(), Charge { correction: true, ..charge }]).unwrap();
        assert_eq!(found.num_rows(), 2);
        for (name, row, expected) in [
            ("date", 0, "2026-11-18"),
            ("amount", 0, "-0.000000000000001"),
            ("charge_category", 0, "Credit"),
            ("charge_class", 0, ""),
            ("charge_class", 1, "Correction"),
            ("team", 0, "search"),
            ("tags", 0, "{plan: pro}"),
            ("input_tokens", 0, "-7"),
        ] {
            let column = found.column_by_name(name).unwrap();
            assert_eq!(arrow::util::display::array_value_to_string(column, row).unwrap(), expected, "{name}");
        }
        assert!(TEXTS.iter().all(|text| !text.column().is_empty()));
    }

    #[test]
    fn categories_are_read_as_they_are_shown() {
        for category in ChargeCategory::ALL {
            assert_eq!(category.word().to_lowercase().parse::<ChargeCategory>(), Ok(category));
        }
        assert!("Refund".parse::<ChargeCategory>().is_err());
    }
}
