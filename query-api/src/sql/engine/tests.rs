//! Answers are exact and fresh; every limit ends one query and no other.

use std::time::Duration;

use super::Engine;
use crate::testing::{Row, THREE, TestLake, json};

/// Counts for far longer than any test lasts.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000)";

async fn kind(engine: &Engine, sql: &str) -> &'static str {
    json(engine, sql).await.map_or_else(|error| error.kind(), |_| "ok")
}

/// Waits until no query holds a place any more.
async fn idle(engine: &Engine) {
    let all = u32::try_from(engine.limits.concurrency).unwrap();
    let permits = tokio::time::timeout(Duration::from_mins(1), engine.permits.acquire_many(all));
    drop(permits.await.expect("the query still runs").unwrap());
    let gone = async {
        while engine.executor.alive() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), gone).await.expect("a part of the query still runs");
}

#[tokio::test]
async fn money_is_exact() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for (sql, expected) in [
        ("SELECT sum(cost) AS cost FROM usage", r#"[{"cost":"0.300000000000003"}]"#),
        (
            "SELECT team, count(*) AS calls, sum(cost) AS cost FROM usage GROUP BY team ORDER BY team",
            "[{\"team\":\"billing\",\"calls\":1,\"cost\":\"0.000000000000003\"},\n\
             {\"team\":\"search\",\"calls\":2,\"cost\":\"0.3\"}]",
        ),
        ("SELECT sum(cost) * 1.1 AS cost FROM usage", r#"[{"cost":"0.3300000000000033"}]"#),
        ("SELECT sum(cost) = 0.300000000000003 AS same FROM usage", r#"[{"same":true}]"#),
        (
            "SELECT date, event_time, tags, quantities FROM usage WHERE event_id = 'a'",
            "[{\"date\":\"2026-11-01\",\"event_time\":\"2026-11-01T12:00:00Z\",\"tags\":{\"plan\":\"pro\"},\
             \"quantities\":{\"audio_second\":\"1.5\"}}]",
        ),
        (
            "SELECT date, calls, cost, unpriced_calls FROM spend_by_day ORDER BY date DESC LIMIT 1",
            r#"[{"date":"2026-11-02","calls":1,"cost":"0.000000000000003","unpriced_calls":0}]"#,
        ),
    ] {
        assert_eq!(json(&engine, sql).await.unwrap(), expected, "{sql}");
    }
}

/// The maximum of nothing is NULL, whatever stands in its place.
#[tokio::test]
async fn a_group_without_a_price_has_no_maximum() {
    let lake = TestLake::with(&[THREE[0], THREE[1], Row { cost: None, ..THREE[2] }]).await;
    let engine = lake.engine();
    for (sql, expected) in [
        (
            "SELECT team, max(cost / 3) AS v FROM usage GROUP BY team ORDER BY team",
            "[{\"team\":\"billing\",\"v\":null},\n{\"team\":\"search\",\"v\":\"0.06666666666666666666\"}]",
        ),
        (
            "SELECT team, cast(min(cost / 2) AS decimal(20, 6)) AS v FROM usage GROUP BY team ORDER BY team",
            "[{\"team\":\"billing\",\"v\":null},\n{\"team\":\"search\",\"v\":\"0.05\"}]",
        ),
        (
            "SELECT cast(max(cost / 2) FILTER (WHERE event_id = 'a') AS decimal(38, 20)) AS v FROM usage GROUP BY team ORDER BY team",
            "[{\"v\":null},\n{\"v\":\"0.05\"}]",
        ),
        (
            "SELECT to_timestamp(max(cost / 2 * 100)) IS NULL AS v FROM usage GROUP BY team ORDER BY team",
            "[{\"v\":true},\n{\"v\":false}]",
        ),
        (
            "SELECT array_agg(v ORDER BY team) AS v FROM (SELECT team, max(cost / 2) AS v FROM usage GROUP BY team) AS t",
            r#"[{"v":[null,"0.1"]}]"#,
        ),
        (
            "SELECT cast(array_agg(v ORDER BY team) AS decimal(38, 20)[]) AS v FROM (SELECT team, max(cost / 2) AS v FROM usage GROUP BY team) AS t",
            r#"[{"v":[null,"0.1"]}]"#,
        ),
        (
            "SELECT count(*) AS v FROM (SELECT team, max(cost / 2) AS v FROM usage GROUP BY team) AS t WHERE v > 0.01 AND round(v, 1) = 0.1 AND v::int = 0",
            r#"[{"v":1}]"#,
        ),
    ] {
        assert_eq!(
            json(&engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).trim_end(),
            expected,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn no_name_is_handed_out_twice() {
    let lake = TestLake::with(&THREE[..1]).await;
    let engine = lake.engine();
    let sql =
        "SELECT a.team, b.team, 1 AS team_1, avg(1.0) OVER () FROM usage a JOIN usage b ON a.event_id = b.event_id";
    assert_eq!(
        json(&engine, sql).await.unwrap(),
        r#"[{"team":"search","team_2":"search","team_1":1,"avg(Decimal128(1.0,2,1)) ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING":"1"}]"#
    );
}

/// A scan that reads no column keeps to it too.
#[tokio::test]
async fn a_limit_is_kept_whatever_is_read() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for (sql, expected) in [
        ("SELECT 1 AS v FROM usage LIMIT 1", r#"[{"v":1}]"#),
        ("SELECT 1 AS v FROM usage LIMIT 1 OFFSET 2", r#"[{"v":1}]"#),
        ("SELECT 1 AS v FROM usage OFFSET 3", "[]"),
        ("SELECT count(*) AS v FROM (SELECT 1 FROM usage LIMIT 2) AS t", r#"[{"v":2}]"#),
        ("SELECT count(date) AS v FROM (SELECT date FROM usage LIMIT 2) AS t", r#"[{"v":2}]"#),
        ("SELECT count(*) AS v FROM (SELECT date FROM usage WHERE date = '2026-11-01' LIMIT 1) AS t", r#"[{"v":1}]"#),
        ("SELECT count(*) AS v FROM (SELECT event_id FROM usage LIMIT 2) AS t", r#"[{"v":2}]"#),
        ("SELECT count(*) AS v FROM usage", r#"[{"v":3}]"#),
    ] {
        assert_eq!(json(&engine, sql).await.unwrap().trim_end(), expected, "{sql}");
    }
}

#[tokio::test]
async fn quotients_and_products_keep_their_digits() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for (expression, expected) in [
        ("1234 / 1000000.0", "0.001234"),
        ("1234 / 1e6", "0.001234"),
        ("1234 / 1.0E+6 * 2.5", "0.003085"),
        ("7 * 2.5e-6", "0.0000175"),
        ("sum(input_tokens / 1000000.0 * 2.5)", "0.00750000000000000000"),
        ("sum(input_tokens) / 1e6 * 0.25", "0.00075"),
        ("sum(input_tokens * 2.5 / 1000000)", "0.0075"),
        ("1 / 3.0", "0.33333333333333333333"),
        ("1 / 3.0 / 7.0", "0.04761904761904761905"),
        ("7 / 2", "3"),
        ("sum(cost) / count(*)", "0.100000000000001"),
        ("sum(cost) / sum(input_tokens) * 1000000", "100.000000000001"),
        ("count(*) / min(cost)", "1000000000000000"),
        ("max(cost) * max(cost) * max(cost)", "0.008"),
        ("sum(cost) * 100 / sum(sum(cost)) OVER ()", "100"),
        ("round(sum(cost) / 7.0, 4)", "0.0429"),
        ("'$' || round(sum(cost), 2)", "$0.30"),
        ("round(1234, -2)", "1200"),
        ("round(sum(cost))", "0"),
        ("max(cost) * 2 > (SELECT avg(cost) FROM usage)", "true"),
        ("arrow_typeof(cast(1.5 AS decimal(10, 2)) / 3 * 1.19)", "Decimal256(56, 22)"),
        ("sum(cost::decimal(10, 2) / 0.92 * 1.19) / sum(cost::decimal(10, 2) / 0.92 * 1.19)", "1"),
        ("avg(cast(input_tokens AS decimal(38, 0)))", "1000"),
        ("cost * 1.5 BETWEEN cost / 2 AND cost * 2", "true"),
        ("cost * 100 BETWEEN 1e-20 AND 1000", "true"),
        ("coalesce(sum(cost) * 12 - avg(cost), 0)", "3.500000000000035"),
        ("sum(cost) * 1.19 * 1.19 * 1.19 * 1.19 - avg(cost)", "0.50160176300000501601763"),
        ("avg(CASE WHEN event_id = 'a' THEN 1.0 ELSE 0.0 END)", "0.3333333333333333"),
        ("max(cost) * 1000 * 1000 * 1000 * 1000 * 1000 * 1000", "200000000000000000"),
        ("max(cost) / 3 > 0.06 AND 1 / 3.0 < cast(0.34 AS double)", "true"),
        ("coalesce(sum(cost) / 3, 0) + 1", "1.100000000000001"),
        ("CASE WHEN sum(cost) > 0 THEN sum(cost) / 3 ELSE 0 END", "0.100000000000001"),
    ] {
        let sql = format!("SELECT cast({expression} AS varchar) AS v FROM usage LIMIT 1");
        let value = json(&engine, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let value = value.trim_start_matches("[{\"v\":\"").trim_end_matches("\"}]").to_owned();
        let plain = |text: &str| {
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text.to_owned()
            }
        };
        assert_eq!(plain(&value), plain(expected), "{sql}");
    }
    // Handed out as what every client knows.
    let answer = engine.query("SELECT cost / 3.0 AS third, sum(cost) OVER () * 1.1 AS more FROM usage").await.unwrap();
    let kinds: Vec<_> = answer.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(kinds, ["Decimal128(38, 20)", "Decimal128(38, 16)"]);
    let nested = "SELECT array_agg(cost / 4 ORDER BY cost) AS l, named_struct('a', max(cost) / 4) AS s, map(['k'], [max(cost) / 4]) AS m FROM usage";
    assert_eq!(
        json(&engine, nested).await.unwrap(),
        r#"[{"l":["0.00000000000000075","0.025","0.05"],"s":{"a":"0.05"},"m":{"k":"0.05"}}]"#
    );
    let answer = engine.query(nested).await.unwrap();
    assert!(!answer.schema().to_string().contains("Decimal256"), "{}", answer.schema());
    let error = json(&engine, "SELECT 1e300").await.unwrap_err().to_string();
    assert_eq!(error, "1e300 has more than 60 digits; write CAST('1e300' AS DOUBLE)");
    assert_eq!(json(&engine, "SELECT CAST('1e300' AS DOUBLE) * 1e37 AS v").await.unwrap(), r#"[{"v":null}]"#);
}

#[tokio::test]
async fn what_is_looked_up_may_be_null_or_rounded() {
    let prod = |row: Row| Row { env: Some("prod"), ..row };
    let lake = TestLake::with(&[prod(THREE[0]), prod(THREE[1]), THREE[2]]).await;
    let engine = lake.engine();
    for (filter, expected) in [
        // Two of three have the tag.
        ("tags['env'] NOT IN (SELECT 'free')", 2),
        ("tags['env'] <> ALL (SELECT 'free')", 2),
        ("upper(tags['env']) NOT IN (SELECT 'FREE') AND cost > 0", 2),
        ("tags['env'] NOT IN (SELECT tags['env'] FROM usage WHERE event_id = 'c')", 0),
        ("price_notes[1] NOT IN (SELECT 'x')", 0),
        ("nullif(event_id, 'a') NOT IN (SELECT 'b')", 1),
        ("round(cost, 1) IN (SELECT 0.1)", 1),
        ("round(cost, 1) NOT IN (SELECT 0.1)", 2),
        ("round(cost, 1) = (SELECT 0.2)", 1),
        ("EXISTS (SELECT count(*) FROM usage AS u WHERE u.team = usage.team AND u.cost > 1000)", 3),
        ("NOT EXISTS (SELECT sum(u.cost) + 1 FROM usage AS u WHERE u.team = usage.team AND u.cost > 1000)", 0),
        ("EXISTS (SELECT count(*) FROM usage AS u WHERE u.team = usage.team AND u.cost > 1000 GROUP BY u.team)", 0),
    ] {
        let sql = format!("SELECT count(*) AS n FROM usage WHERE {filter}");
        let answer = json(&engine, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer, format!(r#"[{{"n":{expected}}}]"#), "{sql}");
    }
    let error = json(&engine, "SELECT count(*) FROM usage TABLESAMPLE BERNOULLI (10)").await.unwrap_err();
    assert!(error.to_string().starts_with("TABLESAMPLE is not known here"), "{error}");
}

#[tokio::test]
async fn a_cast_that_loses_digits_is_compared_as_what_it_gives() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for (sql, expected) in [
        ("SELECT count(*) AS v FROM usage WHERE cast(cost AS decimal(10, 1)) = 0", 1),
        ("SELECT count(*) AS v FROM usage WHERE cost::numeric(10, 1) BETWEEN 0 AND 0.1", 2),
        ("SELECT count(*) AS v FROM usage WHERE cast(cost AS int) = 0", 3),
        ("SELECT count(*) AS v FROM usage WHERE cast(cost * 5 AS int) = 1", 2),
        ("SELECT count(*) AS v FROM usage WHERE try_cast(cost AS int) IN (0, 7)", 3),
        ("SELECT count(*) AS v FROM usage WHERE cast(input_tokens / 300.0 AS int) = 3", 3),
        ("SELECT count(*) AS v FROM usage WHERE cast(cast(cost AS double) AS decimal(10, 1)) = 0.1", 1),
        (
            "SELECT count(*) AS v FROM (SELECT team FROM usage GROUP BY team HAVING cast(sum(cost) AS decimal(10, 0)) = 0) AS t",
            2,
        ),
        ("SELECT count(DISTINCT cast(cost AS decimal(10, 0))) AS v FROM usage", 1),
        ("SELECT sum(CASE WHEN cast(cost AS decimal(10, 1)) = 0.2 THEN 7 END) AS v FROM usage", 7),
        ("SELECT cast(2.5 AS int) AS v", 3),
        ("SELECT cast(cast(2.6 AS double) AS int) AS v", 3),
        ("SELECT sum(cast(cast(cost * 9 AS double) AS int)) AS v FROM usage", 3),
        ("SELECT max(cast(cost * 10 AS int)) AS v FROM usage WHERE event_time::date = '2026-11-01'", 2),
        (
            "SELECT count(*) AS v FROM usage WHERE cost::int = 0 AND cost < (SELECT max(cost::decimal(10, 1)) FROM usage)",
            2,
        ),
    ] {
        let answer = json(&engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer, format!(r#"[{{"v":{expected}}}]"#), "{sql}");
    }
    let grouped = "SELECT cast(cost AS decimal(10, 1)) AS c, count(*) AS n FROM usage GROUP BY cast(cost AS decimal(10, 1)) ORDER BY cast(cost AS decimal(10, 1)) DESC";
    assert_eq!(
        json(&engine, grouped).await.unwrap(),
        "[{\"c\":\"0.2\",\"n\":1},\n{\"c\":\"0.1\",\"n\":1},\n{\"c\":\"0\",\"n\":1}]"
    );
    for sql in ["SELECT 2 ^ 3", "SELECT count(*) FROM usage WHERE model SIMILAR TO 'gpt%'"] {
        assert_eq!(kind(&engine, sql).await, "sql", "{sql}");
    }
}

/// The parts of a filter are computed in any order.
#[tokio::test]
async fn what_is_divided_by_zero_in_a_filter_is_null() {
    let lake = TestLake::with(&[Row { cost: None, ..THREE[0] }, THREE[1], THREE[2]]).await;
    let engine = lake.engine();
    for (filter, expected) in [
        ("input_tokens <> 1000 AND cost / (input_tokens - 1000) > 0", 0),
        ("CASE WHEN input_tokens <> 1000 THEN 1 / (input_tokens - 1000) > 5 ELSE true END", 3),
        ("cost / (input_tokens - 1000) > 0", 0),
        ("input_tokens % (input_tokens - 1000) IS NULL", 3),
        ("cost / 2 > 0", 2),
    ] {
        let sql = format!("SELECT count(*) AS n FROM usage WHERE {filter}");
        assert_eq!(json(&engine, &sql).await.unwrap(), format!(r#"[{{"n":{expected}}}]"#), "{sql}");
    }
    for (sql, expected) in [
        (
            "SELECT team, avg(cost / (input_tokens - 1000)) FILTER (WHERE input_tokens <> 1000) FROM usage GROUP BY team ORDER BY team LIMIT 1",
            r#"[{"team":"billing","avg(usage.cost / usage.input_tokens - Int64(1000)) FILTER (WHERE usage.input_tokens != Int64(1000))":null}]"#,
        ),
        (
            "SELECT sum(1000 / (input_tokens - 999)) FILTER (WHERE event_id <> 'a') + 1 AS v, count(*) AS n FROM usage",
            r#"[{"v":2001,"n":3}]"#,
        ),
    ] {
        assert_eq!(json(&engine, sql).await.unwrap(), expected, "{sql}");
    }
    let error = json(&engine, "SELECT avg(cost / (input_tokens - 1000)) FROM usage").await.unwrap_err();
    assert_eq!(error.to_string(), "the query failed: Divide by zero error");
    let error = json(&engine, "SELECT count(*) FROM usage WHERE cast(team AS int) = 1").await.unwrap_err();
    assert_eq!(error.kind(), "execution", "{error}");
    assert!(error.to_string().starts_with("the query failed: Cannot cast string"), "{error}");
}

/// One layer is one step, however alike they read.
#[tokio::test]
async fn layers_that_read_alike_are_all_computed() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    let nested = |layer: &str, from: &str, layers: usize| {
        (0..layers).fold(from.to_owned(), |inner, _| format!("SELECT {layer} FROM ({inner})"))
    };
    let rows = "SELECT cost AS w, team FROM usage WHERE event_id = 'a'";
    let three = "SELECT 3 AS w";
    for (sql, expected) in [
        (nested("w + w AS w", three, 2), r#"[{"w":12}]"#),
        (nested("w + 1 AS w", three, 6), r#"[{"w":9}]"#),
        (nested("w + w AS w", "SELECT * FROM (VALUES (3)) AS v (w)", 3), r#"[{"w":24}]"#),
        (nested("w * 2 AS w, team", rows, 3), r#"[{"w":"0.8","team":"search"}]"#),
        (nested("w * 2 AS w, team || '!' AS team", rows, 2), r#"[{"w":"0.4","team":"search!!"}]"#),
        (nested("team AS w, w AS team", rows, 2), r#"[{"w":"0.1","team":"search"}]"#),
        (
            nested("w + 1 AS w, (SELECT max(w) FROM (SELECT 1 AS w)) AS one", "SELECT 3 AS w, 0 AS one", 2),
            r#"[{"w":5,"one":1}]"#,
        ),
        (nested("sum(w) + 1 AS w", three, 3), r#"[{"w":6}]"#),
        (nested("w + 1 AS w", "SELECT w FROM (SELECT 3 AS w) WHERE w > 0", 2) + " WHERE w > 3", r#"[{"w":5}]"#),
    ] {
        assert_eq!(json(&engine, &sql).await.unwrap(), expected, "{sql}");
    }
}

/// A filter takes away the rows that it is about, wherever the engine would rather apply it.
#[tokio::test]
async fn a_filter_is_applied_where_it_stands() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    let kinds = "SELECT 'all' AS kind, count(*) AS n FROM usage UNION ALL SELECT 'one', count(*) FROM usage WHERE team = 'billing'";
    let known = "SELECT CAST(NULL AS varchar) AS x, cost FROM usage UNION ALL SELECT team, cost FROM usage";
    for (sql, expected) in [
        // One that reads no column, above a sum over all rows.
        (format!("SELECT kind, n FROM ({kinds}) WHERE kind = 'one'"), r#"[{"kind":"one","n":1}]"#),
        ("SELECT count(*) AS n FROM (SELECT 1 AS t FROM (SELECT count(*) AS c FROM usage)) WHERE t > 5".into(), r#"[{"n":0}]"#),
        ("SELECT count(*) AS n FROM usage HAVING (SELECT count(*) FROM usage) > 1000".into(), "[]"),
        ("SELECT count(*) AS n FROM (SELECT count(*) AS c FROM usage) WHERE random() > 2".into(), r#"[{"n":0}]"#),
        ("SELECT count(*) AS n FROM (SELECT team, count(*) FROM usage GROUP BY ROLLUP (team)) WHERE 1 > (SELECT 2)".into(), r#"[{"n":0}]"#),
        ("SELECT team, count(*) AS n FROM usage GROUP BY team HAVING team = 'search' AND 1 = 1".into(), r#"[{"team":"search","n":2}]"#),
        (
            "SELECT 0 AS w FROM (SELECT t, w + 0 AS w FROM (VALUES (3, 3), (1, 1)) AS x (t, w)) GROUP BY t HAVING sum(w) > 2".into(),
            r#"[{"w":0}]"#,
        ),
        ("SELECT count(*) AS n FROM usage WHERE team = ANY (SELECT team FROM usage WHERE event_id = 'a')".into(), r#"[{"n":2}]"#),
        ("SELECT count(*) AS n FROM usage WHERE team <> ALL (SELECT team FROM usage WHERE event_id = 'a')".into(), r#"[{"n":1}]"#),
        ("SELECT count(*) AS n FROM usage WHERE team IN (SELECT team FROM usage WHERE event_id = 'a')".into(), r#"[{"n":2}]"#),
        ("SELECT count(*) AS n FROM usage u WHERE NOT EXISTS (SELECT 1 FROM usage o WHERE o.team = u.team AND o.event_id = 'a')".into(), r#"[{"n":1}]"#),
        ("SELECT count(*) AS n FROM (VALUES (1), (1), (2), (NULL)) AS a (x) WHERE x NOT IN (SELECT y FROM (VALUES (2), (2)) AS b (y))".into(), r#"[{"n":2}]"#),
        ("SELECT count(*) AS n FROM (VALUES (1), (2)) AS a (x) WHERE x NOT IN (SELECT y FROM (VALUES (2), (NULL)) AS b (y))".into(), r#"[{"n":0}]"#),
        ("SELECT count(*) AS n FROM (SELECT x FROM (VALUES (1), (1), (NULL)) AS a (x) INTERSECT SELECT y FROM (VALUES (1), (NULL), (NULL)) AS b (y))".into(), r#"[{"n":2}]"#),
        ("SELECT count(*) AS n FROM usage WHERE team IN (SELECT team FROM usage WHERE event_id = 'a') OR event_id = 'c'".into(), r#"[{"n":3}]"#),
        ("SELECT max(cost * 2) AS n, max(event_time) IS NOT NULL AS later FROM usage WHERE team = 'search'".into(), r#"[{"n":"0.4","later":true}]"#),
        (
            "SELECT count(*) AS n FROM (SELECT output_tokens + cache_read_tokens AS a, output_tokens AS b, event_id FROM usage ORDER BY output_tokens + cache_read_tokens DESC NULLS LAST, output_tokens DESC NULLS FIRST LIMIT 2)".into(),
            r#"[{"n":2}]"#,
        ),
        (
            "SELECT 0 AS w FROM (SELECT 1 AS t) JOIN (SELECT 1 AS t, 5 AS w) USING (t) GROUP BY t HAVING sum(w) > 2".into(),
            r#"[{"w":0}]"#,
        ),
        // One on the column that files are sorted by, which is not known for any row.
        ("SELECT count(*) AS n FROM usage WHERE date IN (DATE '2026-11-01', CAST(NULL AS date))".into(), r#"[{"n":2}]"#),
        ("SELECT count(*) AS n FROM usage WHERE date NOT IN (DATE '2026-11-01', NULL)".into(), r#"[{"n":0}]"#),
        ("SELECT count(*) AS n FROM usage WHERE date BETWEEN DATE '2026-11-01' AND NULL".into(), r#"[{"n":0}]"#),
        ("SELECT count(*) AS n FROM usage WHERE (date > DATE '2026-11-01') = (date IS DISTINCT FROM DATE '2026-11-02')".into(), r#"[{"n":0}]"#),
        (format!("SELECT x, count(*) AS n FROM ({known}) WHERE x = 'search' GROUP BY x"), r#"[{"x":"search","n":2}]"#),
        ("SELECT sum(cost) AS n FROM (SELECT CAST(NULL AS bigint) AS x, cost FROM usage) WHERE x > 3".into(), r#"[{"n":null}]"#),
        // What is beside it is no part of what is compared.
        ("SELECT count(*) AS n FROM usage WHERE cache_hit IS DISTINCT FROM true AND team = 'billing'".into(), r#"[{"n":1}]"#),
        ("SELECT count(*) AS n FROM usage WHERE cache_hit IS NOT DISTINCT FROM NULL AND team = 'billing' OR team = 'search'".into(), r#"[{"n":3}]"#),
        ("SELECT 1 IS DISTINCT FROM 1 + 1 AS a, NOT 1 IS DISTINCT FROM 1 AS b, (NULL IS DISTINCT FROM 1) IS DISTINCT FROM true AS c".into(), r#"[{"a":true,"b":true,"c":false}]"#),
    ] {
        assert_eq!(json(&engine, &sql).await.unwrap(), expected, "{sql}");
    }
    let chained = json(&engine, "SELECT 1 IS DISTINCT FROM 2 IS DISTINCT FROM true").await.unwrap_err().to_string();
    assert!(chained.contains("put the first in parentheses"), "{chained}");
}

#[tokio::test]
async fn every_query_sees_the_last_commit() {
    let lake = TestLake::empty();
    let engine = lake.engine();
    let error = json(&engine, "SELECT 1 FROM usage").await.unwrap_err().to_string();
    assert!(error.starts_with("there is no table usage at file://"), "{error}");
    assert!(error.contains("spendstream pipeline"), "{error}");
    for commits in 1..=5 {
        lake.append(&THREE).await;
        let answer = engine.query("SELECT 1").await.unwrap();
        assert_eq!(answer.version(), commits - 1);
        let expected = format!(r#"[{{"n":{}}}]"#, 3 * commits);
        assert_eq!(json(&engine, "SELECT count(*) AS n FROM usage").await.unwrap(), expected);
        let status = engine.status().await.unwrap();
        assert_eq!((status.version, status.rows), (commits - 1, Some(3 * commits)));
    }
}

#[tokio::test]
async fn a_lake_that_was_made_anew_is_found() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    lake.append(&THREE).await;
    assert_eq!(json(&engine, "SELECT count(*) AS n FROM usage").await.unwrap(), r#"[{"n":6}]"#);
    std::fs::remove_dir_all(lake.folder.path().join("usage")).unwrap();
    assert_eq!(kind(&engine, "SELECT count(*) FROM usage").await, "no_lake");
    lake.append(&THREE).await;
    assert_eq!(json(&engine, "SELECT count(*) AS n FROM usage").await.unwrap(), r#"[{"n":3}]"#);
}

#[tokio::test]
async fn files_of_other_days_are_not_read() {
    let lake = TestLake::with(&THREE).await;
    // With the other day's files gone, only a query that has no need of them can be answered.
    std::fs::remove_dir_all(lake.folder.path().join("usage/date=2026-11-02")).unwrap();
    let engine = lake.engine();
    for sql in [
        "SELECT count(*) AS n FROM usage WHERE date = '2026-11-01'",
        "SELECT count(*) AS n FROM usage WHERE date < DATE '2026-11-02' AND team = 'search'",
        "SELECT count(*) AS n FROM usage WHERE event_time < '2026-11-02T00:00:00Z' AND event_id <> 'x'",
        "SELECT sum(calls) AS n FROM spend_by_day WHERE date = '2026-11-01'",
    ] {
        assert_eq!(json(&engine, sql).await.unwrap(), r#"[{"n":2}]"#, "{sql}");
    }
    assert_eq!(kind(&engine, "SELECT max(event_id) FROM usage").await, "lake");
}

#[tokio::test]
async fn an_answer_of_too_many_rows_is_an_error() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.max_rows = 2;
    let engine = lake.engine();
    let error = json(&engine, "SELECT * FROM usage").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer has more than query.max_rows = 2 rows; aggregate, add a LIMIT, or raise query.max_rows"
    );
    assert_eq!(kind(&engine, "SELECT * FROM usage LIMIT 2").await, "ok");
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_fails_alone() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.memory_bytes = 8 << 20;
    let engine = lake.engine();
    let greedy =
        "SELECT count(*) FROM (SELECT array_agg(value) AS a FROM generate_series(1, 20000000)) WHERE a IS NULL";
    let (failed, answered) = tokio::join!(json(&engine, greedy), json(&engine, "SELECT sum(cost) AS c FROM usage"));
    let error = failed.unwrap_err();
    assert_eq!(error.kind(), "memory_limit", "{error}");
    assert!(error.to_string().contains("query.memory_bytes = 8388608"), "{error}");
    assert_eq!(answered.unwrap(), r#"[{"c":"0.300000000000003"}]"#);
    idle(&engine).await;
    assert_eq!(kind(&engine, "SELECT team, sum(cost) FROM usage GROUP BY team").await, "ok");
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.timeout = Duration::from_millis(300);
    let engine = lake.engine();
    let error = json(&engine, ENDLESS).await.unwrap_err();
    assert_eq!(error.kind(), "timeout");
    assert!(error.to_string().contains("query.timeout = 300ms"), "{error}");
    idle(&engine).await;
}

#[tokio::test]
async fn a_query_whose_reader_left_is_stopped() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    let answer = engine.query(ENDLESS).await.unwrap();
    assert_eq!(engine.active(), 1);
    drop(answer);
    idle(&engine).await;
    // A reader that leaves while the query is planned, too.
    drop(tokio::time::timeout(Duration::ZERO, engine.query(ENDLESS)).await);
    idle(&engine).await;
}

#[tokio::test]
async fn no_more_queries_run_than_are_allowed() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.concurrency = 1;
    lake.config.query.timeout = Duration::from_millis(500);
    let engine = lake.engine();
    let patient = engine.permits.clone().acquire_owned().await.unwrap();
    assert_eq!(kind(&engine, "SELECT 1").await, "busy");
    drop(patient);
    assert_eq!(kind(&engine, "SELECT 1").await, "ok");
}

#[tokio::test]
async fn a_statement_that_is_too_long_is_not_looked_at() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.max_statement_bytes = 16;
    let engine = lake.engine();
    assert_eq!(kind(&engine, "SELECT 1234567890").await, "statement_too_large");
    assert_eq!(kind(&engine, "SELECT 1").await, "ok");
}

#[tokio::test]
async fn a_subquery_that_cannot_stand_there_says_where_it_may() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for (sql, what) in [
        ("SELECT team IN (SELECT 'search') AS a FROM usage", "IN (SELECT …) cannot stand here"),
        ("SELECT count(*) FILTER (WHERE team IN (SELECT 'search')) FROM usage", "IN (SELECT …) cannot stand here"),
        ("SELECT CASE WHEN EXISTS (SELECT 1 FROM usage) THEN 1 END", "EXISTS (SELECT …) cannot stand here"),
    ] {
        let error = json(&engine, sql).await.unwrap_err();
        assert_eq!(error.kind(), "sql", "{sql}: {error}");
        assert!(error.to_string().starts_with(what) && error.to_string().contains("LEFT JOIN"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_failing_value_is_named() {
    let lake = TestLake::with(&[Row { cost: None, ..THREE[0] }]).await;
    let engine = lake.engine();
    let error = json(&engine, "SELECT input_tokens / (input_tokens - 1000) FROM usage").await.unwrap_err();
    assert_eq!(error.to_string(), "the query failed: Divide by zero error");
    assert_eq!(json(&engine, "SELECT sum(cost) AS c FROM usage").await.unwrap(), r#"[{"c":null}]"#);
}

#[tokio::test]
async fn whatever_an_operator_does_it_is_stopped_and_starves_nobody() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for sql in [
        // Pairs without a key, of which none, or nothing but their number, is wanted.
        "SELECT count(*) FROM a, b WHERE a.value + b.value = 7",
        "SELECT count(*) FROM a LEFT JOIN b ON a.value + b.value = 7",
        "SELECT count(*) FROM a FULL JOIN b ON a.value > b.value",
        "SELECT count(*) FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.value + b.value = 7)",
        "SELECT count(*) FROM a, b",
        // Keys that all rows share.
        "SELECT count(*) FROM a JOIN b ON a.value % 2 = b.value % 2 AND a.value + b.value = 7",
        "SELECT count(*) FROM a WHERE a.value % 2 IN (SELECT b.value % 2 FROM b)",
        "SELECT count(*) FROM a WHERE a.value % 2 NOT IN (SELECT b.value % 2 FROM b)",
        // Rows without end.
        "SELECT count(*) FROM (WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i FROM n) SELECT * FROM n)",
        ENDLESS,
    ] {
        let series = "generate_series(1, 1000000)";
        let sql = format!("WITH a AS (SELECT * FROM {series}), b AS (SELECT * FROM {series}) {sql}");
        let answer = engine.query(&sql).await.unwrap();
        for _ in 0..3 {
            let plain = json(&engine, "SELECT sum(cost) AS cost FROM usage").await.unwrap();
            assert_eq!(plain, r#"[{"cost":"0.300000000000003"}]"#, "{sql}");
        }
        assert_eq!(engine.status().await.unwrap().rows, Some(3));
        drop(answer);
        idle(&engine).await;
    }
}

#[tokio::test]
async fn a_join_that_meets_every_pair_is_stopped_within_a_batch() {
    let mut lake = TestLake::with(&THREE).await;
    // Long enough for all of them to be in the midst of their pairs: a batch has minutes of them.
    lake.config.query.timeout = Duration::from_secs(4);
    let engine = lake.engine();
    let ask = async |join: &str| {
        let series = "generate_series(1, 3000000)";
        let sql =
            format!("WITH a AS (SELECT * FROM {series}), b AS (SELECT * FROM {series}) SELECT count(*) FROM a {join}");
        assert_eq!(kind(&engine, &sql).await, "timeout", "{sql}");
    };
    tokio::join!(
        ask("JOIN b ON a.value + b.value = -7"),
        ask("JOIN b ON a.value % 2 = b.value % 2 AND a.value + b.value = -7"),
        ask("WHERE EXISTS (SELECT 1 FROM b WHERE a.value % 2 = b.value % 2 AND a.value + b.value = -7)"),
    );
    idle(&engine).await;
    assert_eq!(kind(&engine, "SELECT sum(cost) FROM usage").await, "ok");
}

#[tokio::test]
async fn joins_answer_as_before_they_could_be_stopped() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for (sql, expected) in [
        ("SELECT count(*) AS n FROM a, b WHERE a.value + b.value = 7", 6),
        ("SELECT count(*) AS n FROM a LEFT JOIN b ON a.value + b.value = 7", 10),
        ("SELECT count(*) AS n FROM a LEFT JOIN b ON true", 100),
        ("SELECT count(*) AS n FROM a FULL JOIN b ON a.value + b.value = 7", 14),
        ("SELECT count(*) AS n FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.value + b.value = 7)", 6),
        ("SELECT count(*) AS n FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE a.value + b.value = 7)", 4),
        ("SELECT count(*) AS n FROM a WHERE EXISTS (SELECT 1 FROM b)", 10),
        ("SELECT count(*) AS n FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.value > 10)", 10),
        ("SELECT count(*) AS n FROM a WHERE a.value IN (SELECT b.value * 2 FROM b)", 5),
        ("SELECT count(*) AS n FROM a WHERE a.value NOT IN (SELECT b.value * 2 FROM b)", 5),
        ("SELECT count(*) AS n FROM a WHERE a.value NOT IN (SELECT nullif(b.value, 1) FROM b)", 0),
        (
            "SELECT count(*) AS n FROM a WHERE a.value > 9 OR a.value IN (SELECT b.value * 2 FROM b WHERE b.value < 3)",
            3,
        ),
        ("SELECT count(*) AS n FROM a JOIN b ON a.value % 2 = b.value % 2 AND a.value < b.value", 20),
    ] {
        let series = "generate_series(1, 10)";
        let sql = format!("WITH a AS (SELECT * FROM {series}), b AS (SELECT * FROM {series}) {sql}");
        assert_eq!(json(&engine, &sql).await.unwrap(), format!(r#"[{{"n":{expected}}}]"#), "{sql}");
    }
}

/// A list or a text beside every row would be gigabytes for a batch; it is made for a few rows at a time.
#[tokio::test]
async fn much_beside_every_row_is_made_in_portions() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.memory_bytes = 64 << 20;
    let engine = lake.engine();
    let long = "x".repeat(100_000);
    let rows = "generate_series(1, 5000)";
    for (sql, expected) in [
        (format!("SELECT count(*) AS n FROM (SELECT unnest(range(0, 10000)) AS a, value FROM {rows})"), "50000000"),
        (format!("SELECT max(length('{long}' || CAST(value AS varchar))) AS n FROM {rows}"), "100004"),
        (format!("SELECT count(*) AS n FROM {rows} WHERE '{long}' || CAST(value AS varchar) LIKE '%x7'"), "1"),
        (
            format!(
                "SELECT max(length(CASE WHEN value % 2 = 0 THEN '{long}' ELSE CAST(value AS varchar) END)) AS n FROM {rows}"
            ),
            "100000",
        ),
        (
            format!(
                "SELECT sum(length(s || s || s)) AS n FROM (SELECT repeat('ab', 1000) || CAST(value AS varchar) AS s FROM {rows})"
            ),
            "30056679",
        ),
    ] {
        let start: String = sql.chars().take(60).collect();
        assert_eq!(json(&engine, &sql).await.unwrap(), format!("[{{\"n\":{expected}}}]"), "{start}");
    }
    // Also where the scan itself looks at it.
    let scanned =
        format!("SELECT count(*) AS n FROM usage WHERE '{long}' || team || repeat('y', 300000) LIKE '%xsearchy%'");
    assert_eq!(json(&engine, &scanned).await.unwrap(), "[{\"n\":2}]");
    // A single row that doubles and doubles is too much.
    let doubled = (0..20).fold(format!("SELECT '{long}' || team AS s FROM usage"), |inner, _| {
        format!("SELECT s || s AS s FROM ({inner})")
    });
    let error = json(&engine, &format!("SELECT max(length(s)) AS n FROM ({doubled})")).await.unwrap_err();
    assert_eq!(error.kind(), "memory_limit", "{error}");
}

#[tokio::test]
async fn what_makes_much_of_little_is_bounded() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.memory_bytes = 64 << 20;
    let engine = lake.engine();
    for sql in [
        "SELECT repeat('x', 2000000000)",
        "SELECT length(repeat(team, 2000000000)) FROM usage",
        "SELECT lpad('x', 2000000000)",
        "SELECT rpad(team, 2000000000, 'yz') FROM usage",
        "SELECT array_repeat(1, 2000000000)",
        "SELECT array_repeat(array_repeat(1, 10000), 10000)",
        "SELECT array_resize([1], 2000000000, 0)",
        "SELECT length(array_to_string(range(0, 20000), repeat('x', 4000)))",
        "SELECT length(array_to_string(array_replace_all(array_repeat('a', 20000), 'a', repeat('x', 4000)), ''))",
        "SELECT range(1, 1000000000000)",
        "SELECT generate_series(1000000000000)",
        "SELECT generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2026-01-01', INTERVAL '1 microsecond')",
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
        "SELECT regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000000), 'g')",
        "WITH a AS (SELECT repeat('x', 5000000) AS s) SELECT length(concat(s, s)) FROM a",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT n.i FROM n, (VALUES (1), (2)) AS two) SELECT count(*) FROM n",
    ] {
        let error = json(&engine, sql).await.unwrap_err();
        assert_eq!(error.kind(), "memory_limit", "{sql}: {error}");
        assert!(error.to_string().contains("query.memory_bytes = 67108864"), "{error}");
    }
    for (sql, expected) in [
        ("SELECT repeat('-', 5) AS x", r#"[{"x":"-----"}]"#),
        ("SELECT lpad(team, 8, '.') AS x FROM usage WHERE event_id = 'a'", r#"[{"x":"..search"}]"#),
        ("SELECT replace('a-b', '-', '--') AS x", r#"[{"x":"a--b"}]"#),
        ("SELECT concat(team, '/', event_id) AS x FROM usage WHERE event_id = 'a'", r#"[{"x":"search/a"}]"#),
        ("SELECT cardinality(range(10, 0, -1)) AS x", r#"[{"x":10}]"#),
        ("SELECT array_length(array_repeat('x', 3)) AS x", r#"[{"x":3}]"#),
        (
            "SELECT count(*) AS x FROM (SELECT unnest(generate_series(DATE '2020-01-01', DATE '2026-01-01', INTERVAL '1 day')))",
            r#"[{"x":2193}]"#,
        ),
    ] {
        assert_eq!(json(&engine, sql).await.unwrap(), expected, "{sql}");
    }
}
