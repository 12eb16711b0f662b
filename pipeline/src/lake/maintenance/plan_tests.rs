use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;
use spendstream_lake::files::{FileInfo, TableFiles};

use super::{DAY_MS, Policy, Step, TierPlace, end_ms, oldest_unsealed, plan};
use crate::lake::maintenance::Moment;

const HOUR_MS: i64 = 3_600_000;

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

/// A file of that day; `seal` is empty for rows as they came.
fn file(path: &str, bytes: u64, seal: &str, tier: &str) -> FileInfo {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let stored_ms = end_ms(day()) + 2 * HOUR_MS;
    let date = day().to_string();
    FileInfo { path: path.into(), date, bytes, stored_ms, seal: some(seal), tier: some(tier), ..FileInfo::default() }
}

fn tier(name: &str, place: usize, after_days: u32, zstd_level: i32) -> TierPlace {
    TierPlace { name: name.into(), place, after_days, zstd_level, expire_after_days: None }
}

/// Warm in the hot table when sealed, cold in a table of its own after three days.
fn policy() -> Policy {
    Policy {
        tiers: vec![tier("warm", 0, 0, 9), tier("cold", 1, 3, 19)],
        compact_files: 3,
        target_file_bytes: 1_000,
        join_interval: Duration::from_hours(1),
        lateness: Duration::from_hours(1),
        retention_days: None,
        organizations: BTreeMap::new(),
    }
}

/// So many hours after the end of the day; event time has come as far.
fn hours(after: i64) -> Moment {
    let now_ms = end_ms(day()) + after * HOUR_MS;
    Moment { now_ms, watermark_ms: now_ms }
}

fn steps(files: [Vec<FileInfo>; 2], policy: &Policy, at: Moment) -> Vec<String> {
    let tables = files.map(|files| TableFiles { files, ..TableFiles::default() });
    plan(&tables, policy, at).iter().map(ToString::to_string).collect()
}

fn check(hot: Vec<FileInfo>, cold: Vec<FileInfo>, at: Moment, expected: &[&str]) {
    assert_eq!(steps([hot, cold], &policy(), at), expected);
}

#[test]
fn a_day_is_sealed_when_event_time_has_passed_it_by_the_lateness() {
    let rows = || vec![file("a", 10, "", "")];
    check(rows(), vec![], hours(0), &[]);
    check(rows(), vec![], hours(1), &["seal 2026-11-22 (1 files, 10 bytes)"]);
    // The clock alone seals nothing while a partition is behind.
    check(rows(), vec![], Moment { watermark_ms: end_ms(day()), ..hours(20) }, &[]);
}

#[test]
fn late_rows_wait_for_company_but_not_for_ever() {
    let with = |late: &[&str]| {
        let late = late.iter().map(|path| file(path, 1, "", ""));
        [file("s", 100, "1", "warm")].into_iter().chain(late).collect::<Vec<_>>()
    };
    // Stored two hours after the end of the day.
    check(with(&["x"]), vec![], hours(2), &[]);
    check(with(&["x"]), vec![], hours(3), &["join late rows to 2026-11-22 (2 files, 101 bytes)"]);
    check(with(&["x", "y", "z"]), vec![], hours(2), &["join late rows to 2026-11-22 (4 files, 103 bytes)"]);
}

#[test]
fn a_sealed_day_goes_to_the_tier_of_its_age_and_is_packed_for_it() {
    let sealed = |tier| vec![file("s", 100, "1", tier)];
    check(sealed("warm"), vec![], hours(30), &[]);
    check(sealed("hot"), vec![], hours(30), &["pack 2026-11-22 (1 files, 100 bytes) for warm"]);
    check(sealed("warm"), vec![], hours(3 * 24), &["move 2026-11-22 (1 files, 100 bytes) towards cold"]);
    check(vec![], sealed("cold"), hours(3 * 24), &[]);
    // What is on its way is finished first, and not touched otherwise.
    let moving = FileInfo { moving: Some(7), ..file("s", 100, "1", "warm") };
    check(vec![moving], vec![], hours(3 * 24), &["finish move 7"]);
    // Late rows of a day that has moved follow it by themselves; many sealings of one day are merged.
    check(vec![file("l", 1, "", "")], sealed("cold"), hours(5 * 24), &["seal 2026-11-22 (1 files, 1 bytes)"]);
    let many = (0..5).map(|seal| file(&seal.to_string(), 1, &seal.to_string(), "cold")).collect();
    check(vec![], many, hours(5 * 24), &["join late rows to 2026-11-22 (5 files, 5 bytes)"]);
}

#[test]
fn small_files_of_an_open_day_are_made_one_by_their_size() {
    let of =
        |sizes: &[u64]| sizes.iter().enumerate().map(|(at, bytes)| file(&format!("{at}"), *bytes, "", "")).collect();
    let open = hours(0);
    check(of(&[10, 12]), vec![], open, &[]);
    check(of(&[10, 12, 80]), vec![], open, &["compact 2026-11-22 (3 files, 102 bytes)"]);
    // Another size is another class: what was made one is left alone until there are as many of it.
    check(of(&[10, 12, 300, 310]), vec![], open, &[]);
    // Up to the size at which files are cut.
    check(of(&[400, 400, 400, 400]), vec![], open, &["compact 2026-11-22 (2 files, 800 bytes)"]);
    check(of(&[600, 600, 600]), vec![], open, &[]);
}

#[test]
fn what_is_over_goes_first_and_by_organization() {
    let files = || vec![file("a", 5, "1", "warm"), file("b", 5, "", "")];
    let at = |days: i64| Moment { now_ms: end_ms(day()) + days * DAY_MS, watermark_ms: end_ms(day()) };
    let found = |policy: &Policy, days| steps([files(), vec![]], policy, at(days));
    let whole = Policy { retention_days: Some(10), ..policy() };
    assert_eq!(found(&whole, 10), ["delete 2026-11-22 (2 files, 10 bytes)"]);
    assert!(found(&whole, 9).iter().all(|step| !step.starts_with("delete")));
    let brief = Policy { organizations: BTreeMap::from([("acme".to_owned(), 2), ("beta".to_owned(), 30)]), ..whole };
    assert_eq!(found(&brief, 2), ["delete rows of acme from 2026-11-22 (2 files, 10 bytes)"]);
    assert_eq!(found(&brief, 10), ["delete rows of all but beta from 2026-11-22 (2 files, 10 bytes)"]);
    assert_eq!(found(&brief, 30), ["delete 2026-11-22 (2 files, 10 bytes)"]);
    // Once is enough.
    let done = files().into_iter().map(|file| FileInfo { expired: Some("acme".into()), ..file });
    assert!(steps([done.collect(), vec![]], &brief, at(2)).iter().all(|step| !step.starts_with("delete")));
    let mut tiers = policy();
    tiers.tiers[0].expire_after_days = Some(1);
    assert_eq!(found(&tiers, 1), ["delete 2026-11-22 (2 files, 10 bytes)"]);
}

#[test]
fn the_oldest_day_that_is_not_sealed_is_known() {
    let table = |files| TableFiles { files, ..TableFiles::default() };
    assert_eq!(oldest_unsealed(&[table(vec![file("a", 1, "1", "warm")])]), None);
    assert_eq!(oldest_unsealed(&[table(vec![]), table(vec![file("a", 1, "", "")])]), Some(day()));
    assert_eq!(plan(&[table(vec![])], &policy(), hours(0)), Vec::<Step>::new());
}
