//! What may run and what may not, evasions included: through the whole engine, so that parser, planner and guard are judged together.

use std::time::Duration;

use crate::error::QueryError;
use crate::testing::{THREE, TestLake, json};

/// Runs each statement; `expected` is `ok` or the kind of the error.
async fn check(expected: &str, statements: &[&str]) {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for sql in statements {
        let outcome = json(&engine, sql).await;
        let kind = outcome.as_ref().map_or_else(QueryError::kind, |_| "ok");
        assert_eq!(kind, expected, "{sql}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
    // Whatever was tried, the table is what it was.
    assert_eq!(json(&engine, "SELECT count(*) AS n FROM usage").await.unwrap(), r#"[{"n":3}]"#);
    assert_eq!(engine.status().await.unwrap().version, 0);
}

#[tokio::test]
async fn statements_that_read_run() {
    check(
        "ok",
        &[
            "SELECT 1",
            "select * from usage;",
            "WITH x AS (SELECT team FROM usage) SELECT * FROM x",
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
            "VALUES (1, 'a'), (2, 'b')",
            "EXPLAIN SELECT * FROM usage",
            "EXPLAIN ANALYZE SELECT count(*) FROM usage",
            "SHOW TABLES",
            "SHOW COLUMNS FROM usage",
            "DESCRIBE usage",
            "SELECT table_name FROM information_schema.tables",
            "SELECT * FROM spend",
            "SELECT * FROM spend_by_day",
            "SELECT tags['plan'], event_time > now() - INTERVAL '1 day' FROM usage",
            "SELECT * FROM generate_series(1, 3)",
            "SELECT count(*) FROM usage WHERE team IN (SELECT team FROM usage) OR (cost > 1 AND team = ANY (SELECT model_id FROM usage))",
            "SELECT count(*) FROM usage WHERE team NOT IN (SELECT team FROM usage) AND (cost > 1 OR NOT EXISTS (SELECT 1))",
            "SELECT 'INSERT INTO usage' AS text -- DROP TABLE usage",
        ],
    )
    .await;
}

#[tokio::test]
async fn statements_that_do_more_are_refused() {
    check(
        "refused",
        &[
            "INSERT INTO usage SELECT * FROM usage",
            "DELETE FROM usage",
            "UPDATE usage SET team = 'x'",
            "TRUNCATE TABLE usage",
            "MERGE INTO usage USING spend ON usage.event_id = spend.event_id WHEN MATCHED THEN DELETE",
            "WITH x AS (SELECT * FROM usage) INSERT INTO usage SELECT * FROM x",
            "WITH x AS (DELETE FROM usage RETURNING *) SELECT * FROM x",
            "EXPLAIN INSERT INTO usage SELECT * FROM usage",
            "EXPLAIN ANALYZE INSERT INTO usage SELECT * FROM usage",
            "EXPLAIN ANALYZE COPY usage TO '/tmp/x.csv'",
            "COPY usage TO '/tmp/x.csv' STORED AS CSV",
            "COPY (SELECT 1) TO 's3://bucket/x.parquet'",
            "CREATE TABLE x AS SELECT * FROM usage",
            "SELECT * INTO x FROM usage",
            "EXPLAIN ANALYZE SELECT * INTO x FROM usage",
            "CREATE VIEW x AS SELECT * FROM usage",
            "CREATE OR REPLACE VIEW usage AS SELECT 1",
            "DROP TABLE usage",
            "DROP VIEW spend",
            "ALTER TABLE usage RENAME TO x",
            "CREATE SCHEMA x",
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE FUNCTION f(double) RETURNS double RETURN $1",
            "CREATE INDEX i ON usage(team)",
            "SET datafusion.execution.batch_size = 1",
            "SET TIME ZONE = 'UTC'",
            "RESET datafusion.execution.batch_size",
            "PREPARE p AS DELETE FROM usage",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "DEALLOCATE p",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "GRANT SELECT ON usage TO PUBLIC",
            "VACUUM usage",
            "ANALYZE TABLE usage",
            "USE x",
            "CALL f()",
            "KILL 1",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_single_valid_statement_is_an_error_of_its_text() {
    check(
        "sql",
        &[
            "",
            ";",
            "-- nothing",
            "SELECT 1; SELECT 2",
            "SELECT 1; DROP TABLE usage",
            "SELECT * FROM nowhere",
            "SELECT nothing FROM usage",
            "SELEC 1",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM \"/etc/passwd\"",
            "SELECT * FROM 'file:///etc/passwd.csv'",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM read_json('/tmp/x.json')",
            "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
            "SELECT * FROM \"s3://bucket/x.parquet\"",
            "SELECT * FROM 'http://169.254.169.254/latest/meta-data'",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM delta_scan('/tmp/lake')",
            "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
            "SELECT pg_read_file('/etc/passwd')",
            // What the query engine would answer wrongly.
            "SELECT count(*) FROM usage WHERE team NOT IN (SELECT model_id FROM usage) OR team IS NULL",
            "SELECT count(*) FROM usage WHERE NOT (team IN (SELECT model_id FROM usage) AND latency_ms > 10)",
            "SELECT count(*) FROM usage WHERE (team IN (SELECT model_id FROM usage)) IS NULL",
            "SELECT count(*) FROM usage WHERE 't99' NOT IN (SELECT team FROM usage)",
            "SELECT count(*) FROM usage WHERE (SELECT max(team) FROM usage) NOT IN (SELECT team FROM usage)",
            "SELECT count(*) FROM usage WHERE cast(null AS varchar) <> ALL (SELECT team FROM usage)",
            "SELECT count(*) FROM usage WHERE coalesce(team = ANY (SELECT model_id FROM usage), true)",
            "SELECT count(*) FROM usage WHERE CASE WHEN team <> ALL (SELECT team FROM usage) THEN true ELSE false END",
            "SELECT count(*) FROM (SELECT 1 FROM usage HAVING 1 = 1 OR NOT 1 IN (SELECT 2)) AS x",
            "SELECT count(*) FROM usage WHERE cost >= ALL (SELECT cost FROM usage)",
            "SELECT count(*) FROM usage WHERE team <> ANY (SELECT team FROM usage)",
            "SELECT team FROM usage INTERSECT ALL SELECT team FROM usage",
            "SELECT * FROM (SELECT 1 UNION ALL (SELECT team FROM usage EXCEPT ALL SELECT 'x')) AS x",
        ],
    )
    .await;
}

#[tokio::test]
async fn monstrous_statements_are_turned_away_and_not_fatal() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    let long = |part: &str, times: usize| format!("SELECT {}1", part.repeat(times));
    for sql in [
        long("1+", 40_000),
        long("1+", 240_000),
        long("(", 100_000),
        long("-", 50_000),
        long("NOT ", 50_000),
        format!("SELECT 1{}", "::int".repeat(45_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(10_000)),
        format!("SELECT 1 FROM usage{}", ", usage".repeat(10_000)),
        format!("SELECT {} 1", "CASE WHEN true THEN ".repeat(10_000)),
        format!("SELECT * FROM {}usage", "(SELECT * FROM ".repeat(10_000)),
    ] {
        let error = json(&engine, &sql).await.unwrap_err();
        assert_eq!(error.kind(), "sql", "{}: {error}", &sql[..40]);
    }
    // As long as generated queries get.
    for sql in [
        long("1+", 1_500),
        format!("SELECT count(*) FROM usage WHERE event_id IN ({}'a')", "'x',".repeat(20_000)),
        format!("SELECT count(*) FROM usage WHERE {}true", "team = 'x' OR ".repeat(500)),
    ] {
        json(&engine, &sql).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_says_what_and_what_is_allowed() {
    let lake = TestLake::with(&THREE).await;
    let engine = lake.engine();
    for (sql, expected) in [
        (
            "DROP TABLE usage",
            "refused: DROP TABLE does not read; this interface only reads (SELECT, WITH, VALUES, EXPLAIN, SHOW, DESCRIBE)",
        ),
        (
            "SELECT * INTO x FROM usage",
            "refused: CREATE TABLE and SELECT INTO make a table; this interface only reads (SELECT, WITH, VALUES, EXPLAIN, SHOW, DESCRIBE)",
        ),
        ("SELECT 1; SELECT 2", "there are 2 statements; send them one at a time"),
        ("", "there is no statement; send one, such as SELECT 1"),
    ] {
        assert_eq!(json(&engine, sql).await.unwrap_err().to_string(), expected);
    }
}

#[test]
fn no_wrong_statement_keeps_the_parser_busy() {
    let forms = [
        "CASE WHEN 1 THEN ",
        "CASE ",
        "CAST(",
        "(CAST ",
        "TRY_CAST(",
        "CONVERT(",
        "CEIL(",
        "(FLOOR ",
        "SUBSTRING(",
        "POSITION(",
        "OVERLAY(",
        "EXTRACT(",
        "NOT(",
        "NOT (f(",
        "INTERVAL ",
        "INTERVAL (",
        "EXISTS(",
        "ARRAY[",
        "CURRENT_DATE(",
        "TRIM(",
        "STRUCT(",
        "MAP {",
        "MATCH(",
        "(",
        "((",
        "(a, (",
        "[",
        "{",
        "{fn f(",
        "f(",
        "f(f(x), ",
        "f(x => ",
        "f(CASE WHEN ",
        "CAST(CASE WHEN f(",
        "x[",
        "x IN (",
        "x BETWEEN (",
        "x -> ",
        "(x) -> ",
        "(SELECT ",
        "(SELECT * FROM ",
        "(SELECT * FROM (",
        "( VALUES (",
        "(a JOIN (",
        "LATERAL (",
        "f() OVER (PARTITION BY ",
        "f() FILTER (WHERE ",
        "f() WITHIN GROUP (ORDER BY ",
        "GROUPING SETS (",
        "(WITH a AS ",
    ];
    let mut busy = Vec::new();
    for form in forms {
        // Few enough to stay below the parser's limit of recursion, and enough to reach it.
        for (head, times) in
            [("SELECT ", 14), ("SELECT ", 22), ("SELECT ", 40), ("SELECT * FROM ", 22), ("SELECT f(", 40)]
        {
            // Where the parser guesses twice, each of these takes it years.
            let sql = format!("{head}{}", form.repeat(times));
            let (send, receive) = std::sync::mpsc::sync_channel(1);
            std::thread::spawn(move || send.send(super::parse(&sql, 1 << 20).is_err()));
            if receive.recv_timeout(Duration::from_secs(10)) != Ok(true) {
                busy.push(format!("{head}{form} {times} times"));
            }
        }
    }
    assert_eq!(busy, Vec::<String>::new());
    for sql in [
        format!("SELECT {}1{}", "CASE WHEN a THEN 0 ELSE ".repeat(20), " END".repeat(20)),
        format!("SELECT {}1{}", "CAST(".repeat(20), " AS int)".repeat(20)),
        format!("SELECT {}1{}", "abs(".repeat(20), ")".repeat(20)),
        format!("SELECT {}", vec!["CAST(CASE WHEN a THEN 1 END AS int)"; 1_000].join(", ")),
        "SELECT \"case\", 'CASE CASE', ARRAY[1, 2], [1], CURRENT_DATE, INTERVAL '1 day', trim(a), \
         substr(a, 1), ceil(b), extract(year FROM c), d::bigint, position('a' IN a), f(x => 1), * EXCLUDE (a) \
         FROM t GROUP BY ALL QUALIFY row_number() OVER (PARTITION BY a ORDER BY b DESC) = 1"
            .to_owned(),
    ] {
        super::parse(&sql, 1 << 20).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
}
