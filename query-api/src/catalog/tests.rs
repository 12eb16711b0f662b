//! All tiers are one table at every moment, and a part of a lake is never taken for the whole.

use spendstream_lake::tags;

use crate::sql::engine::Engine;
use crate::testing::sealed::{File, Tiered, of_file};
use crate::testing::{Row, json};

const DAY: &str = "2026-11-01";

fn row(id: &'static str, cost: &'static str) -> Row {
    Row { id, date: DAY, cost: Some(cost), ..Row::BLANK }
}

async fn check(engine: &Engine, sql: &str, expected: &str) {
    assert_eq!(json(engine, sql).await.unwrap(), expected, "{sql}");
}

async fn total(engine: &Engine) -> String {
    json(engine, "SELECT count(*) AS n, sum(cost) AS cost FROM usage").await.unwrap()
}

/// Each step of a move by itself, with rows that came late beside; sealed and summed up or not.
#[tokio::test]
async fn a_day_that_moves_is_seen_once_at_every_step() {
    for seal in [None, Some("s-1")] {
        let lake = Tiered::new().await;
        let engine = lake.lake.engine();
        let sealed = |file: File| match seal {
            Some(seal) => file.tagged(tags::SEAL, seal),
            None => file,
        };
        let rows = of_file(&[row("a", "1"), row("b", "2")]);
        let day = sealed(File::new("day", DAY, rows.clone()));
        let late = File::new("late", DAY, of_file(&[row("c", "4")]));
        lake.hot.change(&[], &[day.clone(), late], &[]);
        if let Some(seal) = seal {
            lake.sum_up(seal, DAY, std::slice::from_ref(&rows)).await;
        }
        let all = r#"[{"n":3,"cost":"7"}]"#;
        assert_eq!(total(&engine).await, all);
        let moving = day.clone().tagged(tags::MOVE, 1);
        lake.hot.change(&[], std::slice::from_ref(&moving), &[(tags::BEGUN_APP, 1)]);
        assert_eq!(total(&engine).await, all, "tagged");
        lake.cold.change(&[], &[sealed(File::new("moved", DAY, rows))], &[(tags::MOVES_APP, 1)]);
        assert_eq!(total(&engine).await, all, "in both");
        assert_eq!(total(&lake.lake.engine()).await, all, "in both, first look");
        lake.hot.change(&[moving], &[], &[]);
        assert_eq!(total(&engine).await, all, "moved");
        check(
            &engine,
            "SELECT event_id FROM usage WHERE cost < 4 ORDER BY 1",
            "[{\"event_id\":\"a\"},\n{\"event_id\":\"b\"}]",
        )
        .await;
    }
}

