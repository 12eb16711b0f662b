//! Exports of small lakes through the public interface: sums to the last digit, the list's prices, loud about what has no price.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::builder::Decimal128Builder;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, MapBuilder, MapFieldNames, StringArray, StringBuilder,
};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use deltalake_core::DeltaTable;
use deltalake_core::protocol::SaveMode;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use rust_decimal::Decimal;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::lake_path;
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{PriceBook, Question, Unpriced, Usage};
use spendstream_schemas::table::charges::{self, Charge, ChargeCategory};
use spendstream_schemas::usage_event::Quantity;
use spendstream_storage::Lake;
use spendstream_storage::price_book::BookTexts;

use super::{Export, Granularity, Period, Told, columns, writer};
use crate::format::{Format, cell};
use crate::testing::{Row, TestLake, batch, days, json};

/// A call as it was sent.
#[derive(Clone, Copy, Default)]
struct Call {
    provider: &'static str,
    model: &'static str,
    tier: Option<&'static str>,
    organization: Option<&'static str>,
    counts: &'static [(Count, i64)],
    quantities: &'static [(&'static str, i64)],
    committed: bool,
    cache_hit: bool,
}

const ACME: &str = "acme";
const CALLS: [Call; 8] = [
    Call {
        provider: "openai",
        model: "gpt-4o-audio-preview",
        counts: &[
            (Count::Input, 1000),
            (Count::UncachedInput, 1000),
            (Count::AudioInput, 300),
            (Count::Output, 90),
            (Count::AudioOutput, 40),
        ],
        ..BLANK
    },
    Call {
        provider: "openai",
        model: "gpt-5",
        counts: &[
            (Count::Input, 2000),
            (Count::UncachedInput, 800),
            (Count::CacheRead, 1200),
            (Count::Output, 700),
            (Count::Reasoning, 512),
        ],
        ..BLANK
    },
    Call {
        provider: "openai",
        model: "gpt-5",
        tier: Some("batch"),
        counts: &[(Count::Input, 11), (Count::UncachedInput, 11), (Count::Output, 7)],
        ..BLANK
    },
    Call {
        provider: "anthropic",
        model: "claude-sonnet-4-5",
        organization: Some(ACME),
        counts: &[
            (Count::Input, 900),
            (Count::UncachedInput, 300),
            (Count::CacheRead, 100),
            (Count::CacheWrite, 333),
            (Count::CacheWrite1h, 167),
            (Count::Output, 77),
            (Count::WebSearches, 2),
        ],
        ..BLANK
    },
    Call {
        provider: "anthropic",
        model: "claude-sonnet-4-5",
        counts: &[(Count::Input, 5), (Count::UncachedInput, 5)],
        cache_hit: true,
        ..BLANK
    },
    Call {
        provider: "openai",
        model: "gpt-5",
        counts: &[(Count::Input, 50), (Count::UncachedInput, 50), (Count::Output, 50)],
        committed: true,
        ..BLANK
    },
    Call {
        provider: "openai",
        model: "gpt-99-nova",
        counts: &[(Count::Input, 40), (Count::UncachedInput, 40), (Count::Output, 2)],
        ..BLANK
    },
    Call { provider: "nobody", model: "m", quantities: &[("moods", 3)], ..BLANK },
];
const BLANK: Call = Call {
    provider: "",
    model: "",
    tier: None,
    organization: None,
    counts: &[],
    quantities: &[],
    committed: false,
    cache_hit: false,
};

/// Who gets an eighth off.
const OVERRIDES: &str =
    "[[override]]\nid = \"deal\"\norganization = \"acme\"\nprovider = \"anthropic\"\ndiscount_percent = \"12.5\"\n";

fn book() -> PriceBook {
    let mut texts = BookTexts::builtin("USD");
    texts.overrides = OVERRIDES.into();
    PriceBook::load(&texts.files()).unwrap()
}

