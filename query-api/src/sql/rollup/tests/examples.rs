//! What is read from where, by example.

use spendstream_lake::tags;

use super::{DAYS, Event, answer, compare, file, plan};
use crate::sql::engine::Engine;
use crate::testing::sealed::{File, Tiered};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

/// Two sealed days, one of them in the colder table, and rows that came late or of today.
async fn example() -> Tiered {
    let lake = Tiered::new().await;
    let first = [
        Event { micros: HOUR, latency: Some(40), savings: Some(3), cache_hit: Some(true), ..Event::PLAIN },
        Event { micros: HOUR + 1, cost: Some(7), latency: Some(900), ..Event::PLAIN },
        Event { micros: 18 * HOUR + 15 * MINUTE - 1, team: Some(""), organization: Some("acme"), ..Event::PLAIN },
        Event { micros: 18 * HOUR + 15 * MINUTE, team: None, cost: None, price_status: "unpriced", ..Event::PLAIN },
        Event { micros: 18 * HOUR + 30 * MINUTE, cost: Some(-2), cache_hit: Some(false), ..Event::PLAIN },
    ];
    let second = [
        Event { day: 1, micros: 5 * HOUR, input: 3, output: 40, ..Event::PLAIN },
        Event { day: 1, micros: 5 * HOUR + 1, team: Some("billing"), latency: Some(1), ..Event::PLAIN },
    ];
    let late = [Event { micros: HOUR + 2, cost: Some(100), latency: Some(12), user: Some("u"), ..Event::PLAIN }];
    let today = [Event { day: 2, micros: 3, cost: None, price_status: "unpriced", ..Event::PLAIN }];
    lake.cold.change(&[], &[File::new("a", DAYS[0], file(&first)).tagged(tags::SEAL, "s1")], &[]);
    lake.sum_up("s1", DAYS[0], &[file(&first)]).await;
    lake.hot.change(
        &[],
        &[
            File::new("b", DAYS[1], file(&second)).tagged(tags::SEAL, "s2"),
            File::new("c", DAYS[0], file(&late)),
            File::new("d", DAYS[2], file(&today)),
        ],
        &[],
    );
    lake.sum_up("s2", DAYS[1], &[file(&second)]).await;
    lake
}

async fn check(queries: &[&str], from_rollup: bool) {
    let lake = example().await;
    let engine = lake.lake.engine();
    let snapshot = engine.snapshot().await.unwrap();
    for sql in queries {
        assert_eq!(compare(&engine, &snapshot, sql).await, from_rollup, "{sql}");
    }
}

#[tokio::test]
async fn sums_of_everything() {
    check(
        &[
            "SELECT count(*), count(1), count(event_id), count(cost), count(latency_ms), count(team), count(NULL) FROM usage",
            "SELECT sum(cost), sum(cache_savings), sum(list_cost), sum(input_tokens), sum(latency_ms) FROM usage",
            "SELECT min(team), max(team), min(date), max(date), min(cache_hit), min(date_trunc('day', event_time)) FROM usage",
            "SELECT sum(input_tokens + output_tokens), sum(coalesce(cost, 0)), sum(coalesce(cache_savings, 0)) FROM usage",
            "SELECT sum(CASE WHEN price_status = 'unpriced' THEN 1 ELSE 0 END), sum(CASE WHEN team = 'search' THEN cost ELSE 0 END), \
             sum(CASE team WHEN 'search' THEN input_tokens END), count(CASE WHEN team = 'search' THEN 1 END), sum(1) FROM usage",
            "SELECT count(*) FILTER (WHERE team = 'search'), sum(cost) FILTER (WHERE cache_hit), \
             count(cost) FILTER (WHERE team = 'nobody') FROM usage",
            "SELECT latency_sketch(latency_ms), sketch_quantile(latency_sketch(latency_ms), 0.5) AS median FROM usage",
            "SELECT team, latency_sketch(latency_ms) FROM usage GROUP BY team",
            "SELECT sum(cost) / count(*) AS each, sum(cost) * 2 AS twice FROM usage HAVING count(*) > 0",
            // Of nothing.
            "SELECT count(*), sum(cost), min(team), latency_sketch(latency_ms) FROM usage WHERE team = 'nobody'",
            "SELECT team, count(*) FROM usage WHERE team = 'nobody' GROUP BY team",
        ],
        true,
    )
    .await;
}

