//! What a price list changes in a book: two lists of rows and a date in, the new rows and the difference out. Pure.
//!
//! Before the date everything stays as it was priced; from the date on the list's prices hold. Only a model that the book
//! does not know at all is priced for the past too: no call of it had a price yet.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use spendstream_schemas::price_book::{PriceRow, Schedule};

use super::windows;

/// How a list is taken.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// Microseconds since the epoch, UTC.
    pub date: i64,
    /// First word of the rows' `source`: only its own rows can be missing from a list.
    pub source: &'a str,
    /// End prices that the list no longer has.
    pub close_removed: bool,
}

/// One price before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub old: Option<PriceRow>,
    pub new: Option<PriceRow>,
    /// From when; `None`: since ever.
    pub from: Option<i64>,
}

/// The book after the import, and the difference.
#[derive(Debug, Default)]
pub struct Merged {
    /// Sorted as the book is.
    pub rows: Vec<PriceRow>,
    pub added: Vec<Change>,
    pub changed: Vec<Change>,
    /// Scheduled prices that end: the list's windows overlap theirs, or their source has one price for all hours now.
    pub replaced: Vec<Change>,
    /// In the book from this source, not in the list any more.
    pub removed: Vec<Change>,
    /// Prices of the list that the book has already.
    pub unchanged: usize,
    ended: bool,
}

impl Merged {
    /// Whether the rows differ from the book's.
    pub fn is_change(&self) -> bool {
        self.ended || !self.added.is_empty() || !self.changed.is_empty() || !self.replaced.is_empty()
    }
}

/// What a price is of: within one key, time alone decides.
pub type Key = (Arc<str>, Arc<str>, Arc<str>, Arc<str>, Arc<str>, String, i64);

pub fn key(row: &PriceRow) -> Key {
    let schedule = row.schedule.as_deref().map(Schedule::to_string).unwrap_or_default();
    (
        Arc::clone(&row.provider),
        Arc::clone(&row.model),
        Arc::clone(&row.meter),
        Arc::clone(&row.service_tier),
        Arc::clone(&row.region),
        schedule,
        row.tier_min_tokens,
    )
}

/// Takes `list` into `book`.
pub fn merge(book: &[PriceRow], list: &[PriceRow], rule: &Rule<'_>) -> Merged {
    let known: HashSet<(&str, &str)> = book.iter().map(|row| (&*row.provider, &*row.model)).collect();
    let (book, list) = (windows::apart(book), windows::apart(list));
    let (book_keys, list_keys) = (by_key(&book), by_key(&list));
    let unlisted = || book_keys.iter().filter(|(key, _)| !list_keys.contains_key(*key)).flat_map(|(_, rows)| rows);
    let scheduled: Vec<&PriceRow> = unlisted().copied().filter(|row| row.schedule.is_some()).collect();
    let mut merged = Merged::default();
    for (key, new) in &list_keys {
        let old = book_keys.get(key).map_or(&[][..], Vec::as_slice);
        let from = known.contains(&(&*key.0, &*key.1)).then_some(rule.date);
        let rivals = scheduled.iter().copied().filter(|row| new.iter().any(|offered| windows::rivals(offered, row)));
        // A list row without dates speaks of the present: it does not cancel a price that the book has announced.
        let starts = old.iter().copied().chain(rivals).map(|row| row.effective_from);
        let announced = starts.filter(|start| *start > from).flatten().min();
        take(old, new, from, announced, &mut merged);
    }
    let taken: Vec<PriceRow> = merged.rows.iter().filter(|row| row.schedule.is_some()).cloned().collect();
    let prices_at = |row: &PriceRow, scheduled: bool| {
        list.iter().any(|offered| offered.schedule.is_some() == scheduled && windows::same_place(offered, row))
    };
    for row in unlisted() {
        let flat = row.schedule.is_some() && is_ours(row, rule) && row.in_force(rule.date);
        if flat && prices_at(row, false) && !prices_at(row, true) {
            merged.replaced.push(Change { old: Some((*row).clone()), new: None, from: Some(rule.date) });
            merged.rows.extend(ended(row, rule.date));
            continue;
        }
        let rivals: Vec<&PriceRow> = taken.iter().filter(|new| windows::rivals(new, row)).collect();
        let pieces = windows::beside(row, &rivals, rule.date);
        if pieces[..] == [(*row).clone()] {
            keep(row, rule, &mut merged);
            continue;
        }
        merged.replaced.push(Change { old: Some((*row).clone()), new: None, from: Some(rule.date) });
        merged.rows.extend(pieces);
    }
    merged.rows = windows::together(std::mem::take(&mut merged.rows));
    merged.rows.sort_by_cached_key(|row| (key(row), row.effective_from));
    merged
}

