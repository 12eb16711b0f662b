//! The columns of the export: their names, types and order, FOCUS first, then those with `x_`. In: [`Row`]s. Out: Arrow. Pure.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::money;
use spendstream_schemas::table::rollup::SUM_PRECISION;
use spendstream_schemas::table::usage::timestamp_type;

use super::row::{DIMENSIONS, Row};

/// How a column's value is read off a row; `None` is null.
enum Value {
    Text(fn(&Row) -> Option<&str>),
    Decimal(fn(&Row) -> Option<i128>),
    Time(fn(&Row) -> i64),
    Whole(fn(&Row) -> Option<i64>),
    Flag(fn(&Row) -> bool),
    /// One of [`DIMENSIONS`].
    Dimension(usize),
}
use Value::{Decimal, Dimension, Flag, Text, Time, Whole};

/// Those of FOCUS up to `Tags`, in the order of the alphabet.
const FOCUS: [(&str, Value); 56] = [
    ("AvailabilityZone", Text(|_| None)),
    ("BilledCost", Decimal(|row| Some(row.billed_cost))),
    ("BillingAccountId", Text(|row| Some(&row.billing_account_id))),
    ("BillingAccountName", Text(|row| Some(&row.billing_account_id))),
    ("BillingAccountType", Text(|_| Some("Billing Account"))),
    ("BillingCurrency", Text(|row| Some(&row.billing_currency))),
    ("BillingPeriodEnd", Time(|row| row.billing_period.1)),
    ("BillingPeriodStart", Time(|row| row.billing_period.0)),
    ("CapacityReservationId", Text(|_| None)),
    ("CapacityReservationStatus", Text(|_| None)),
    ("ChargeCategory", Text(|row| Some(&row.charge_category))),
    ("ChargeClass", Text(|row| row.charge_class.as_deref())),
    ("ChargeDescription", Text(|row| Some(&row.charge_description))),
    ("ChargeFrequency", Text(|row| Some(row.charge_frequency))),
    ("ChargePeriodEnd", Time(|row| row.charge_period.1)),
    ("ChargePeriodStart", Time(|row| row.charge_period.0)),
    ("CommitmentDiscountCategory", Text(|_| None)),
    ("CommitmentDiscountId", Text(|_| None)),
    ("CommitmentDiscountName", Text(|_| None)),
    ("CommitmentDiscountQuantity", Decimal(|_| None)),
    ("CommitmentDiscountStatus", Text(|_| None)),
    ("CommitmentDiscountType", Text(|_| None)),
    ("CommitmentDiscountUnit", Text(|_| None)),
    ("ConsumedQuantity", Decimal(|row| row.consumed.map(|(quantity, _)| quantity))),
    ("ConsumedUnit", Text(|row| row.consumed.map(|(_, unit)| unit))),
    ("ContractedCost", Decimal(|row| Some(row.contracted_cost))),
    ("ContractedUnitPrice", Decimal(|row| row.contracted_unit_price)),
    ("EffectiveCost", Decimal(|row| Some(row.effective_cost))),
    ("InvoiceId", Text(|row| Some(&row.invoice_id))),
    ("InvoiceIssuerName", Text(|row| Some(&row.provider))),
    ("ListCost", Decimal(|row| Some(row.list_cost))),
    ("ListUnitPrice", Decimal(|row| row.list_unit_price)),
    ("PricingCategory", Text(|row| row.pricing_category)),
    // Unit prices are shown in the lake's currency, whatever the price list's own is (x_PriceCurrency).
    ("PricingCurrency", Text(|row| Some(&row.billing_currency))),
    ("PricingCurrencyContractedUnitPrice", Decimal(|row| row.contracted_unit_price)),
    ("PricingCurrencyEffectiveCost", Decimal(|row| Some(row.effective_cost))),
    ("PricingCurrencyListUnitPrice", Decimal(|row| row.list_unit_price)),
    ("PricingQuantity", Decimal(|row| row.pricing.map(|(quantity, _)| quantity))),
    ("PricingUnit", Text(|row| row.pricing.map(|(_, unit)| unit))),
    ("ProviderName", Text(|row| Some(&row.provider))),
    ("PublisherName", Text(|row| Some(&row.provider))),
    ("RegionId", Text(|row| row.region.as_deref())),
    ("RegionName", Text(|row| row.region.as_deref())),
    ("ResourceId", Text(|_| None)),
    ("ResourceName", Text(|_| None)),
    ("ResourceType", Text(|_| None)),
    ("ServiceCategory", Text(|_| Some("AI and Machine Learning"))),
    ("ServiceName", Text(|row| Some(&row.service_name))),
    ("ServiceSubcategory", Text(|row| Some(row.service_subcategory))),
    ("SkuId", Text(|row| row.sku_id.as_deref())),
    ("SkuMeter", Text(|row| row.sku_meter.as_deref())),
    ("SkuPriceDetails", Text(|row| row.sku_price_details.as_deref())),
    ("SkuPriceId", Text(|row| row.sku_price_id.as_deref())),
    ("SubAccountId", Text(|row| row.sub_account.as_ref().map(|account| account.id.as_str()))),
    ("SubAccountName", Text(|row| row.sub_account.as_ref().map(|account| account.name.as_str()))),
    ("SubAccountType", Text(|row| row.sub_account.as_ref().map(|account| account.kind))),
];
const TAGS: (&str, Value) = ("Tags", Text(|row| row.tags.as_deref()));