#[tokio::test]
async fn groups_and_filters_by_dimensions() {
    check(
        &[
            "SELECT DISTINCT team, organization FROM usage",
            "SELECT team FROM usage GROUP BY team",
            "SELECT coalesce(team, '?') AS team, upper(organization) AS o, cache_hit, count(*) FROM usage GROUP BY 1, 2, 3",
            "SELECT a, b, count(*) FROM (SELECT team AS a, team AS b FROM usage) GROUP BY a, b",
            "SELECT currency, price_status, cost_quality, price_book_version, sum(cost) FROM usage GROUP BY 1, 2, 3, 4",
            "SELECT date, sum(amount) FROM spend WHERE charge_category = 'Usage' GROUP BY date",
            "SELECT * FROM spend_by_day WHERE date >= '2026-11-02'",
            "SELECT t.team, sum(t.c) FROM (SELECT team, cost AS c FROM usage u WHERE u.organization IS NULL) t WHERE t.team <> 'x' GROUP BY t.team",
            "SELECT team, n FROM (SELECT team, count(*) AS n FROM usage GROUP BY team) WHERE n > 1 AND team <> ''",
            "SELECT d.team, u.n FROM (SELECT 'search' AS team) d JOIN (SELECT team, count(*) AS n FROM usage GROUP BY team) u ON u.team = d.team",
            "SELECT team, sum(n) OVER () FROM (SELECT team, count(*) AS n FROM usage GROUP BY team)",
            "SELECT count(*) FROM usage WHERE team LIKE 's%' OR (team IS NULL AND cache_hit IS NOT TRUE)",
            "SELECT team, count(*) FROM usage GROUP BY team ORDER BY 2 DESC, 1 LIMIT 2",
            "SELECT count(*) FROM usage UNION ALL SELECT count(cost) FROM usage",
        ],
        true,
    )
    .await;
}

#[tokio::test]
async fn times_of_whole_quarters() {
    check(
        &[
            "SELECT date_trunc('hour', event_time) AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_trunc('month', event_time) AS t, date_trunc('week', event_time) AS w, sum(cost) FROM usage GROUP BY 1, 2",
            "SELECT date_trunc('day', event_time AT TIME ZONE 'Asia/Kolkata') AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_trunc('day', event_time AT TIME ZONE 'Asia/Kathmandu') AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_trunc('hour', to_local_time(event_time AT TIME ZONE 'Asia/Kathmandu')) AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_trunc('day', event_time AT TIME ZONE 'America/New_York') AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_bin(INTERVAL '15 minutes', event_time) AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_bin(INTERVAL '1 day', event_time, TIMESTAMP '2026-01-01T05:45:00') AS t, count(*) FROM usage GROUP BY 1",
            "SELECT extract(hour FROM event_time) AS h, date_part('dow', event_time) AS d, count(*) FROM usage GROUP BY 1, 2",
            "SELECT CAST(event_time AS DATE) AS d, count(*) FROM usage GROUP BY 1",
            "SELECT count(*) FROM usage WHERE event_time >= '2026-11-01T18:15:00Z'",
            "SELECT count(*) FROM usage WHERE event_time < '2026-11-01T18:15:00Z'",
            "SELECT count(*) FROM usage WHERE TIMESTAMP '2026-11-01T18:15:00' > event_time",
            "SELECT count(*) FROM usage WHERE event_time <= '2026-11-01T18:14:59.999999Z'",
            "SELECT count(*) FROM usage WHERE event_time BETWEEN '2026-11-01' AND '2026-11-01T23:59:59.999999Z'",
            "SELECT count(*) FROM usage WHERE date_trunc('day', event_time) = '2026-11-01'",
            "SELECT count(*) FROM usage WHERE date_part('year', event_time) = 2026",
        ],
        true,
    )
    .await;
}