fn by_key(rows: &[PriceRow]) -> BTreeMap<Key, Vec<&PriceRow>> {
    let mut keys: BTreeMap<Key, Vec<&PriceRow>> = BTreeMap::new();
    for row in rows {
        keys.entry(key(row)).or_default().push(row);
    }
    for rows in keys.values_mut() {
        rows.sort_by_key(|row| row.effective_from);
    }
    keys
}

/// A row of a key that the list does not have: missing when it came from the same source and is in force.
fn keep(row: &PriceRow, rule: &Rule<'_>, merged: &mut Merged) {
    if !is_ours(row, rule) || !row.in_force(rule.date) {
        merged.rows.push(row.clone());
        return;
    }
    merged.removed.push(Change { old: Some(row.clone()), new: None, from: Some(rule.date) });
    if !rule.close_removed {
        merged.rows.push(row.clone());
        return;
    }
    merged.ended = true;
    merged.rows.extend(ended(row, rule.date));
}

fn is_ours(row: &PriceRow, rule: &Rule<'_>) -> bool {
    row.source.split_whitespace().next() == Some(rule.source)
}

/// What remains of a row that ends at the date: one that starts there has priced nothing.
fn ended(row: &PriceRow, date: i64) -> Option<PriceRow> {
    (row.effective_from != Some(date)).then(|| PriceRow { effective_until: Some(date), ..row.clone() })
}

/// Old rows until `from`, the list's afterwards; an old row stays where the list says the same or nothing.
fn take(old: &[&PriceRow], new: &[&PriceRow], from: Option<i64>, announced: Option<i64>, merged: &mut Merged) {
    let mut borders: BTreeSet<Option<i64>> = BTreeSet::from([None, from]);
    for row in old.iter().chain(new) {
        borders.insert(row.effective_from);
        borders.extend(row.effective_until.map(Some));
    }
    borders.extend(announced.map(Some));
    let speaks = |offered: &PriceRow, start: Option<i64>| {
        let dated = offered.effective_from.is_some() || offered.effective_until.is_some();
        start >= from && (dated || announced.is_none_or(|announced| start < Some(announced)))
    };
    let borders: Vec<Option<i64>> = borders.into_iter().collect();
    let mut rows: Vec<PriceRow> = Vec::new();
    for (position, start) in borders.iter().enumerate() {
        let end = borders.get(position + 1).copied().flatten();
        let of = |rows: &[&PriceRow]| rows.iter().copied().find(|row| covers(row, *start)).cloned();
        let (was, offered) = (of(old), of(new));
        let row = match (was, offered) {
            (was, Some(offered)) if speaks(&offered, *start) => match was {
                Some(was) if same_price(&was, &offered) => Some(was),
                _ => Some(offered),
            },
            (was, _) => was,
        };
        let Some(row) = row else { continue };
        match rows.last_mut() {
            Some(last) if start.is_some() && last.effective_until == *start && continues(last, &row) => {
                last.effective_until = end;
            }
            _ => rows.push(PriceRow { effective_from: *start, effective_until: end, ..row }),
        }
    }
    report(old, &rows, merged);
    merged.rows.append(&mut rows);
}

/// Whether a row holds from `start` on (`None`: since ever).
fn covers(row: &PriceRow, start: Option<i64>) -> bool {
    match start {
        None => row.effective_from.is_none(),
        Some(start) => row.in_force(start),
    }
}

fn same_price(a: &PriceRow, b: &PriceRow) -> bool {
    let cross = |a: &PriceRow, b: &PriceRow| a.price.checked_mul(b.per.into());
    a.currency == b.currency && cross(a, b).is_some() && cross(a, b) == cross(b, a)
}

/// Whether a row goes on where another ended: the same price told by the same source.
fn continues(a: &PriceRow, b: &PriceRow) -> bool {
    same_price(a, b) && a.source == b.source && a.source_ref == b.source_ref
}