/// Rows as the pipeline prices them.
fn rows(book: &PriceBook, calls: &[Call], date: &'static str) -> RecordBatch {
    let blank = Row { date, ..Row::BLANK };
    let noon = i64::from(days(date)) * 86_400_000_000 + 43_200_000_000;
    let mut found = batch(&vec![blank; calls.len()]);
    let mut texts: BTreeMap<&str, Vec<Option<String>>> = BTreeMap::new();
    let mut money: BTreeMap<&str, Vec<Option<i128>>> = BTreeMap::new();
    for call in calls {
        let mut counts = Counts::default();
        call.counts.iter().for_each(|(count, value)| counts.set(*count, *value));
        let quantities: Vec<Quantity<'_>> =
            call.quantities.iter().map(|(name, value)| (Cow::Borrowed(*name), Decimal::from(*value))).collect();
        let question = Question {
            provider: Some(call.provider),
            model: Some(call.model),
            service_tier: call.tier,
            organization: call.organization,
            ..Question::default()
        };
        let usage =
            Usage { counts: &counts, quantities: &quantities, committed: call.committed, cache_hit: call.cache_hit };
        let plan = book.resolve(&question);
        let priced = plan.as_ref().map_err(Clone::clone).and_then(|plan| plan.price(noon, &usage));
        let mut text = |name, value: Option<&str>| texts.entry(name).or_default().push(value.map(str::to_owned));
        text("provider", Some(call.provider));
        text("provider_sent", Some(call.provider));
        text("model", Some(call.model));
        text("model_id", plan.as_ref().ok().map(|plan| plan.model_id.as_str()));
        text("organization", call.organization);
        text("service_tier", Some(plan.as_ref().map_or("standard", |plan| &plan.service_tier)));
        text("currency", Some("USD"));
        text("price_book_version", Some(book.version()));
        text("price_id", priced.as_ref().ok().map(|priced| priced.price_id));
        text("pricing_category", priced.as_ref().ok().map(|priced| priced.category));
        text("price_status", Some(if priced.is_ok() { "priced" } else { "unpriced" }));
        text("unpriced_reason", priced.as_ref().err().map(Unpriced::word));
        let mut amount = |name, value: Option<Amount>| money.entry(name).or_default().push(value.map(Amount::units));
        let priced = priced.ok();
        amount("cost", priced.map(|priced| priced.cost));
        amount("list_cost", priced.map(|priced| priced.list_cost));
        amount("input_cost", priced.map(|priced| priced.input_cost));
        amount("output_cost", priced.map(|priced| priced.output_cost));
        amount("cache_read_cost", priced.map(|priced| priced.cache_read_cost));
        amount("cache_write_cost", priced.map(|priced| priced.cache_write_cost));
        amount("other_cost", priced.map(|priced| priced.other_cost));
    }
    for (name, values) in texts {
        found = with(&found, name, Arc::new(StringArray::from(values)));
    }
    for (name, values) in money {
        let values = Decimal128Array::from(values).with_precision_and_scale(28, 15).unwrap();
        found = with(&found, name, Arc::new(values));
    }
    for count in Count::ALL {
        let of = |call: &Call| call.counts.iter().find(|(known, _)| *known == count).map_or(0, |(_, value)| *value);
        found = with(&found, count.column(), Arc::new(Int64Array::from_iter_values(calls.iter().map(of))));
    }
    found =
        with(&found, "cache_hit", Arc::new(calls.iter().map(|call| Some(call.cache_hit)).collect::<BooleanArray>()));
    with(&found, "quantities", quantities(calls))
}

fn quantities(calls: &[Call]) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let values = Decimal128Builder::new().with_data_type(DataType::Decimal128(28, 9));
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), values);
    for call in calls {
        for (name, value) in call.quantities {
            maps.keys().append_value(name);
            maps.values().append_value(i128::from(*value) * 1_000_000_000);
        }
        maps.append(true).unwrap();
    }
    Arc::new(maps.finish())
}

fn with(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of(name).unwrap()] = column;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn charge(id: &str, category: ChargeCategory, units: i128) -> Charge {
    let mut charge = Charge::blank(id.into(), category, "USD", "close");
    charge.time = i64::from(days("2026-11-02")) * 86_400_000_000;
    charge.period = (charge.time, charge.time + 86_400_000_000);
    charge.billing_period = "2026-11".into();
    charge.amount = Amount::from_units(units).unwrap();
    charge.reason = Some("Z\u{fc}rich".into());
    charge
}

async fn append(lake: &TestLake, rows: &[Charge]) {
    std::fs::create_dir_all(lake.folder.path().join(lake_path::CHARGES_TABLE)).unwrap();
    let table = DeltaTable::new(Lake::open(&lake.config.lake).unwrap().log_store(lake_path::CHARGES_TABLE));
    let write = table.write([charges::batch(rows).unwrap()]).with_save_mode(SaveMode::Append);
    write.with_partition_columns([charges::DATE]).await.unwrap();
}

