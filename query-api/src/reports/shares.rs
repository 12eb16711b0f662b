//! Who pays what nobody did alone. In: lines with their cost, of which some are shared or have no owner. Out: what each line takes of that, so that all
//! together take nothing. Pure.

#![deny(clippy::float_arithmetic)]

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use spendstream_schemas::money::Amount;

use super::split::split;

/// How shared and unallocated cost is divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// It stays on lines of its own.
    #[default]
    Own,
    /// Every owner takes the same; within an owner in proportion to cost.
    Even,
    /// In proportion to cost.
    Proportional,
    /// By fixed weights of owners; who is not named takes nothing.
    Weights(BTreeMap<String, i128>),
}

impl Split {
    /// `split=even`, `weights=search:3,ads:1`.
    ///
    /// # Errors
    /// When a word or a weight cannot be read.
    pub fn new(word: Option<&str>, weights: Option<&str>) -> Result<Self, String> {
        match (word, weights) {
            (Some("weights") | None, Some(weights)) => Ok(Self::Weights(read(weights)?)),
            (Some("own") | None, None) => Ok(Self::Own),
            (Some("even"), None) => Ok(Self::Even),
            (Some("proportional"), None) => Ok(Self::Proportional),
            (Some("weights"), None) => Err("split=weights has no weights; write weights=search:3,ads:1".to_owned()),
            (Some("own" | "even" | "proportional"), Some(_)) => {
                Err("weights are there, but split is not weights; leave one of them out".to_owned())
            }
            (Some(other), _) => {
                Err(format!("split={other} is not known; write split=own, even, proportional or weights"))
            }
        }
    }

    /// As a report prints it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Own => "own".to_owned(),
            Self::Even => "even".to_owned(),
            Self::Proportional => "proportional".to_owned(),
            Self::Weights(weights) => {
                let one = |(name, weight): (&String, &i128)| format!("{name}:{}", Amount::saturating(*weight));
                format!("weights {}", weights.iter().map(one).collect::<Vec<_>>().join(","))
            }
        }
    }
}

fn read(text: &str) -> Result<BTreeMap<String, i128>, String> {
    let mut weights = BTreeMap::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let wrong = || format!("weights={text}: '{word}' is no weight; write OWNER:3 with a number above zero");
        let (owner, weight) = word.rsplit_once(':').ok_or_else(wrong)?;
        let weight = weight.parse::<Decimal>().ok().and_then(|weight| Amount::from_decimal(weight).ok());
        let weight = weight.filter(|weight| *weight > Amount::ZERO).ok_or_else(wrong)?;
        if weights.insert(owner.to_owned(), weight.units()).is_some() {
            return Err(format!("weights={text} names '{owner}' twice"));
        }
    }
    if weights.is_empty() { Err("weights names nobody; write weights=search:3,ads:1".to_owned()) } else { Ok(weights) }
}

/// Whose a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    Owner,
    /// Declared to be everybody's.
    Shared,
    /// Of calls that do not say whose they are.
    Unallocated,
}

impl Whose {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Shared => "shared",
            Self::Unallocated => "unallocated",
        }
    }
}

/// A line before anything is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its values; the first says the owner.
    pub key: Vec<Option<String>>,
    pub whose: Whose,
    pub cost: Amount,
}

impl Line {
    fn owner(&self) -> &str {
        self.key.first().and_then(Option::as_deref).unwrap_or_default()
    }
}

