//! From figures to findings. Pure: no lake, no clock.

use serde::Serialize;

use super::figures::{EXAMPLES, Figures, PartitionFigures};
use super::rules::RULES;
use crate::lake::error::LakeError;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// Worth knowing; nothing is wrong.
    Info,
    Failed,
}

/// One check's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    /// Figures, and what they mean; one line.
    pub detail: String,
}

impl Finding {
    fn new(check: &'static str, failed: bool, detail: String) -> Self {
        Self { check, verdict: if failed { Verdict::Failed } else { Verdict::Ok }, detail }
    }
}

/// Every check, in a fixed order.
#[must_use]
pub fn judge(figures: &Figures) -> Vec<Finding> {
    let mut findings = vec![files(figures.files), unique(figures), below(figures), balanced(figures)];
    findings.extend(replaced(figures));
    findings.extend(repeats(figures));
    findings.extend(RULES.iter().zip(&figures.broken).map(|(rule, &broken)| {
        let detail =
            if broken == 0 { rule.meaning.to_owned() } else { format!("{broken} rows break: {}", rule.meaning) };
        Finding::new(rule.name, broken > 0, detail)
    }));
    findings.push(repricing(figures));
    findings.push(rollups(figures));
    findings
}

fn list(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(EXAMPLES);
    names.truncate(EXAMPLES);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", names.join("; "))
}

fn files(count: usize) -> Finding {
    Finding::new("files", false, format!("all {count} files of the version are there, in their size"))
}

/// Files are lost, or not what they were.
pub(super) fn incomplete(count: usize, wrong: Vec<String>) -> Vec<Finding> {
    let detail = format!(
        "{} of {count} files are wrong: {}; put them back from a copy of the store (queries that need them fail until then)",
        wrong.len(),
        list(wrong)
    );
    vec![Finding::new("files", true, detail), not_done()]
}

/// The files are there, but what is in them cannot be read.
pub(super) fn unreadable(count: usize, error: &LakeError) -> Vec<Finding> {
    let detail = format!("{error}; a file that is named there is damaged: put it back from a copy of the store");
    vec![files(count), Finding::new("readable", true, detail), not_done()]
}

fn not_done() -> Finding {
    let detail = "the checks of rows, offsets, books and prices need every file, and were not made".to_owned();
    Finding { check: "rows", verdict: Verdict::Info, detail }
}

/// A finding over partitions: those that `fault` names, or `fine`.
fn over(
    check: &'static str,
    figures: &Figures,
    fine: String,
    fault: impl Fn(&PartitionFigures) -> Option<String>,
) -> Finding {
    let faults: Vec<_> = figures
        .partitions
        .iter()
        .filter_map(|partition| Some(format!("{}: {}", partition.source, fault(partition)?)))
        .collect();
    let failed = !faults.is_empty();
    Finding::new(check, failed, if failed { list(faults) } else { fine })
}

fn unique(figures: &Figures) -> Finding {
    let fine = format!("{} rows of {} partitions, each place there once", figures.rows, figures.partitions.len());
    over("lineage_unique", figures, fine, |partition| {
        (partition.repeated > 0)
            .then(|| format!("{} places (offset, index) are there more than once", partition.repeated))
    })
}

fn below(figures: &Figures) -> Finding {
    let fine = "every row's offset is below its partition's committed offset".to_owned();
    over("offsets_below_txn", figures, fine, |partition| match partition.offset {
        None => Some(format!("{} rows, and no offset in the log", partition.rows)),
        Some(offset) if partition.last >= offset => {
            Some(format!("a row at offset {}, and {offset} is the next to come", partition.last))
        }
        Some(_) => None,
    })
}

