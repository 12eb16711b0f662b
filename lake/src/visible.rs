//! Which files of several tables hold each event exactly once, and for which of them sums are at hand. Pure.
//!
//! A day moves from a hotter table to the next colder one by a number: its files are tagged with it, the rows are committed in the colder
//! table together with that number, and the tagged files are removed. Who reads one table after the other may have missed the tags: then what it
//! has does not fit, and it reads again. Who has read the hotter table first leaves out what the colder one
//! says that it has taken in.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use crate::files::{FileInfo, TableFiles};

/// Whether tables that were read one after the other, hot first, can be put together: no colder one has taken in a move that had not begun when the
/// hotter one was read. Otherwise all have to be read again.
#[must_use]
pub fn fits<T: Borrow<TableFiles>>(tables: &[T]) -> bool {
    tables.windows(2).all(|pair| pair[1].borrow().moves <= pair[0].borrow().begun)
}

/// For each table (hot first, read in that order) the files that count, in their order.
#[must_use]
pub fn visible<T: Borrow<TableFiles>>(tables: &[T]) -> Vec<Vec<&FileInfo>> {
    let counts = |at: usize, file: &FileInfo| {
        let taken = tables.get(at + 1).map_or(0, |colder| colder.borrow().moves);
        file.moving.is_none_or(|number| number > taken)
    };
    let of = |(at, table)| Borrow::<TableFiles>::borrow(table).files.iter().filter(|file| counts(at, file)).collect();
    tables.iter().enumerate().map(of).collect()
}

/// What a query of sums reads: rows of some files, and sums of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Paths by table, as [`visible`] has them: files whose rows must be read.
    pub rows: Vec<Vec<String>>,
    /// Paths in `usage_rollup`: sums of all other files.
    pub sums: Vec<String>,
}

/// Takes sums where there are any for exactly the rows that count.
#[must_use]
pub fn split(visible: &[Vec<&FileInfo>], rollup: &[FileInfo]) -> Split {
    let summed: BTreeSet<&str> = rollup.iter().filter_map(|file| file.seal.as_deref()).collect();
    let has_sums = |file: &&&FileInfo| file.seal.as_deref().is_some_and(|seal| summed.contains(seal));
    let wanted: BTreeSet<&str> =
        visible.iter().flatten().filter(|file| has_sums(file)).filter_map(|file| file.seal.as_deref()).collect();
    let paths =
        |files: &Vec<&FileInfo>| files.iter().filter(|file| !has_sums(file)).map(|file| file.path.clone()).collect();
    let is_wanted = |file: &&FileInfo| file.seal.as_deref().is_some_and(|seal| wanted.contains(seal));
    Split {
        rows: visible.iter().map(paths).collect(),
        sums: rollup.iter().filter(is_wanted).map(|file| file.path.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{fits, split, visible};
    use crate::files::{FileInfo, TableFiles};

    fn file(path: &str, seal: Option<&str>, moving: Option<i64>) -> FileInfo {
        FileInfo { path: path.into(), seal: seal.map(str::to_owned), moving, ..FileInfo::default() }
    }

    fn table(moves: i64, files: Vec<FileInfo>) -> TableFiles {
        TableFiles { moves, files, ..TableFiles::default() }
    }

    fn paths(tables: &[TableFiles]) -> Vec<Vec<&str>> {
        visible(tables).iter().map(|files| files.iter().map(|file| file.path.as_str()).collect()).collect()
    }

    /// The three steps of a move, and a chain of two.
    #[test]
    fn a_day_on_its_way_is_seen_once() {
        let moving = || vec![file("a", None, None), file("b", Some("s"), Some(3))];
        assert_eq!(paths(&[table(0, moving()), table(2, vec![])]), [vec!["a", "b"], vec![]]);
        let cold = || vec![file("c", Some("s"), None)];
        assert_eq!(paths(&[table(0, moving()), table(3, cold())]), [vec!["a"], vec!["c"]]);
        assert_eq!(paths(&[table(0, vec![file("a", None, None)]), table(3, cold())]), [vec!["a"], vec!["c"]]);
        // A reader that was slow: the day went on to the third table meanwhile.
        let third = table(7, vec![file("d", Some("s"), None)]);
        assert_eq!(paths(&[table(0, moving()), table(3, vec![]), third]), [vec!["a"], vec![], vec!["d"]]);
    }

    #[test]
    fn a_table_that_was_read_before_a_move_began_does_not_fit() {
        let begun = |begun, moves| TableFiles { moves, begun, ..TableFiles::default() };
        assert!(fits(&[begun(3, 0), begun(0, 3)]) && fits(&[begun(3, 0), begun(7, 2), begun(0, 7)]));
        assert!(!fits(&[begun(2, 0), begun(0, 3)]) && !fits(&[begun(3, 0), begun(6, 3), begun(0, 7)]));
    }

    #[test]
    fn sums_are_taken_for_exactly_the_rows_that_count() {
        let hot = table(0, vec![file("late", None, None), file("x", Some("1"), None), file("y", Some("2"), None)]);
        let cold = table(0, vec![file("z", Some("3"), None)]);
        let tables = [hot, cold];
        let rollup = [file("r1", Some("1"), None), file("r3", Some("3"), None), file("r9", Some("9"), None)];
        let split = split(&visible(&tables), &rollup);
        assert_eq!(split.rows, [vec!["late".to_owned(), "y".to_owned()], vec![]]);
        assert_eq!(split.sums, ["r1", "r3"]);
    }
}