async fn keep(lake: &TestLake, book: &PriceBook) {
    let path = Path::from(lake_path::price_book(book.version()));
    Lake::open(&lake.config.lake).unwrap().store().put(&path, book.to_archive().into()).await.unwrap();
}

type Lines = Vec<BTreeMap<String, String>>;

/// All rows by column; nulls are not there.
async fn exported(lake: &TestLake, granularity: Granularity) -> (Lines, Told) {
    let engine = lake.engine();
    let mut export =
        Export::start(&engine, Period::of(Some("2026-11"), None, None).unwrap(), granularity).await.unwrap();
    let mut lines = Lines::new();
    while let Some(batch) = export.next().await.unwrap() {
        assert_eq!(batch.schema(), columns::schema());
        let texts: Vec<_> = batch.columns().iter().map(|column| cell::texts(column).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let named = batch
                .schema()
                .fields()
                .iter()
                .zip(&texts)
                .filter_map(|(field, texts)| Some((field.name().clone(), texts[row].clone()?)))
                .collect();
            lines.push(named);
        }
    }
    (lines, export.told().clone())
}

fn sum(lines: &Lines, column: &str) -> Decimal {
    lines.iter().map(|line| line[column].parse::<Decimal>().unwrap()).sum()
}

fn line<'l>(lines: &'l Lines, sku: &str, status: &str) -> &'l BTreeMap<String, String> {
    let found: Vec<_> = lines
        .iter()
        .filter(|line| line.get("SkuId").is_some_and(|id| id == sku) && line["x_PriceStatus"] == status)
        .collect();
    found.first().unwrap_or_else(|| panic!("{sku} is not in {lines:#?}"))
}

#[tokio::test]
async fn sums_are_the_lakes_and_prices_are_the_lists() {
    let (lake, book) = (TestLake::empty(), book());
    keep(&lake, &book).await;
    lake.append_batch(rows(&book, &CALLS, "2026-11-01")).await;
    lake.append_batch(rows(&book, &CALLS[..4], "2026-11-30")).await;
    lake.append_batch(rows(&book, &CALLS[..1], "2026-12-01")).await;
    let credit = charge("c", ChargeCategory::Credit, -5_000_000_000_000_001);
    let fix = Charge { correction: true, corrects: Some("c".into()), ..charge("a", ChargeCategory::Adjustment, -7) };
    append(&lake, &[credit, fix, charge("t", ChargeCategory::Tax, 19), charge("p", ChargeCategory::Purchase, 1_000)])
        .await;

    let (lines, told) = exported(&lake, Granularity::Day).await;
    let all =
        json(&lake.engine(), "SELECT sum(amount) AS c, sum(list_cost) AS l FROM spend WHERE date < DATE '2026-12-01'")
            .await
            .unwrap();
    let charges = Decimal::from_i128_with_scale(-5_000_000_000_000_001 - 7 + 19 + 1_000, 15);
    assert_eq!(
        all,
        format!(
            r#"[{{"c":"{}","l":"{}"}}]"#,
            sum(&lines, "BilledCost").normalize(),
            (sum(&lines, "ListCost") - charges).normalize()
        )
    );
    assert_eq!(
        told.billed_cost,
        (sum(&lines, "BilledCost").normalize() * Decimal::from(1_000_000_000_000_000_i64)).try_into().unwrap()
    );
    assert_eq!((told.unpriced_calls, told.split_by_quantity, told.rows), (2, 0, lines.len() as u64));
    assert!(lines.iter().all(|line| line.get("x_MeterSplit").is_none_or(|manner| manner == "exact")), "{lines:#?}");
    let calls: i64 = lines.iter().filter_map(|line| line.get("x_Calls")?.parse::<i64>().ok()).sum();
    assert_eq!(calls, 12);

    for (sku, price) in [
        ("openai/gpt-4o-audio-preview/input", "2.5"),
        ("openai/gpt-4o-audio-preview/audio_in", "40"),
        ("openai/gpt-4o-audio-preview/audio_out", "80"),
        ("openai/gpt-5/reasoning", "10"),
        ("openai/gpt-5/cache_read", "0.125"),
        ("anthropic/claude-sonnet-4-5/cache_write", "3.75"),
        ("anthropic/claude-sonnet-4-5/cache_write_1h", "6"),
        ("anthropic/claude-sonnet-4-5/web_search", "0.01"),
    ] {
        assert_eq!(line(&lines, sku, "priced")["ListUnitPrice"], price, "{sku}");
    }
    let own = line(&lines, "anthropic/claude-sonnet-4-5/output", "priced");
    assert_eq!((own["ListUnitPrice"].as_str(), own["ContractedUnitPrice"].as_str()), ("15", "13.125"));
    assert!(own["x_PriceId"].contains("override=deal") && !own["SkuPriceId"].contains("override"), "{own:?}");
    let committed =
        lines.iter().find(|line| line.get("PricingCategory").is_some_and(|word| word == "Committed")).unwrap();
    assert_eq!((committed["BilledCost"].as_str(), committed["ListUnitPrice"].as_str()), ("0", "1.25"));
}

