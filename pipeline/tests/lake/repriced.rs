//! Rows at the prices of another book, and under other labels: every sum moves by what was foretold and by nothing else, whoever dies in the middle.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use spendstream_pipeline::batch::{Generation, LakeCommit, PartitionProgress, Tally as Books};
use spendstream_pipeline::columns::reattributed::Reattributor;
use spendstream_pipeline::lake::FileEncoder;
use spendstream_pipeline::lake::check::{Limits, check};
use spendstream_pipeline::lake::maintenance::Maintainer;
use spendstream_pipeline::lake::maintenance::rewrite::{Rewriting, TableDone};
use spendstream_pipeline::lake::table::now_ms;
use spendstream_pipeline::lake::view::{LakeView, texts};
use spendstream_pipeline::price::archive;
use spendstream_pipeline::price::repriced::{Repricer, Selection, Tally};
use spendstream_schemas::config::{LakeConfig, RetentionConfig};
use spendstream_schemas::ids::OffsetRange;
use spendstream_schemas::price_book::{BookFiles, COLUMNS, PriceBook};
use spendstream_schemas::reattribution::Rules;
use spendstream_schemas::table::usage::{MONEY, money_type};
use spendstream_storage::Lake;

use crate::support::{DAY, rows, source};
use crate::world::{DAY_MS, Places, TIMES, config, maintainer, writer};

/// Input and output of both models, per million tokens; the second may be missing.
fn book(first: [u32; 2], second: Option<[u32; 2]>) -> Arc<PriceBook> {
    let mut prices = COLUMNS.join(",");
    for (model, [input, output]) in [("gpt-5", first)].into_iter().chain(second.map(|prices| ("gpt-4o", prices))) {
        for (meter, price) in [("input", input), ("output", output)] {
            write!(prices, "\nopenai,{model},{meter},{price},1000000,USD,,,,,,,own,").unwrap();
        }
    }
    prices.push('\n');
    Arc::new(PriceBook::load(&BookFiles { prices: &prices, aliases: "", ..BookFiles::builtin() }).unwrap())
}

/// One that has a price for nothing here.
fn first_book() -> Arc<PriceBook> {
    let prices = format!("{}\nopenai,other,input,1,1000000,USD,,,,,,,own,\n", COLUMNS.join(","));
    Arc::new(PriceBook::load(&BookFiles { prices: &prices, aliases: "", ..BookFiles::builtin() }).unwrap())
}