fn report(old: &[&PriceRow], rows: &[PriceRow], merged: &mut Merged) {
    let mut same = true;
    for row in rows {
        let before = old.iter().copied().find(|old| covers(old, row.effective_from));
        match before {
            Some(before) if same_price(before, row) => {}
            Some(before) => {
                same = false;
                merged.changed.push(Change {
                    old: Some(before.clone()),
                    new: Some(row.clone()),
                    from: row.effective_from,
                });
            }
            None => {
                same = false;
                merged.added.push(Change { old: None, new: Some(row.clone()), from: row.effective_from });
            }
        }
    }
    merged.unchanged += usize::from(same);
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::price_book::{COLUMNS, PriceRow, parse_instant, parse_prices, show_instant};

    use super::{Merged, Rule, merge};

    /// `model meter price from until source`, `-` for nothing.
    fn rows(lines: &[&str]) -> Vec<PriceRow> {
        let mut text = COLUMNS.join(",") + "\n";
        for line in lines {
            let fields: Vec<&str> = line.split(' ').map(|field| if field == "-" { "" } else { field }).collect();
            let [model, meter, price, from, until, source] = fields[..] else { panic!("{line}") };
            text +=
                &["acme", model, meter, price, "1000000", "USD", from, until, "", "", "", "", source, "\n"].join(",");
        }
        let mut errors = Vec::new();
        let rows = parse_prices(&text, &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        rows
    }

    fn texts(rows: &[PriceRow]) -> Vec<String> {
        let bound = |at: Option<i64>| at.map_or("-".to_owned(), show_instant);
        let text = |row: &PriceRow| {
            let (from, until) = (bound(row.effective_from), bound(row.effective_until));
            format!("{} {} {} {from} {until} {}", row.model, row.meter, row.price, row.source)
        };
        rows.iter().map(text).collect()
    }

    fn run(book: &[&str], list: &[&str], close_removed: bool) -> Merged {
        let date = parse_instant("2026-11-22").unwrap();
        merge(&rows(book), &rows(list), &Rule { date, source: "list", close_removed })
    }

    /// The new rows and `added changed removed unchanged`.
    fn check(book: &[&str], list: &[&str], expected: &[&str], counts: [usize; 4]) {
        let merged = run(book, list, false);
        assert_eq!(texts(&merged.rows), expected);
        let found = [merged.added.len(), merged.changed.len(), merged.removed.len(), merged.unchanged];
        assert_eq!(found, counts, "added, changed, removed, unchanged");
    }

    #[test]
    fn a_changed_price_ends_the_old_row_at_the_date() {
        check(
            &["m input 1 - - old"],
            &["m input 2 - - list"],
            &["m input 1 - 2026-11-22 old", "m input 2 2026-11-22 - list"],
            [0, 1, 0, 0],
        );
        check(&["m input 1 - - old"], &["m input 1.00 - - list"], &["m input 1 - - old"], [0, 0, 0, 1]);
    }

    #[test]
    fn imported_twice_is_imported_once() {
        let once = run(&["m input 1 - - old"], &["m input 2 - - list"], false);
        let date = parse_instant("2026-11-22").unwrap();
        let twice =
            merge(&once.rows, &rows(&["m input 2 - - list"]), &Rule { date, source: "list", close_removed: false });
        assert_eq!(texts(&twice.rows), texts(&once.rows));
        assert!(!twice.is_change());
        let other =
            merge(&once.rows, &rows(&["m input 3 - - list"]), &Rule { date, source: "list", close_removed: false });
        assert_eq!(texts(&other.rows), ["m input 1 - 2026-11-22 old", "m input 3 2026-11-22 - list"]);
    }

    #[test]
    fn a_new_model_is_priced_for_the_past_a_new_meter_is_not() {
        check(
            &["m input 1 - - old"],
            &["n input 2 - - list"],
            &["m input 1 - - old", "n input 2 - - list"],
            [1, 0, 0, 0],
        );
        check(
            &["m input 1 - - old"],
            &["m cache_read 2 - - list"],
            &["m cache_read 2 2026-11-22 - list", "m input 1 - - old"],
            [1, 0, 0, 0],
        );
    }

    #[test]
    fn an_announced_price_stays_announced() {
        check(
            &["m input 1 - 2027-01-01 old", "m input 9 2027-01-01 - old"],
            &["m input 2 - - list"],
            &["m input 1 - 2026-11-22 old", "m input 2 2026-11-22 2027-01-01 list", "m input 9 2027-01-01 - old"],
            [0, 1, 0, 0],
        );
        check(
            &["m input 1 - - old"],
            &["m input 1 - 2026-12-01 list", "m input 3 2026-12-01 - list"],
            &["m input 1 - 2026-12-01 old", "m input 3 2026-12-01 - list"],
            [0, 1, 0, 0],
        );
    }

    #[test]
    fn history_in_the_list_does_not_rewrite_the_books() {
        check(
            &["m input 1 - - old"],
            &["m input 5 - 2026-01-01 list", "m input 1 2026-01-01 - list"],
            &["m input 1 - - old"],
            [0, 0, 0, 1],
        );
        check(
            &["m input 1 - 2026-01-01 old"],
            &["m input 5 - - list"],
            &["m input 1 - 2026-01-01 old", "m input 5 2026-11-22 - list"],
            [1, 0, 0, 0],
        );
    }

    #[test]
    fn what_a_source_no_longer_lists_is_shown_and_ended_on_demand() {
        let book = ["a input 1 - - list", "b input 1 - - own", "c input 1 - 2026-01-01 list", "m input 1 - - list"];
        check(&book, &["m input 1 - - list"], &book, [0, 0, 1, 1]);
        let ended = run(&book, &["m input 1 - - list"], true);
        assert_eq!(texts(&ended.rows)[0], "a input 1 - 2026-11-22 list");
        assert!(ended.is_change());
    }
}
