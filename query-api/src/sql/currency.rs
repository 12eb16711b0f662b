//! `to_currency(amount, code, date)`: an amount of the lake's currency in another one, by the price book's rate that is in force at the beginning of that
//! date (UTC), or at that time. In: decimals, codes, dates. Out: `decimal(38,15)`, of the exact quotient, rounded half-even once.
//!
//! Where there is no rate the statement fails: a sum that leaves amounts out, or takes them one to one, would be wrong without a word. NULL of NULL.
//! The price book is read when the function is first called.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, Decimal128Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, TimeUnit, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use spendstream_schemas::config::{Config, PricesConfig};
use spendstream_schemas::money::{Amount, SCALE};
use spendstream_schemas::price_book::PriceBook;

use super::arithmetic::NARROW;
use crate::prices::Prices;

const NAME: &str = "to_currency";

/// Makes the function known to a session.
///
/// # Errors
/// Never, unless the session takes no functions.
pub fn register(state: &mut impl FunctionRegistry, config: &Config) -> Result<()> {
    let rates =
        Rates { prices: config.prices.clone(), currency: config.lake.currency.clone(), book: OnceLock::default() };
    let signature = Signature::one_of(vec![TypeSignature::Any(3)], Volatility::Stable);
    state.register_udf(Arc::new(ScalarUDF::from(ToCurrency { signature, rates: Arc::new(rates) })))?;
    Ok(())
}

/// Where rates come from.
struct Rates {
    prices: PricesConfig,
    currency: String,
    book: OnceLock<std::result::Result<Prices, String>>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Rates").field("currency", &self.currency).finish_non_exhaustive()
    }
}

impl Rates {
    fn book(&self) -> Result<Arc<PriceBook>> {
        let open = || Prices::of(&self.prices, &self.currency).map_err(|error| error.to_string());
        match self.book.get_or_init(open) {
            Ok(prices) => Ok(prices.newest()),
            Err(error) => exec_err!("{NAME} has no rates: {error}"),
        }
    }
}

/// See the module.
#[derive(Debug)]
struct ToCurrency {
    signature: Signature,
    rates: Arc<Rates>,
}

// Functions of one session are equal where their rates are the same.
impl PartialEq for ToCurrency {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rates, &other.rates)
    }
}

impl Eq for ToCurrency {}

impl Hash for ToCurrency {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

impl ScalarUDFImpl for ToCurrency {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if let Some(DataType::Float16 | DataType::Float32 | DataType::Float64) = types.first() {
            return plan_err!("{NAME} takes a decimal, no float: write CAST(… AS DECIMAL(28, 15))");
        }
        Ok(DataType::Decimal128(NARROW, SCALE))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [amounts, codes, times] = arrays.as_slice() else {
            return exec_err!("{NAME} takes an amount, a currency and a date");
        };
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let amounts = cast_with_options(amounts, &DataType::Decimal128(NARROW, SCALE), &strict)?;
        // A date begins at midnight UTC.
        let zone = (!matches!(times.data_type(), DataType::Date32 | DataType::Date64)).then(|| "UTC".into());
        let instant = DataType::Timestamp(TimeUnit::Microsecond, zone);
        let (codes, times) = (cast(codes, &DataType::Utf8)?, cast_with_options(times, &instant, &strict)?);
        let book = self.rates.book()?;
        let (amounts, codes) = (amounts.as_primitive::<Decimal128Type>(), codes.as_string::<i32>());
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let converted = (0..amounts.len()).map(|row| {
            if amounts.is_null(row) || codes.is_null(row) || times.is_null(row) {
                return Ok(None);
            }
            converted(&book, amounts.value(row), codes.value(row), times.value(row)).map(Some)
        });
        let converted = converted.collect::<Result<Decimal128Array>>()?;
        Ok(ColumnarValue::Array(Arc::new(converted.with_precision_and_scale(NARROW, SCALE)?)))
    }
}

fn converted(book: &PriceBook, units: i128, code: &str, micros: i64) -> Result<i128> {
    let amount = Amount::from_units(units).map_err(|error| exec_datafusion_err!("{NAME}: {error}"))?;
    let found = book.convert_back(amount, code, micros).map(Amount::units);
    found.ok_or_else(|| {
        let day = DateTime::from_timestamp_micros(micros).map_or_else(String::new, |at| at.date_naive().to_string());
        exec_datafusion_err!(
            "{NAME}: there is no exchange rate from {} to '{code}' in force on {day} (or {amount} is too much); \
             put one into prices.rates",
            book.currency()
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{THREE, TestLake, json};

    #[tokio::test]
    async fn amounts_are_converted_exactly_or_not_at_all() {
        let mut lake = TestLake::with(&THREE).await;
        let rates = lake.folder.path().join("rates.csv");
        std::fs::write(&rates, "date,currency,rate\n2026-01-01,EUR,0.92\n2026-11-02,EUR,0.9\n2026-01-01,JPY,150\n")
            .unwrap();
        lake.config.prices.rates = rates.display().to_string();
        let engine = lake.engine();
        for (sql, expected) in [
            (
                "SELECT date, sum(to_currency(cost, 'EUR', date)) AS c FROM usage GROUP BY date ORDER BY date",
                r#"[{"date":"2026-11-01","c":"0.276"},
{"date":"2026-11-02","c":"0.000000000000003"}]"#,
            ),
            (
                "SELECT sum(to_currency(cost, currency, event_time)) AS c FROM (SELECT *, 'JPY' AS currency FROM (SELECT cost, event_time FROM usage))",
                r#"[{"c":"45.00000000000045"}]"#,
            ),
            (
                "SELECT to_currency(-2, 'EUR', DATE '2026-05-01') AS c, to_currency(NULL, 'EUR', DATE '2026-05-01') AS n",
                r#"[{"c":"-1.84","n":null}]"#,
            ),
            (
                "SELECT to_currency(1, 'EUR', TIMESTAMPTZ '2026-11-01T23:59:59Z') AS c, to_currency(1, 'USD', DATE '1999-01-01') AS u",
                r#"[{"c":"0.92","u":"1"}]"#,
            ),
        ] {
            assert_eq!(json(&engine, sql).await.unwrap(), expected, "{sql}");
        }
        for (sql, expected) in [
            (
                "SELECT sum(to_currency(cost, 'CHF', date)) FROM usage",
                "no exchange rate from USD to 'CHF' in force on 2026-11-0",
            ),
            ("SELECT to_currency(1, 'EUR', DATE '2025-12-31')", "in force on 2025-12-31"),
            ("SELECT to_currency(CAST(1 AS DOUBLE), 'EUR', DATE '2026-05-01')", "no float"),
        ] {
            let error = json(&engine, sql).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
