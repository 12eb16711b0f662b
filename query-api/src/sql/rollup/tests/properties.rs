//! Any rows, sealed in any parts, wherever they lie and however they move: with the rule and without it a query has one answer.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use spendstream_lake::tags;

use super::{DAYS, Event, compare, file};
use crate::testing::sealed::{File, Tiered};

/// Seals of a day, and after them what came late.
const SEALS: usize = 3;

/// Where the sealed rows of a day lie.
#[derive(Clone, Copy, Debug)]
enum Place {
    Hot,
    /// Tagged, and not yet in the colder table.
    Leaving,
    /// Tagged, and in the colder table already.
    Arrived,
    Cold,
}

fn event() -> impl Strategy<Value = (usize, Event)> {
    let text = || prop::sample::select(vec![None, Some(""), Some("search"), Some("billing")]);
    // Around the boundaries of quarter-hours, where it counts.
    let micros = (0_i64..96, prop::sample::select(vec![0_i64, 1, 449_000_000, 899_999_999]));
    let keys = (text(), text(), any::<Option<bool>>(), prop::bool::weighted(0.2));
    let money = (-5_000_000_000_000_000_i64..5_000_000_000_000_000_i64, prop::option::of(0_i64..1_000));
    let counts = (0_i64..100_000, 0_i64..5_000, prop::option::of(0_i64..100_000));
    (0..=SEALS, 0..DAYS.len(), micros, keys, money, counts).prop_map(|(part, day, time, keys, money, counts)| {
        let ((quarter, within), (organization, team, cache_hit, unpriced)) = (time, keys);
        let event = Event {
            day,
            micros: quarter * 900_000_000 + within,
            organization,
            team,
            cache_hit,
            price_status: if unpriced { "unpriced" } else { "priced" },
            cost: (!unpriced).then_some(money.0),
            savings: money.1,
            input: counts.0,
            output: counts.1,
            latency: counts.2,
            user: None,
        };
        (part, event)
    })
}

fn place() -> impl Strategy<Value = Place> {
    prop::sample::select(vec![Place::Hot, Place::Leaving, Place::Arrived, Place::Cold])
}

const GROUPS: [&str; 15] = [
    "team",
    "organization",
    "date",
    "cache_hit",
    "price_status",
    "coalesce(team, '?')",
    "upper(organization) || '-' || team",
    "CASE WHEN team = 'search' THEN 1 ELSE 2 END",
    "date_trunc('hour', event_time)",
    "date_trunc('week', event_time)",
    "date_trunc('day', event_time AT TIME ZONE 'Asia/Kathmandu')",
    "date_trunc('day', to_local_time(event_time AT TIME ZONE 'America/St_Johns'))",
    "date_bin(INTERVAL '45 minutes', event_time)",
    "date_part('hour', event_time AT TIME ZONE 'Asia/Kolkata')",
    "CAST(event_time AS DATE)",
];

const SUMS: [&str; 17] = [
    "count(*)",
    "count(event_id)",
    "count(cost)",
    "count(latency_ms)",
    "count(organization)",
    "sum(cost)",
    "sum(cache_savings)",
    "sum(input_tokens)",
    "sum(input_tokens + output_tokens)",
    "sum(latency_ms)",
    "latency_sketch(latency_ms)",
    "min(team)",
    "max(date_trunc('hour', event_time))",
    "sum(CASE WHEN price_status = 'unpriced' THEN 1 ELSE 0 END)",
    "sum(CASE WHEN team = 'search' THEN cost ELSE 0 END)",
    "sum(coalesce(cost, 0)) FILTER (WHERE organization = '')",
    "count(*) FILTER (WHERE cache_hit)",
];

const FILTERS: [&str; 9] = [
    "team = 'search'",
    "organization IS NULL",
    "coalesce(team, '') = ''",
    "cache_hit IS NOT TRUE",
    "date >= '2026-11-02'",
    "event_time >= '2026-11-01T18:15:00Z'",
    "event_time <= '2026-11-02T05:59:59.999999Z'",
    "event_time BETWEEN '2026-11-01T12:00:00Z' AND '2026-11-03T11:59:59.999999Z'",
    "date_part('hour', event_time) < 13",
];