/// What each line takes of the lines without an owner; these give away what they have. All zero where it stays, or nobody can take it.
#[must_use]
pub fn shares(lines: &[Line], how: &Split) -> Vec<Amount> {
    let mut taken = vec![0_i128; lines.len()];
    let pool: i128 = lines.iter().filter(|line| line.whose != Whose::Owner).map(|line| line.cost.units()).sum();
    let mut owners: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.whose == Whose::Owner) {
        owners.entry(line.owner()).or_default().push(at);
    }
    let by_cost = |members: &[usize], total: i128| {
        let weights: Vec<_> = members.iter().map(|at| (&lines[*at].key, lines[*at].cost.units())).collect();
        split(total, &weights)
    };
    let weights: Vec<(&str, i128)> = match how {
        Split::Own => Vec::new(),
        // All lines are weighed together, as if they had one owner.
        Split::Proportional => {
            let all: Vec<usize> = owners.into_values().flatten().collect();
            owners = BTreeMap::from([("", all)]);
            if owners[""].is_empty() { Vec::new() } else { vec![("", 1)] }
        }
        Split::Even => owners.keys().map(|owner| (*owner, 1)).collect(),
        Split::Weights(weights) => owners.keys().filter_map(|owner| Some((*owner, *weights.get(*owner)?))).collect(),
    };
    if weights.is_empty() {
        return vec![Amount::ZERO; lines.len()];
    }
    for ((owner, _), part) in weights.iter().zip(split(pool, &weights)) {
        let members = &owners[owner];
        for (at, part) in members.iter().zip(by_cost(members, part)) {
            taken[*at] = part;
        }
    }
    for (taken, line) in taken.iter_mut().zip(lines).filter(|(_, line)| line.whose != Whose::Owner) {
        *taken = -line.cost.units();
    }
    taken.into_iter().map(Amount::saturating).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spendstream_schemas::money::Amount;

    use super::{Line, Split, Whose, shares};

    fn line(key: &[&str], whose: Whose, cost: i128) -> Line {
        let key = key.iter().map(|word| (!word.is_empty()).then(|| (*word).to_owned())).collect();
        Line { key, whose, cost: Amount::from_units(cost).unwrap() }
    }

    fn check(how: &Split, expected: &[i128]) {
        let lines = [
            line(&["ads", "m"], Whose::Owner, 10),
            line(&["search", "m"], Whose::Owner, 60),
            line(&["search", "n"], Whose::Owner, 30),
            line(&["platform", "m"], Whose::Shared, 5),
            line(&["", "m"], Whose::Unallocated, 6),
        ];
        let found: Vec<_> = shares(&lines, how).into_iter().map(Amount::units).collect();
        assert_eq!(found, expected, "{how:?}");
    }

    #[test]
    fn each_way_by_example() {
        check(&Split::Own, &[0, 0, 0, 0, 0]);
        check(&Split::Proportional, &[1, 7, 3, -5, -6]);
        // Six and five, as that of the lesser name is rounded up; then four and two, in proportion.
        check(&Split::Even, &[6, 3, 2, -5, -6]);
        check(&Split::new(None, Some("search:10,ads:1")).unwrap(), &[1, 7, 3, -5, -6]);
        check(&Split::new(Some("weights"), Some("ads:0.5")).unwrap(), &[11, 0, 0, -5, -6]);
        check(&Split::new(None, Some("nobody:1")).unwrap(), &[0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (word, weights, expected) in [
            (Some("fair"), None, "split=fair"),
            (Some("weights"), None, "has no weights"),
            (Some("even"), Some("a:1"), "leave one of them out"),
            (None, Some("a:0"), "'a:0' is no weight"),
            (None, Some("a:1,a:2"), "twice"),
            (None, Some(","), "nobody"),
        ] {
            let error = Split::new(word, weights).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn all_together_take_nothing(
            lines in prop::collection::btree_map(("[a-d]", "[mn]"), (0_u8..4, -100_i128..1_000_000_000_000), 0..12),
            way in 0_u8..4,
        ) {
            let lines: Vec<_> = lines
                .into_iter()
                .map(|((owner, model), (whose, cost))| match whose {
                    0 => line(&["", &format!("{owner}{model}")], Whose::Unallocated, cost),
                    1 => line(&[&owner, &model], Whose::Shared, cost),
                    _ => line(&[&owner, &model], Whose::Owner, cost),
                })
                .collect();
            let how = match way {
                0 => Split::Own,
                1 => Split::Even,
                2 => Split::Proportional,
                _ => Split::new(None, Some("a:1,b:2.5,z:9")).unwrap(),
            };
            let taken = shares(&lines, &how);
            prop_assert_eq!(taken.iter().map(|amount| amount.units()).sum::<i128>(), 0);
            let moved = taken.iter().any(|amount| !amount.is_zero());
            for (line, taken) in lines.iter().zip(&taken).filter(|(line, _)| line.whose != Whose::Owner) {
                prop_assert!(!moved || (line.cost + *taken).is_zero());
            }
        }
    }
}