fn balanced(figures: &Figures) -> Finding {
    let total: u64 =
        figures.partitions.iter().filter_map(|partition| partition.book).map(|book| book.tally.messages).sum();
    let gone = |of: fn(&PartitionFigures) -> u64| figures.partitions.iter().map(of).sum::<u64>();
    let (removed, expired) = (gone(|partition| partition.removed), gone(|partition| partition.expired));
    let others = match (removed, expired) {
        (0, 0) => String::new(),
        _ => format!(" + {removed} repeats removed when days were sealed + {expired} deleted when they were over"),
    };
    let fine = format!("{total} messages accounted for; rows by the books = rows in the table{others}");
    over("books_balance", figures, fine, |partition| match partition.book {
        None => Some(format!("{} rows, and no books in the log", partition.rows)),
        Some(book) if book.tally.rows != partition.counted + partition.removed + partition.expired => Some(format!(
            "{} rows by the books, {} in the table since offset {}, {} removed as repeats, {} deleted when they were over",
            book.tally.rows, partition.counted, book.since, partition.removed, partition.expired
        )),
        Some(book) if partition.offset != Some(book.to) => {
            Some(format!("the books end at {}, the offset is {:?}", book.to, partition.offset))
        }
        Some(_) => None,
    })
}

/// Partitions whose topic was re-created while it was read.
fn replaced(figures: &Figures) -> Option<Finding> {
    let is_ended = |partition: &&PartitionFigures| partition.book.is_some_and(|book| book.tally.is_ended);
    let ended: Vec<_> =
        figures.partitions.iter().filter(is_ended).map(|partition| partition.source.to_string()).collect();
    let detail = || {
        format!(
            "re-created while it was read, until which its last messages may be of the new topic and some of that were never read: {}",
            list(ended.clone())
        )
    };
    (!ended.is_empty()).then(|| Finding { check: "topic_replaced", verdict: Verdict::Info, detail: detail() })
}

fn repeats(figures: &Figures) -> Vec<Finding> {
    let near = &figures.horizon_repeats;
    let detail = if near.is_empty() {
        format!("no identity twice within {} offsets of a partition", figures.horizon)
    } else {
        format!("identities there twice within {} offsets: {}", figures.horizon, list(near.clone()))
    };
    let mut findings = vec![Finding::new("repeats_dropped", !near.is_empty(), detail)];
    let identities: u64 = figures.repeats.iter().map(|(_, identities, _)| identities).sum();
    let extra: u64 = figures.repeats.iter().map(|(_, _, extra)| extra).sum();
    if identities > 0 {
        let days = figures.repeats.iter().map(|(date, identities, _)| format!("{date}: {identities}")).collect();
        let detail = format!(
            "{identities} identities are there more than once ({extra} rows too many until their day is sealed): {}",
            list(days)
        );
        findings.push(Finding { check: "repeats_far_apart", verdict: Verdict::Info, detail });
    }
    findings
}

fn repricing(figures: &Figures) -> Finding {
    let again = &figures.repricing;
    let missing: Vec<_> = again.missing.iter().map(|(why, rows)| format!("{why} ({rows} rows)")).collect();
    let mut parts = Vec::new();
    if again.different > 0 {
        parts.push(format!(
            "{} of {} rows cost something else when priced again: {}",
            again.different,
            again.rows,
            list(again.examples.clone())
        ));
    }
    if !missing.is_empty() {
        parts.push(list(missing));
    }
    let failed = !parts.is_empty();
    let fine =
        || format!("{} rows priced again from {} kept books, the same to the last digit", again.rows, again.books);
    Finding::new("prices_reproducible", failed, if failed { parts.join("; ") } else { fine() })
}