fn query() -> impl Strategy<Value = String> {
    let some = |of: &'static [&'static str], most: usize| prop::sample::subsequence(of, 0..=most);
    (some(&GROUPS, 3), some(&SUMS, 5), some(&FILTERS, 2)).prop_map(|(groups, sums, filters)| {
        let sums = if groups.is_empty() && sums.is_empty() { vec!["count(*)"] } else { sums };
        let columns = groups.iter().chain(&sums).enumerate().map(|(at, column)| format!("{column} AS c{at}"));
        let mut sql = format!("SELECT {} FROM usage", columns.collect::<Vec<_>>().join(", "));
        if !filters.is_empty() {
            sql = format!("{sql} WHERE {}", filters.join(" AND "));
        }
        if !groups.is_empty() {
            sql = format!("{sql} GROUP BY {}", groups.join(", "));
        }
        sql
    })
}

/// Writes each day's parts where they lie.
///
/// Days that were repriced had other rows under other numbers before, whose sums may still be there.
async fn lake(events: &[(usize, Event)], places: &[Place], repriced: &[bool]) -> (Tiered, usize) {
    let lake = Tiered::new().await;
    let mut parts: BTreeMap<(usize, usize), Vec<Event>> = BTreeMap::new();
    for (part, event) in events {
        parts.entry((event.day, *part)).or_default().push(event.clone());
    }
    let (mut hot, mut cold, mut seals) = (Vec::new(), Vec::new(), 0);
    let (mut hot_before, mut cold_before) = (Vec::new(), Vec::new());
    for ((day, part), events) in parts {
        let (date, rows) = (DAYS[day], file(&events));
        let whole = File::new(&format!("part-{part}"), date, rows.clone());
        if part == SEALS {
            hot.push(whole);
            continue;
        }
        seals += 1;
        let seal = format!("{day}-{part}");
        let sealed = whole.tagged(tags::SEAL, &seal);
        if repriced[day] {
            let other =
                |event: &Event| Event { cost: event.cost.map(|cost| cost + 7), team: Some("core"), ..event.clone() };
            let (before, number) = (file(&events.iter().map(other).collect::<Vec<_>>()), format!("before-{seal}"));
            lake.sum_up(&number, date, std::slice::from_ref(&before)).await;
            let before = File::new(&format!("before-{part}"), date, before).tagged(tags::SEAL, &number);
            match places[day] {
                Place::Hot | Place::Leaving => hot_before.push(before),
                Place::Arrived | Place::Cold => cold_before.push(before),
            }
        }
        // Numbers of moves that the colder table has taken in are the smaller ones.
        match places[day] {
            Place::Hot => hot.push(sealed),
            Place::Leaving => hot.push(sealed.tagged(tags::MOVE, 10)),
            Place::Arrived => {
                hot.push(sealed.clone().tagged(tags::MOVE, 1));
                cold.push(sealed);
            }
            Place::Cold => cold.push(sealed),
        }
        lake.sum_up(&seal, date, &[rows]).await;
    }
    lake.hot.change(&[], &hot_before, &[]);
    lake.cold.change(&[], &cold_before, &[]);
    lake.hot.change(&hot_before, &hot, &[(tags::BEGUN_APP, 10), (tags::HISTORY_APP, 1)]);
    lake.cold.change(&cold_before, &cold, &[(tags::MOVES_APP, 9), (tags::HISTORY_APP, 1)]);
    (lake, seals)
}

async fn holds(
    events: Vec<(usize, Event)>,
    (places, repriced): (Vec<Place>, Vec<bool>),
    queries: Vec<String>,
) -> Result<(), TestCaseError> {
    let (lake, seals) = lake(&events, &places, &repriced).await;
    let engine = lake.lake.engine();
    let snapshot = engine.snapshot().await.unwrap();
    let rows = super::answer(&engine, &snapshot, "SELECT count(event_id), sum(cost) FROM usage WHERE source_index = 0")
        .await
        .1;
    let cost: i64 = events.iter().filter_map(|(_, event)| event.cost).sum();
    prop_assert!(rows[0].starts_with(&format!("{}|", events.len())), "{:?} of {}, {}", rows, events.len(), cost);
    for sql in queries {
        prop_assert_eq!(compare(&engine, &snapshot, &sql).await, seals > 0, "{}", sql);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn sums_from_the_rollup_are_those_of_the_rows(
        events in prop::collection::vec(event(), 1..60),
        places in prop::collection::vec(place(), DAYS.len()),
        repriced in prop::collection::vec(any::<bool>(), DAYS.len()),
        queries in prop::collection::vec(query(), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(holds(events, (places, repriced), queries))?;
    }
}
