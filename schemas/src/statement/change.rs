//! How a month differs from its statement. In: the lines of the statement, what the lake says now, what is carried out of the month already. Out: one
//! [`Change`] for each line that differs, with why. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::line::{Figures, Key, Line};
use crate::money::AmountError;

/// Why a line differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Calls and charges that came after the month was closed.
    Late,
    /// The same calls, at another price.
    Repriced,
    /// Calls that are another line's now, or were.
    Reattributed,
    /// Calls that are no longer there: repeats that were found when a day was sealed, or what was over.
    Removed,
}

impl Cause {
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Late => "late events",
            Self::Repriced => "repriced",
            Self::Reattributed => "re-attributed",
            Self::Removed => "removed",
        }
    }
}

/// What the lake says of a month now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What the statement covers, as it is now.
    pub covered: Vec<Line>,
    /// What came since.
    pub late: Vec<Line>,
    /// What earlier charges took out of the month again, and how many did per line.
    pub carried: Vec<(Line, u64)>,
}

/// A line that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    pub closed: Figures,
    /// Without what is carried into other months.
    pub now: Figures,
    /// Of the difference, what came late.
    pub late: Figures,
    /// Of the difference, what charges carried into another month already.
    pub carried: Figures,
    /// How many times.
    pub times: u64,
    pub causes: Vec<Cause>,
}

impl Change {
    /// What is not carried yet.
    ///
    /// # Errors
    /// When a sum does not fit a money column.
    pub fn open(&self) -> Result<Figures, AmountError> {
        // What was taken out of the month stands in it with the opposite sign.
        self.now.plus(&self.closed.negative())?.plus(&self.carried)
    }
}

#[derive(Default)]
struct Sides {
    closed: Figures,
    covered: Figures,
    late: Figures,
    carried: Figures,
    times: u64,
}

/// Lines that differ, or did, in the order of their keys.
///
/// # Errors
/// When a sum does not fit a money column.
pub fn changes(closed: &[Line], now: &Now) -> Result<Vec<Change>, AmountError> {
    let mut sides = BTreeMap::<&Key, Sides>::new();
    for line in closed {
        let side = sides.entry(&line.key).or_default();
        side.closed = side.closed.plus(&line.figures)?;
    }
    for line in &now.covered {
        let side = sides.entry(&line.key).or_default();
        side.covered = side.covered.plus(&line.figures)?;
    }
    for line in &now.late {
        let side = sides.entry(&line.key).or_default();
        side.late = side.late.plus(&line.figures)?;
    }
    for (line, times) in &now.carried {
        let side = sides.entry(&line.key).or_default();
        side.carried = side.carried.plus(&line.figures)?;
        side.times += times;
    }
    let moved: i64 = sides.values().map(|side| side.covered.calls - side.closed.calls).sum();
    let mut found = Vec::new();
    for (key, side) in sides {
        let rest = side.covered.plus(&side.closed.negative())?;
        let causes = causes(&side, &rest, moved);
        if causes.is_empty() && side.times == 0 {
            continue;
        }
        let now = side.covered.plus(&side.late)?;
        let Sides { closed, late, carried, times, .. } = side;
        found.push(Change { key: key.clone(), closed, now, late, carried, times, causes });
    }
    Ok(found)
}

fn causes(side: &Sides, rest: &Figures, moved: i64) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !side.late.is_nothing() {
        causes.push(Cause::Late);
    }
    if rest.calls == 0 && !rest.is_nothing() {
        causes.push(Cause::Repriced);
    } else if rest.calls < 0 && moved < 0 {
        causes.push(Cause::Removed);
    } else if rest.calls != 0 {
        causes.push(Cause::Reattributed);
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::{Cause, Now, changes};
    use crate::money::Amount;
    use crate::statement::{Figures, Key, Line};

    fn line(team: &str, calls: i64, cost: i128) -> Line {
        let mut key = Key::default();
        key.0[4] = Some(team.to_owned());
        let mut figures = Figures { calls, ..Figures::default() };
        figures.money[0] = Amount::from_units(cost).unwrap();
        Line { key, figures, users: Vec::new() }
    }

    #[test]
    fn each_difference_has_its_cause() {
        let closed = [line("a", 2, 10), line("b", 1, 5), line("c", 1, 7), line("d", 4, 4)];
        let now = Now {
            covered: vec![line("a", 2, 11), line("c", 2, 12), line("d", 4, 4)],
            late: vec![line("d", 1, 1), line("e", 1, 3)],
            carried: Vec::new(),
        };
        let found = changes(&closed, &now).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|change| {
                (change.key.get("team").unwrap(), change.causes.as_slice(), change.open().unwrap().cost().units())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("a", [Cause::Repriced].as_slice(), 1),
                ("b", [Cause::Reattributed].as_slice(), -5),
                ("c", [Cause::Reattributed].as_slice(), 5),
                ("d", [Cause::Late].as_slice(), 1),
                ("e", [Cause::Late].as_slice(), 3),
            ]
        );
    }

    #[test]
    fn what_is_carried_is_no_longer_open() {
        let closed = [line("a", 1, 5)];
        let now =
            Now { covered: vec![line("a", 1, 5)], late: vec![line("a", 1, 2)], carried: vec![(line("a", -1, -2), 1)] };
        let found = changes(&closed, &now).unwrap();
        assert!(found[0].open().unwrap().is_nothing());
        assert_eq!((found[0].now.cost().units(), found[0].times), (7, 1));
        assert!(changes(&closed, &Now { covered: closed.to_vec(), ..Now::default() }).unwrap().is_empty());
    }
}