#[tokio::test]
async fn what_has_no_price_is_loud_and_charges_are_rows() {
    let (lake, book) = (TestLake::empty(), book());
    lake.append_batch(rows(&book, &CALLS, "2026-11-01")).await;
    append(&lake, &[charge("c", ChargeCategory::Credit, -5), charge("p", ChargeCategory::Purchase, 1_000)]).await;
    let (lines, told) = exported(&lake, Granularity::Hour).await;
    let nova = line(&lines, "openai/gpt-99-nova/input", "unpriced");
    assert_eq!(
        (nova["BilledCost"].as_str(), nova["ConsumedQuantity"].as_str(), nova["PricingCategory"].as_str()),
        ("0", "40", "Other")
    );
    assert!(nova["ChargeDescription"].starts_with("UNPRICED (unknown_model)"), "{nova:?}");
    assert_eq!(line(&lines, "nobody/m/moods", "unpriced")["ConsumedUnit"], "Units");
    assert_eq!(nova["ChargePeriodEnd"], "2026-11-01T13:00:00Z");

    let of = |category: &str| lines.iter().find(|line| line["ChargeCategory"] == category).unwrap();
    let credit = of("Credit");
    assert_eq!((credit["EffectiveCost"].as_str(), credit["x_ChargeId"].as_str()), ("-0.000000000000005", "c"));
    assert_eq!(
        (credit["ChargeDescription"].as_str(), credit["x_Reason"].as_str()),
        ("Credit by close: Z\\u00fcrich", "Z\u{fc}rich")
    );
    assert!(!credit.contains_key("ListUnitPrice") && !credit.contains_key("ConsumedQuantity"), "{credit:?}");
    assert_eq!((of("Purchase")["EffectiveCost"].as_str(), of("Purchase")["PricingQuantity"].as_str()), ("0", "1"));

    // The book is not in the lake: sums hold, and it is said what a meter's part is worth.
    assert!(told.split_by_quantity > 0);
    let cost = json(&lake.engine(), "SELECT sum(amount) AS c FROM spend").await.unwrap();
    assert_eq!(cost, format!(r#"[{{"c":"{}"}}]"#, sum(&lines, "BilledCost").normalize()));
}

#[tokio::test]
async fn csv_keeps_texts_and_decimals_apart() {
    let (lake, book) = (TestLake::empty(), book());
    lake.append_batch(rows(&book, &CALLS[6..7], "2026-11-01")).await;
    let engine = lake.engine();
    let period = Period::of(None, "2026-11-01".parse().ok(), "2026-11-02".parse().ok()).unwrap();
    let mut export = Export::start(&engine, period, Granularity::Day).await.unwrap();
    let (mut encoder, mut out) = (writer(Format::Csv).unwrap().unwrap(), Vec::new());
    while let Some(batch) = export.next().await.unwrap() {
        encoder.batch(&batch, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("AvailabilityZone,BilledCost,BillingAccountId,"), "{}", lines[0]);
    assert!(
        lines[1].starts_with(
            r#",0.0,"openai","openai","Billing Account","USD",2026-12-01T00:00:00Z,2026-11-01T00:00:00Z,,,"Usage","#
        ),
        "{}",
        lines[1]
    );
    assert!(writer(Format::Json).unwrap().is_none());
}