#[tokio::test]
async fn what_sums_cannot_say_is_read_from_rows() {
    check(
        &[
            "SELECT user_id, count(*) FROM usage GROUP BY user_id",
            "SELECT customer, sum(cost) FROM usage GROUP BY customer",
            "SELECT tags['plan'] AS plan, count(*) FROM usage GROUP BY 1",
            "SELECT count(DISTINCT user_id) FROM usage",
            "SELECT sum(DISTINCT cost) FROM usage",
            "SELECT team, count(*) FROM usage WHERE user_id IS NULL GROUP BY team",
            "SELECT count(*) FILTER (WHERE latency_ms > 10) FROM usage",
            "SELECT sum(CASE WHEN latency_ms > 10 THEN cost END) FROM usage",
            "SELECT sum(cost) FROM usage WHERE cost > 0",
            "SELECT min(cost), max(event_time) FROM usage",
            "SELECT avg(cost), avg(latency_ms) FROM usage",
            "SELECT sum(input_cost + output_cost) FROM usage",
            "SELECT sum(cost * 2) FROM usage",
            "SELECT count(list_cost) FROM usage",
            "SELECT sum(input_tokens * 1.0) FROM usage",
            "SELECT event_time, count(*) FROM usage GROUP BY 1",
            "SELECT date_trunc('minute', event_time) AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_bin(INTERVAL '10 minutes', event_time) AS t, count(*) FROM usage GROUP BY 1",
            "SELECT date_bin(INTERVAL '1 hour', event_time, TIMESTAMP '2026-01-01T00:07:00') AS t, count(*) FROM usage GROUP BY 1",
            "SELECT extract(minute FROM event_time) AS m, count(*) FROM usage GROUP BY 1",
            "SELECT date_trunc('day', event_time AT TIME ZONE '+05:07') AS t, count(*) FROM usage GROUP BY 1",
            "SELECT count(*) FROM usage WHERE event_time >= '2026-11-01T18:14:59.999999Z'",
            "SELECT count(*) FROM usage WHERE event_time > '2026-11-01T18:15:00Z'",
            "SELECT count(*) FROM usage WHERE event_time <= '2026-11-01T18:15:00Z'",
            "SELECT count(*) FROM usage WHERE event_time = '2026-11-01T01:00:00Z'",
            "SELECT u.team, count(*) FROM usage u JOIN (SELECT 'search' AS team) d ON d.team = u.team GROUP BY 1",
            "SELECT team, row_number() OVER (PARTITION BY team ORDER BY cost) FROM usage",
            "SELECT count(*) FROM (SELECT team FROM usage LIMIT 3)",
            "SELECT team, cost FROM usage",
            "SELECT count(*) FROM usage WHERE random() < 2",
            "SELECT string_agg(team, ',' ORDER BY team) FROM usage",
        ],
        false,
    )
    .await;
}

#[tokio::test]
async fn a_plan_says_what_it_reads() {
    let lake = example().await;
    let engine = lake.lake.engine();
    let snapshot = engine.snapshot().await.unwrap();
    let sums = plan(&engine, &snapshot, "SELECT team, sum(cost) FROM usage GROUP BY team").await;
    for said in [
        "SubqueryAlias: usage_by_rollup",
        "TableScan: usage_rollup (rollup of 2 files) projection=[team, cost]",
        "TableScan: usage (rows of 2 files) projection=[team, cost]",
        "rollup of 2 files, rows of 2 files",
    ] {
        assert!(sums.contains(said), "{said}: {sums}");
    }
    let rows = plan(&engine, &snapshot, "SELECT user_id, sum(cost) FROM usage GROUP BY user_id").await;
    assert!(rows.contains("TableScan: usage projection=[user_id, cost]") && !rows.contains("rollup"), "{rows}");
    // No statement can name it.
    for name in ["usage_by_rollup", "\"usage (rows of 2 files)\""] {
        let error = engine.query(&format!("SELECT * FROM {name}")).await.unwrap_err();
        assert_eq!(error.kind(), "sql", "{error}");
    }
}

#[tokio::test]
async fn without_sums_of_what_is_there_rows_are_read() {
    let lake = Tiered::new().await;
    let engine: Engine = lake.lake.engine();
    let rows = file(&[Event::PLAIN]);
    lake.hot.change(&[], &[File::new("a", DAYS[0], rows.clone()).tagged(tags::SEAL, "new")], &[]);
    lake.sum_up("old", DAYS[0], std::slice::from_ref(&rows)).await;
    let sql = "SELECT count(*) FROM usage";
    assert!(!compare(&engine, &engine.snapshot().await.unwrap(), sql).await);
    lake.sum_up("new", DAYS[0], &[rows]).await;
    let snapshot = engine.snapshot().await.unwrap();
    assert!(compare(&engine, &snapshot, sql).await);
    assert!(plan(&engine, &snapshot, sql).await.contains("rollup of 1 file, rows of 0 files"));
    assert_eq!(answer(&engine, &snapshot, "SELECT sum(calls) FROM usage_rollup").await.1, ["2"]);
}

/// A zone's offset of long ago is no whole quarter-hour.
#[tokio::test]
async fn days_of_long_ago_are_told_by_their_rows() {
    let lake = Tiered::new().await;
    let engine = lake.lake.engine();
    let rows = file(&[Event::PLAIN]);
    lake.hot.change(&[], &[File::new("a", "2014-12-31", rows.clone()).tagged(tags::SEAL, "s")], &[]);
    lake.sum_up("s", "2014-12-31", &[rows]).await;
    let snapshot = engine.snapshot().await.unwrap();
    let by_day =
        |zone: &str| format!("SELECT date_trunc('day', event_time{zone}) AS t, count(*) FROM usage GROUP BY 1");
    assert!(compare(&engine, &snapshot, &by_day("")).await);
    assert!(!compare(&engine, &snapshot, &by_day(" AT TIME ZONE 'Asia/Kolkata'")).await);
}