fn rollups(figures: &Figures) -> Finding {
    let sums = &figures.rollups;
    let failed = sums.different_groups > 0;
    let without = match sums.without {
        0 => String::new(),
        files => format!("; {files} sealed files have no sums yet, and are read row by row"),
    };
    let detail = if failed {
        format!("{} groups are not what their rows say: {}", sums.different_groups, list(sums.different.clone()))
    } else {
        format!("sums of {} sealed days equal their rows to the last digit{without}", sums.days)
    };
    Finding::new("rollups_equal_rows", failed, detail)
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::ids::SourcePartition;

    use super::{Verdict, judge};
    use crate::batch::Tally;
    use crate::lake::books::Book;
    use crate::lake::check::figures::{Figures, PartitionFigures};
    use crate::lake::check::rules::RULES;

    fn clean() -> Figures {
        let source = SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 0 };
        let tally = Tally { messages: 12, rows: 10, rejected: 2, ..Tally::default() };
        let book = Book { since: 5, from: 9, to: 17, tally };
        let partition = PartitionFigures {
            source,
            rows: 10,
            last: 16,
            repeated: 0,
            offset: Some(17),
            book: Some(book),
            counted: 10,
            removed: 0,
            expired: 0,
        };
        Figures { rows: 10, files: 2, partitions: vec![partition], broken: vec![0; RULES.len()], ..Figures::default() }
    }

    /// Changes a clean lake's figures; the checks that fail then, with their details.
    fn check(change: impl FnOnce(&mut Figures), expected: &[(&str, &str)]) {
        let mut figures = clean();
        change(&mut figures);
        let failed: Vec<_> = judge(&figures).into_iter().filter(|finding| finding.verdict == Verdict::Failed).collect();
        assert_eq!(failed.len(), expected.len(), "{failed:?}");
        for (finding, (name, detail)) in failed.iter().zip(expected) {
            assert_eq!(finding.check, *name);
            assert!(finding.detail.contains(detail), "{}", finding.detail);
        }
    }

    #[test]
    fn each_fault_fails_its_own_check() {
        check(|_| {}, &[]);
        check(|figures| figures.partitions[0].repeated = 3, &[("lineage_unique", "spendstream/c/t/0: 3 places")]);
        check(
            |figures| figures.partitions[0].last = 17,
            &[("offsets_below_txn", "a row at offset 17, and 17 is the next")],
        );
        check(
            |figures| figures.partitions[0].counted = 11,
            &[("books_balance", "10 rows by the books, 11 in the table since offset 5, 0 removed")],
        );
        check(|figures| figures.rollups.different_groups = 1, &[("rollups_equal_rows", "1 groups are not what")]);
        check(
            |figures| figures.partitions[0].offset = None,
            &[("offsets_below_txn", "10 rows, and no offset"), ("books_balance", "the books end at 17")],
        );
        check(|figures| figures.broken[0] = 2, &[("cost_is_sum", "2 rows break: cost = input")]);
        check(
            |figures| figures.horizon_repeats.push("id at offset 4".into()),
            &[("repeats_dropped", "id at offset 4")],
        );
        check(|figures| figures.repricing.different = 1, &[("prices_reproducible", "1 of 0 rows cost something else")]);
        check(
            |figures| figures.repricing.missing.push(("price book 7 is not in the lake".into(), 4)),
            &[("prices_reproducible", "price book 7 is not in the lake (4 rows)")],
        );
    }

    #[test]
    fn a_topic_that_was_re_created_is_told() {
        let mut figures = clean();
        assert!(judge(&figures).iter().all(|finding| finding.check != "topic_replaced"));
        if let Some(book) = &mut figures.partitions[0].book {
            book.tally.is_ended = true;
        }
        let told = judge(&figures).into_iter().find(|finding| finding.check == "topic_replaced").unwrap();
        assert!(told.verdict == Verdict::Info && told.detail.ends_with(": spendstream/c/t/0"), "{}", told.detail);
    }

    #[test]
    fn far_repeats_are_told_and_no_fault() {
        let mut figures = clean();
        figures.repeats.push(("2026-11-22".into(), 4, 5));
        let told: Vec<_> = judge(&figures).into_iter().filter(|finding| finding.verdict == Verdict::Info).collect();
        assert_eq!(told.len(), 1);
        assert!(
            told[0].detail.starts_with("4 identities are there more than once (5 rows too many"),
            "{}",
            told[0].detail
        );
    }
}