/// A reader that saw the hot table before a day was tagged, and the cold one after it had come.
#[tokio::test]
async fn a_move_between_two_looks_is_looked_at_again() {
    let lake = Tiered::new().await;
    let engine = lake.lake.engine();
    let rows = of_file(&[row("a", "1")]);
    let day = File::new("day", DAY, rows.clone());
    lake.hot.change(&[], std::slice::from_ref(&day), &[]);
    let before = engine.snapshot().await.unwrap();
    lake.hot.change(&[], &[day.clone().tagged(tags::MOVE, 1)], &[(tags::BEGUN_APP, 1)]);
    lake.cold.change(&[], &[File::new("moved", DAY, rows)], &[(tags::MOVES_APP, 1)]);
    lake.hot.change(&[day], &[], &[]);
    let after = engine.snapshot().await.unwrap();
    assert!(after.number > before.number);
    assert_eq!(total(&engine).await, r#"[{"n":1,"cost":"1"}]"#);
    assert_eq!(engine.snapshot().await.unwrap().number, after.number, "nothing is newer");
}

#[tokio::test]
async fn limits_and_filters_hold_over_two_tables() {
    let lake = Tiered::new().await;
    let engine = lake.lake.engine();
    lake.hot.change(&[], &[File::new("x", DAY, of_file(&[row("a", "1"), row("b", "2")]))], &[]);
    lake.cold.change(&[], &[File::new("y", DAY, of_file(&[row("c", "4"), row("d", "8")]))], &[]);
    for (sql, expected) in [
        ("SELECT 1 AS one FROM usage LIMIT 1", r#"[{"one":1}]"#),
        ("SELECT date FROM usage LIMIT 1", r#"[{"date":"2026-11-01"}]"#),
        ("SELECT count(*) AS n FROM (SELECT 1 FROM usage LIMIT 3)", r#"[{"n":3}]"#),
        ("SELECT count(*) AS n FROM (SELECT date FROM usage LIMIT 3 OFFSET 2)", r#"[{"n":2}]"#),
        ("SELECT sum(cost) AS cost FROM usage WHERE date IN ('2026-11-02', NULL)", r#"[{"cost":null}]"#),
        ("SELECT sum(cost) AS cost FROM usage WHERE event_id IN ('b', 'c')", r#"[{"cost":"6"}]"#),
        ("SELECT event_id FROM usage ORDER BY cost DESC LIMIT 1", r#"[{"event_id":"d"}]"#),
        ("SELECT count(*) AS n FROM usage_rollup", r#"[{"n":0}]"#),
    ] {
        check(&engine, sql, expected).await;
    }
}

#[tokio::test]
async fn what_each_tier_holds_is_told() {
    let lake = Tiered::new().await;
    let engine = lake.lake.engine();
    let moving = File::new("x", DAY, of_file(&[row("a", "1"), row("b", "2")])).tagged(tags::MOVE, 1);
    lake.hot.change(&[], &[moving, File::new("z", DAY, of_file(&[row("c", "1")]))], &[(tags::BEGUN_APP, 1)]);
    lake.cold.change(&[], &[File::new("y", DAY, of_file(&[row("a", "1"), row("b", "2")]))], &[(tags::MOVES_APP, 1)]);
    let status = engine.status().await.unwrap();
    assert_eq!((status.files, status.rows), (2, Some(3)));
    let tiers: Vec<_> = status.tiers.iter().map(|tier| (tier.name.as_str(), tier.files, tier.rows)).collect();
    assert_eq!(tiers, [("hot", 1, Some(1)), ("cold", 1, Some(2))]);
    assert_eq!(status.bytes, status.tiers.iter().map(|tier| tier.bytes).sum::<u64>());
}

#[tokio::test]
async fn a_part_of_a_lake_is_never_taken_for_the_whole() {
    let lake = Tiered::new().await;
    lake.hot.change(&[], &[File::new("x", DAY, of_file(&[row("a", "1")]))], &[]);
    lake.cold.change(&[], &[File::new("y", DAY, of_file(&[row("b", "2")]))], &[]);
    let mut config = lake.lake.config.clone();
    config.lake = lake.without_tiers();
    let knows_nothing = Engine::open(&config).unwrap();
    // Who only knows where the lake is takes its tiers from it, as soon as they are named.
    assert_eq!(total(&knows_nothing).await, r#"[{"n":1,"cost":"1"}]"#);
    let colder = &lake.lake.config.lake.tiers["cold"].uri;
    lake.hot.set(tags::TIERS_PROPERTY, &format!(r#"[{{"name":"cold","uri":"{colder}"}}]"#));
    assert_eq!(total(&knows_nothing).await, r#"[{"n":2,"cost":"3"}]"#);
    assert_eq!(total(&lake.lake.engine()).await, r#"[{"n":2,"cost":"3"}]"#);
    // Who has places, but not this one, is told.
    let mut elsewhere = lake.lake.config.clone();
    elsewhere.lake.tiers.get_mut("cold").unwrap().uri = format!("{colder}-other");
    let error = json(&Engine::open(&elsewhere).unwrap(), "SELECT 1 FROM usage").await.unwrap_err();
    assert_eq!(error.kind(), "config");
    let error = error.to_string();
    assert!(
        error.contains(&format!(
            "events of tier 'cold' lie at {colder}, which is not open here: set lake.tiers.cold.uri"
        )),
        "{error}"
    );
    lake.hot.set(tags::TIERS_PROPERTY, "new words");
    let error = json(&lake.lake.engine(), "SELECT 1 FROM usage").await.unwrap_err().to_string();
    assert!(error.contains("'new words', which this version of spendstream does not know"), "{error}");
}
