//! Windows of scheduled prices in an import. A book and a list may write the same windows as one line or as several, or move
//! them: prices are compared window by window, and what a list's windows overlap makes room for them. Pure.

use spendstream_schemas::price_book::{PriceRow, Schedule};

/// One row per window.
pub fn apart(rows: &[PriceRow]) -> Vec<PriceRow> {
    rows.iter().flat_map(of_row).collect()
}

fn of_row(row: &PriceRow) -> Vec<PriceRow> {
    let windows = row.schedule.as_deref().map(Schedule::windows).unwrap_or_default();
    if windows.len() < 2 {
        return vec![row.clone()];
    }
    windows.into_iter().map(|window| PriceRow { schedule: Some(window.into()), ..row.clone() }).collect()
}

/// Windows that were one line and still cost the same are one line again.
pub fn together(rows: Vec<PriceRow>) -> Vec<PriceRow> {
    let plain = |row: &PriceRow| PriceRow { schedule: None, ..row.clone() };
    let (scheduled, mut joined): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.schedule.is_some());
    let start = joined.len();
    for row in scheduled {
        let same = joined.iter_mut().skip(start).find_map(|known| {
            let both = known.schedule.as_deref()?.joined(row.schedule.as_deref()?)?;
            (plain(known) == plain(&row)).then_some((known, both))
        });
        match same {
            Some((known, both)) => known.schedule = Some(both.into()),
            None => joined.push(row),
        }
    }
    joined
}

/// Whether both price the same, in windows of which some minute is in both, and not only in the same window.
pub fn rivals(one: &PriceRow, two: &PriceRow) -> bool {
    let overlap = one.schedule.as_deref().zip(two.schedule.as_deref()).is_some_and(|(one, two)| one.overlaps(two));
    overlap && one.schedule != two.schedule && same_place(one, two)
}

/// Whether both price the same, at whatever hours.
pub fn same_place(one: &PriceRow, two: &PriceRow) -> bool {
    (&*two.provider, &*two.model, &*two.meter, &*two.service_tier, &*two.region, two.tier_min_tokens)
        == (&*one.provider, &*one.model, &*one.meter, &*one.service_tier, &*one.region, one.tier_min_tokens)
}

/// What remains of a row, from the date on, beside others that hold at the same minutes.
pub fn beside(row: &PriceRow, others: &[&PriceRow], date: i64) -> Vec<PriceRow> {
    others.iter().fold(vec![row.clone()], |pieces, other| {
        let from = other.effective_from.map_or(date, |from| from.max(date));
        pieces.iter().flat_map(|piece| without(piece, from, other.effective_until)).collect()
    })
}