/// Rows without a price: two models by turns, three teams by turns.
fn unpriced(offsets: &[i64], day: i32) -> RecordBatch {
    let batch = rows(&source(0), offsets, day);
    let texts = |value: &dyn Fn(i64) -> Option<&'static str>| -> ArrayRef {
        Arc::new(offsets.iter().map(|offset| value(*offset)).collect::<StringArray>())
    };
    let counts = |value: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(offsets.iter().map(|offset| value(*offset)).collect::<Int64Array>())
    };
    let mut columns = vec![
        ("provider_sent", texts(&|_| Some("openai"))),
        ("model", texts(&|offset| Some(if offset % 3 == 0 { "gpt-4o" } else { "gpt-5" }))),
        ("team", texts(&|offset| [Some("core"), Some("search"), None][usize::try_from(offset % 5 / 2).unwrap()])),
        ("input_tokens", counts(&|offset| offset * 10 + 1)),
        ("uncached_input_tokens", counts(&|offset| offset * 10 + 1)),
        ("output_tokens", counts(&|offset| offset * 7)),
        ("price_status", texts(&|_| Some("unpriced"))),
        ("price_book_version", Arc::new(StringArray::from(vec![first_book().version(); offsets.len()]))),
        ("unpriced_reason", texts(&|_| Some("unknown_model"))),
        ("cost_quality", texts(&|_| Some("exact"))),
    ];
    columns.extend(MONEY.map(|name| (name, new_null_array(&money_type(), offsets.len()))));
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut arrays = batch.columns().to_vec();
    for (name, column) in columns {
        let at = batch.schema().index_of(name).unwrap();
        fields[at] = fields[at].clone().with_data_type(column.data_type().clone());
        arrays[at] = column;
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn commit(from: i64, to: i64) -> LakeCommit {
    let mut encoder = FileEncoder::new(&config());
    for parity in 0..2 {
        let offsets: Vec<i64> = (from..to).filter(|offset| offset % 2 == parity).collect();
        let day = DAY - i32::try_from(parity).unwrap();
        encoder.push(day, &unpriced(&offsets, day)).unwrap();
    }
    let count = u64::try_from(to - from).unwrap();
    let progress = PartitionProgress {
        source: Arc::new(source(0)),
        generation: Generation(1),
        range: OffsetRange::new(from, to).unwrap(),
        tally: Books { messages: count, rows: count, ..Books::default() },
    };
    LakeCommit { files: encoder.finish().unwrap(), progress: vec![progress], dead_letters: Vec::new() }
}

fn kept() -> LakeConfig {
    LakeConfig { retention: RetentionConfig::default(), ..config() }
}

/// Two days sealed in the colder table, and late rows of both in the hot one.
async fn lake() -> Places {
    let places = Places::new();
    archive::keep(&places.whole(), &first_book()).await.unwrap();
    let mut writer = writer(&places.whole()).await;
    writer.commit(commit(0, 20)).await.unwrap();
    let mut maintainer = Maintainer::take(&places.whole(), &kept(), TIMES).await.unwrap();
    maintainer.round(now_ms() + 2 * DAY_MS, |_| true, |_, _| {}).await.unwrap();
    writer.commit(commit(20, 24)).await.unwrap();
    places
}

/// An answer, row by row.
async fn ask(lake: &Lake, sql: &str) -> Vec<String> {
    let view = LakeView::open(lake, 256 << 20).await.unwrap();
    let mut lines = Vec::new();
    for batch in view.rows(sql).await.unwrap() {
        let columns: Vec<_> = (0..batch.num_columns()).map(|column| texts(&batch, column)).collect();
        let line = |row: usize| columns.iter().map(move |column| column[row].clone().unwrap_or("-".into()));
        lines.extend((0..batch.num_rows()).map(|row| line(row).collect::<Vec<_>>().join("|")));
    }
    lines
}

async fn money(lake: &Lake) -> Vec<String> {
    ask(lake, &format!("SELECT source_offset, {} FROM usage ORDER BY source_offset", MONEY.join(", "))).await
}

/// The sum of all costs, in units of 10⁻¹⁵.
async fn cost(lake: &Lake) -> i128 {
    let sum = ask(lake, "SELECT CAST(coalesce(sum(cost), 0) * 1000000000000000 AS DECIMAL(38, 0)) FROM usage").await;
    sum[0].parse().unwrap()
}

fn repricer(book: &Arc<PriceBook>) -> Repricer {
    Repricer::new(Arc::clone(book), Selection::default())
}

async fn reprice(places: &Places, book: &Arc<PriceBook>) -> (Tally, Vec<TableDone>) {
    archive::keep(&places.whole(), book).await.unwrap();
    rewrite(places, &mut repricer(book)).await
}

async fn rewrite<R: Rewriting>(places: &Places, what: &mut R) -> (R::Tally, Vec<TableDone>) {
    let mut done = Vec::new();
    let mut maintainer = Maintainer::take(&places.whole(), &kept(), TIMES).await.unwrap();
    let tally = maintainer.rewrite(what, now_ms(), &mut |table| done.push(table)).await.unwrap();
    (tally, done)
}

async fn assert_clean(places: &Places) {
    let limits = Limits { memory_bytes: 256 << 20, horizon: 0, identities: 0 };
    let report = check(&places.whole(), limits).await.unwrap();
    assert!(report.ok, "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tier_moves_by_what_was_foretold() {
    let places = lake().await;
    let (first, second) = (book([2, 8], None), book([3, 8], Some([5, 20])));
    let mut looker = Maintainer::open(&places.whole(), &kept(), TIMES).await.unwrap();
    let foretold = looker.preview(&mut repricer(&first)).await.unwrap();
    assert_eq!(cost(&places.whole()).await, 0, "a preview writes nothing");
    let (tally, done) = reprice(&places, &first).await;
    assert_eq!(tally, foretold);
    assert_eq!((tally.total().newly_priced, tally.total().still_unpriced), (16, 8));
    assert_eq!(tally.still_unpriced.get("unknown_model"), Some(&8));
    assert_eq!(
        done.iter().map(|table| (table.tier.as_str(), table.rows)).collect::<Vec<_>>(),
        [("hot", 3), ("cold", 13)]
    );
    assert_eq!(done.iter().map(|table| table.delta).sum::<i128>(), cost(&places.whole()).await);
    // (offset 1: 11 input at 2, 7 output at 8, per million)
    let one =
        ask(&places.whole(), "SELECT cost, model_id, provider, price_status FROM usage WHERE source_offset = 1").await;
    assert_eq!(one, ["0.000078000000000|gpt-5|openai|priced"]);
    assert_clean(&places).await;

    let at_first = money(&places.whole()).await;
    let (again, done) = reprice(&places, &first).await;
    assert_eq!((again.total().rows, done.len(), again.total().unchanged), (0, 0, 16), "the same book is no change");

    let before = cost(&places.whole()).await;
    let (tally, _) = reprice(&places, &second).await;
    assert_eq!(tally.total().new - tally.total().old, cost(&places.whole()).await - before);
    assert_eq!((tally.total().rows, tally.total().newly_priced), (24, 8));
    assert_eq!(tally.versions.get(first.version()), Some(&16));
    assert_clean(&places).await;

    let (tally, _) = reprice(&places, &first).await;
    assert_eq!(tally.kept.get("unknown_model"), Some(&8), "what has a price keeps it");
    let now: Vec<String> = money(&places.whole()).await;
    let same = |line: &&String| !line.ends_with("|-|-|-|-|-|-|-|-|-");
    for line in at_first.iter().filter(same) {
        assert!(now.contains(line), "{line} came back as it was");
    }
    assert_clean(&places).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reprice_that_dies_anywhere_is_finished_by_the_next() {
    let places = lake().await;
    let books = [book([2, 8], Some([5, 20])), book([3, 9], Some([6, 21]))];
    for book in &books {
        archive::keep(&places.whole(), book).await.unwrap();
    }
    reprice(&places, &books[0]).await;
    let mut expected = [cost(&places.whole()).await, 0];
    reprice(&places, &books[1]).await;
    expected[1] = cost(&places.whole()).await;
    for (turn, after) in (1..90).step_by(5).enumerate() {
        let (lake, fuse) = places.mortal(i64::MAX, turn % 2 == 0);
        let mut dying = Maintainer::take(&lake, &kept(), TIMES).await.unwrap();
        fuse.store(after, std::sync::atomic::Ordering::SeqCst);
        let _ = dying.rewrite(&mut repricer(&books[turn % 2]), now_ms(), &mut |_| {}).await;
        // Whichever tables are done: of each day of one of them all rows or none.
        let mixed =
            "SELECT date FROM usage GROUP BY date, source_offset >= 20 HAVING count(DISTINCT price_book_version) > 1";
        assert_eq!(ask(&places.whole(), mixed).await, Vec::<String>::new(), "dead after {after}");
        reprice(&places, &books[turn % 2]).await;
        assert_eq!(cost(&places.whole()).await, expected[turn % 2], "dead after {after}");
    }
    let mut last = Maintainer::take(&places.whole(), &kept(), TIMES).await.unwrap();
    last.round(now_ms() + 2 * DAY_MS, |_| true, |_, _| {}).await.unwrap();
    assert_clean(&places).await;
}

fn rules(text: &str) -> Reattributor {
    Reattributor::new(Rules::parse(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spend_moves_to_its_owner_and_no_total_moves() {
    let places = lake().await;
    reprice(&places, &book([2, 8], Some([5, 20]))).await;
    let totals = "SELECT date, model, count(*), sum(cost), sum(input_tokens) FROM usage GROUP BY 1, 2 ORDER BY 1, 2";
    let teams = "SELECT coalesce(team, '?'), count(*) FROM usage GROUP BY 1 ORDER BY 1";
    let before = (ask(&places.whole(), totals).await, ask(&places.whole(), teams).await);
    assert_eq!(before.1, ["?|4", "core|10", "search|10"]);

    let to_search = "[[rule]]\nwhen = { team = \"core\" }\nset = { team = \"search\", cost_center = \"4711\" }\n";
    let (tally, done) = rewrite(&places, &mut rules(to_search)).await;
    assert_eq!((tally.total().rows, done.len()), (10, 2));
    assert_eq!(ask(&places.whole(), totals).await, before.0);
    assert_eq!(ask(&places.whole(), teams).await, ["?|4", "search|20"]);
    let moved = "SELECT count(*), min(cost_center), min(pricing_inputs['team_sent']) FROM usage \
                 WHERE array_has(dimensions_filled, 'team')";
    assert_eq!(ask(&places.whole(), moved).await, ["10|4711|core"], "what was sent is kept");
    let (again, done) = rewrite(&places, &mut rules(to_search)).await;
    assert_eq!((again.total().rows, done.len()), (0, 0), "twice is once");
    assert_clean(&places).await;

    let back = "[[rule]]\nwhen = { cost_center = \"4711\" }\nset = { team = \"core\" }\n";
    rewrite(&places, &mut rules(back)).await;
    assert_eq!(ask(&places.whole(), teams).await, before.1);
    assert_eq!(ask(&places.whole(), moved).await, ["0|-|-"], "what is sent says it again");
    assert_clean(&places).await;

    let round = "[[rule]]\nwhen = { team = \"core\" }\nset = { team = \"search\" }\n\
                 [[rule]]\nwhen = { team = \"search\" }\nset = { team = \"core\" }\n";
    let mut maintainer = maintainer(&places.whole()).await;
    let refused = maintainer.rewrite(&mut rules(round), now_ms(), &mut |_| {}).await.unwrap_err().to_string();
    assert!(refused.contains("rule 2 would move the same rows on"), "{refused}");
    assert_eq!(ask(&places.whole(), teams).await, before.1);
}

fn sum(batch: &RecordBatch) -> i128 {
    let column = arrow::compute::cast(batch.column_by_name("cost").unwrap(), &DataType::Decimal128(38, 15)).unwrap();
    let column = arrow::array::AsArray::as_primitive::<arrow::datatypes::Decimal128Type>(&column).clone();
    column.iter().flatten().sum()
}

fn prices() -> impl Strategy<Value = ([u32; 2], Option<[u32; 2]>)> {
    (prop::array::uniform2(0_u32..50), prop::option::of(prop::array::uniform2(0_u32..50)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn prices_come_and_go_by_the_book_alone(
        a in prices(),
        b in prices(),
        offsets in prop::collection::btree_set(0_i64..1_000, 1..40),
    ) {
        let offsets: Vec<i64> = offsets.into_iter().collect();
        let batch = unpriced(&offsets, DAY);
        let [a, b] = [a, b].map(|(first, second)| book(first, second));
        let by = |book: &Arc<PriceBook>, batch: &RecordBatch| {
            let mut tally = Tally::default();
            let (new, changed) = repricer(book).rows(batch, &mut tally).unwrap();
            let total = tally.total();
            (new.clone(), (changed, total.rows), total.new - total.old == sum(&new) - sum(batch))
        };
        let (at_a, (changed, told), moves) = by(&a, &batch);
        prop_assert!(moves && changed == told);
        let (same, (changed, _), _) = by(&a, &at_a);
        prop_assert!(changed == 0 && same == at_a, "the same book is the identity");
        let (at_b, (changed, told), moves) = by(&b, &at_a);
        prop_assert!(moves && changed == told);
        let (back, _, moves) = by(&a, &at_b);
        prop_assert!(moves);
        let was_priced = at_a.column_by_name("price_status").unwrap();
        let was_priced = arrow::compute::cast(was_priced, &DataType::Utf8).unwrap();
        let was_priced = arrow::array::AsArray::as_string::<i32>(&was_priced).clone();
        for name in MONEY {
            let [first, last] = [&at_a, &back].map(|batch| batch.column_by_name(name).unwrap().clone());
            for row in (0..offsets.len()).filter(|row| was_priced.value(*row) == "priced") {
                prop_assert_eq!(first.slice(row, 1).to_data(), last.slice(row, 1).to_data(), "{} of row {}", name, row);
            }
        }
    }
}