/// What FOCUS has no home for; the dimensions follow.
const OWN: [(&str, Value); 17] = [
    ("x_PriceStatus", Text(|row| Some(row.own.price_status))),
    ("x_UnpricedReason", Text(|row| row.own.unpriced_reason.as_deref())),
    ("x_CostQuality", Text(|row| row.own.cost_quality.as_deref())),
    ("x_Calls", Whole(|row| row.own.calls)),
    ("x_Meter", Text(|row| row.own.meter.as_deref())),
    ("x_MeterSplit", Text(|row| row.own.meter_split)),
    ("x_Model", Text(|row| row.own.model.as_deref())),
    ("x_Operation", Text(|row| row.own.operation.as_deref())),
    ("x_ServiceTier", Text(|row| row.own.service_tier.as_deref())),
    ("x_CacheHit", Flag(|row| row.own.cache_hit)),
    ("x_PriceId", Text(|row| row.own.price_id.as_deref())),
    ("x_PriceCurrency", Text(|row| row.own.price_currency.as_deref())),
    ("x_PriceBookVersion", Text(|row| row.own.price_book_version.as_deref())),
    ("x_ChargeId", Text(|row| row.own.charge_id.as_deref())),
    ("x_Corrects", Text(|row| row.own.corrects.as_deref())),
    ("x_Reason", Text(|row| row.own.reason.as_deref())),
    ("x_StatementId", Text(|row| row.own.statement_id.as_deref())),
];
const SOURCE: (&str, Value) = ("x_Source", Text(|row| row.own.source.as_deref()));

static COLUMNS: LazyLock<Vec<(&'static str, Value)>> = LazyLock::new(|| {
    let dimensions = DIMENSIONS.iter().enumerate().map(|(position, (_, name))| (*name, Dimension(position)));
    FOCUS.into_iter().chain([TAGS]).chain(OWN).chain([SOURCE]).chain(dimensions).collect()
});

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = COLUMNS.iter().map(|(name, value)| {
        let data_type = match value {
            Text(_) | Dimension(_) => DataType::Utf8,
            Decimal(_) => DataType::Decimal128(SUM_PRECISION, money::SCALE),
            Time(_) => timestamp_type(),
            Whole(_) => DataType::Int64,
            Flag(_) => DataType::Boolean,
        };
        Field::new(*name, data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The schema of an export.
#[must_use]
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// Rows as columns of [`schema`].
///
/// # Errors
/// Only when Arrow refuses consistent columns, which is a fault of this program.
pub fn batch(rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let column = |(_, value): &(&str, Value)| -> Result<ArrayRef, ArrowError> {
        Ok(match value {
            Text(read) => Arc::new(rows.iter().map(read).collect::<StringArray>()),
            Dimension(position) => {
                Arc::new(rows.iter().map(|row| row.own.dimensions[*position].as_deref()).collect::<StringArray>())
            }
            Decimal(read) => {
                let units: Decimal128Array = rows.iter().map(read).collect();
                Arc::new(units.with_precision_and_scale(SUM_PRECISION, money::SCALE)?)
            }
            Time(read) => {
                let micros: TimestampMicrosecondArray = rows.iter().map(|row| Some(read(row))).collect();
                Arc::new(micros.with_timezone("UTC"))
            }
            Whole(read) => Arc::new(rows.iter().map(read).collect::<Int64Array>()),
            Flag(read) => Arc::new(rows.iter().map(|row| Some(read(row))).collect::<BooleanArray>()),
        })
    };
    RecordBatch::try_new(schema(), COLUMNS.iter().map(column).collect::<Result<_, _>>()?)
}