/// The row before `from` and from `until` on.
fn without(row: &PriceRow, from: i64, until: Option<i64>) -> impl Iterator<Item = PriceRow> {
    let before = row.effective_from.is_none_or(|start| start < from).then(|| PriceRow {
        effective_until: Some(row.effective_until.map_or(from, |end| end.min(from))),
        ..row.clone()
    });
    let until = until.filter(|until| row.effective_until.is_none_or(|end| *until < end));
    let after = until.map(|until| PriceRow {
        effective_from: Some(row.effective_from.map_or(until, |start| start.max(until))),
        ..row.clone()
    });
    before.into_iter().chain(after)
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::price_book::{
        BookFiles, COLUMNS, PriceBook, PriceRow, parse_instant, parse_prices, to_csv,
    };

    use super::super::merge::{Merged, Rule, merge};

    /// `price from until schedule`, `-` for nothing; of one meter of a model that has a price outside of them, too.
    fn rows(source: &str, lines: &[&str]) -> Vec<PriceRow> {
        let mut text = COLUMNS.join(",") + "\n";
        for line in lines {
            let fields: Vec<&str> = line.splitn(4, ' ').map(|field| if field == "-" { "" } else { field }).collect();
            let [price, from, until, schedule] = fields[..] else { panic!("{line}") };
            let fields = ["deepseek,m,input", price, "1000000,USD", from, until, "", "", "", schedule, source, "\n"];
            text += &fields.join(",");
        }
        let mut errors = Vec::new();
        let rows = parse_prices(&text, &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        rows
    }

    fn texts(merged: &Merged) -> Vec<String> {
        let text = |row: &PriceRow| {
            let fields = row.fields().map(|field| if field.is_empty() { "-".to_owned() } else { field });
            format!("{} {} {} {}", fields[3], fields[6], fields[7], fields[11])
        };
        merged.rows.iter().map(text).collect()
    }

    fn run(book: &[PriceRow], list: &[&str]) -> Merged {
        let date = parse_instant("2026-12-01").unwrap();
        let mut list = rows("list", list);
        // Where a line stands in the list says nothing of the book.
        for row in &mut list {
            row.line = 0;
        }
        merge(book, &list, &Rule { date, source: "list", close_removed: false })
    }

    /// Added, changed, replaced; and the same list again changes nothing.
    fn check(book: &[&str], list: &[&str], expected: &[&str], counts: [usize; 3]) {
        let merged = run(&rows("list", book), list);
        assert_eq!(texts(&merged), expected);
        assert_eq!([merged.added.len(), merged.changed.len(), merged.replaced.len()], counts);
        let again = run(&merged.rows, list);
        assert_eq!((texts(&again), again.is_change()), (texts(&merged), false), "imported again");
        let (prices, catalog) = (to_csv(&merged.rows), "date = \"2026-12-01\"\n");
        let errors = PriceBook::load(&BookFiles { prices: &prices, catalog, currency: "USD", ..BookFiles::default() });
        assert!(errors.is_ok(), "{errors:?}");
    }

    #[test]
    fn the_same_windows_in_one_line_or_two_are_the_same() {
        let two = ["0.15 - - -", "0.3 - - 01:00-04:00", "0.3 - - 06:00-10:00"];
        let one = ["0.15 - - -", "0.3 - - 01:00-04:00 06:00-10:00"];
        check(&two, &one, &two, [0, 0, 0]);
        check(&one, &two, &one, [0, 0, 0]);
    }

    #[test]
    fn a_new_peak_price_ends_the_old_one_in_each_window() {
        check(
            &["0.15 - - -", "0.3 - - 01:00-04:00", "0.3 - - 06:00-10:00"],
            &["0.15 - - -", "0.4 - - 01:00-04:00 06:00-10:00"],
            &[
                "0.15 - - -",
                "0.3 - 2026-12-01 01:00-04:00",
                "0.4 2026-12-01 - 01:00-04:00 06:00-10:00",
                "0.3 - 2026-12-01 06:00-10:00",
            ],
            [0, 2, 0],
        );
    }

    #[test]
    fn one_price_for_all_hours_ends_the_windows_of_its_source() {
        check(
            &["0.15 - - -", "0.3 - - 01:00-04:00", "0.3 - - 06:00-10:00"],
            &["0.25 - - -"],
            &[
                "0.15 - 2026-12-01 -",
                "0.25 2026-12-01 - -",
                "0.3 - 2026-12-01 01:00-04:00",
                "0.3 - 2026-12-01 06:00-10:00",
            ],
            [0, 1, 2],
        );
        // Who knows no hours ends nobody else's.
        let merged = run(&rows("another", &["0.15 - - -", "0.3 - - 01:00-04:00"]), &["0.25 - - -"]);
        assert_eq!(merged.replaced, []);
    }

    #[test]
    fn a_moved_window_replaces_what_it_overlaps_and_leaves_the_rest() {
        check(
            &["0.15 - - -", "0.3 - - 01:00-04:00", "0.3 - - 06:00-10:00"],
            &["0.15 - - -", "0.4 - - 02:00-05:00"],
            &["0.15 - - -", "0.3 - 2026-12-01 01:00-04:00", "0.4 2026-12-01 - 02:00-05:00", "0.3 - - 06:00-10:00"],
            [1, 0, 1],
        );
        // A price that the book has announced stays announced.
        check(
            &["0.15 - - -", "0.3 - 2027-01-01 01:00-04:00", "0.9 2027-01-01 - 01:00-03:00"],
            &["0.15 - - -", "0.4 - - 01:00-04:00"],
            &[
                "0.15 - - -",
                "0.9 2027-01-01 - 01:00-03:00",
                "0.3 - 2026-12-01 01:00-04:00",
                "0.4 2026-12-01 2027-01-01 01:00-04:00",
            ],
            [0, 1, 0],
        );
    }
}
