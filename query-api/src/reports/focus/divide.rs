//! What each meter of a group cost. In: a group, its meters, their shares where a price book could say them. Out: an amount per meter; those of a part add
//! up to the part, and all to the cost of the group. Pure.

use super::group::{Group, PARTS};
use super::meters::{Meter, ONE, Part};
use super::shares::Share;
use super::split::{Manner, split};

/// One line of the export: a meter with its money in units of 10⁻¹⁵.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub meter: Meter,
    pub cost: i128,
    pub list_cost: i128,
    pub manner: Manner,
}

/// Where a part's money goes when nothing of it was counted, which no priced call has.
const NAMES: [&str; PARTS.len()] = ["input", "output", "cache_read", "cache_write", "request"];
const IN_ORDER: [Part; PARTS.len()] = [Part::Input, Part::Output, Part::CacheRead, Part::CacheWrite, Part::Other];

/// The lines of a group, at least one.
#[must_use]
pub fn lines(group: &Group, mut meters: Vec<Meter>, shares: Option<Vec<Share>>) -> Vec<Line> {
    let by_book = shares.is_some();
    let mut shares = shares.unwrap_or_else(|| meters.iter().map(by_quantity).collect());
    for (part, name) in IN_ORDER.into_iter().zip(NAMES) {
        let has_meter = meters.iter().any(|meter| meter.part == part);
        if group.parts[part as usize] != 0 && !has_meter {
            meters.push(Meter { name: name.to_owned(), part, quantity: 0, implied: false });
            shares.push(Share { own: 1, list: 0 });
        }
    }
    if meters.is_empty() {
        let quantity = i128::from(group.calls) * ONE;
        meters.push(Meter { name: "request".to_owned(), part: Part::Other, quantity, implied: false });
        shares.push(Share { own: 1, list: 1 });
    }
    let costs = costs(group, &meters, &shares, by_book);
    let list = list_costs(group, &shares, &costs, by_book);
    let lines = meters.into_iter().zip(costs).zip(list);
    let mut lines: Vec<Line> =
        lines.map(|((meter, (cost, manner)), list_cost)| Line { meter, cost, list_cost, manner }).collect();
    // Calls are a meter of their own only where they cost something, or where there is no other.
    let free = |line: &Line| line.meter.implied && line.cost == 0 && line.list_cost == 0;
    if lines.iter().any(|line| !free(line)) {
        lines.retain(|line| !free(line));
    }
    lines
}

/// Each part among its meters.
fn costs(group: &Group, meters: &[Meter], shares: &[Share], by_book: bool) -> Vec<(i128, Manner)> {
    let mut costs = vec![(0, Manner::Exact); meters.len()];
    for part in IN_ORDER {
        let at: Vec<usize> = (0..meters.len()).filter(|at| meters[*at].part == part).collect();
        let own: Vec<i128> = at.iter().map(|at| shares[*at].own).collect();
        let total = group.parts[part as usize];
        let manner = if total == 0 || at.len() < 2 || (by_book && own.iter().sum::<i128>() == total) {
            Manner::Exact
        } else if by_book && own.iter().any(|share| *share > 0) {
            Manner::ByPrice
        } else {
            Manner::ByQuantity
        };
        let own = if manner == Manner::ByQuantity { at.iter().map(|at| meters[*at].quantity).collect() } else { own };
        for (at, cost) in at.into_iter().zip(split(total, &own)) {
            costs[at] = (cost, manner);
        }
    }
    costs
}

/// The list cost, of which the lake only has the whole: by list prices, else as the cost itself is spread.
fn list_costs(group: &Group, shares: &[Share], costs: &[(i128, Manner)], by_book: bool) -> Vec<i128> {
    let own: Vec<i128> = costs.iter().map(|(cost, _)| *cost).collect();
    let list: Vec<i128> = shares.iter().map(|share| share.list).collect();
    let is_listed = by_book && list.iter().any(|share| *share > 0);
    let shares = if is_listed || own.iter().all(|cost| *cost == 0) { list } else { own };
    split(group.list_cost, &shares)
}

fn by_quantity(meter: &Meter) -> Share {
    // What is charged by the call is not known, so what was counted has the money.
    let quantity = if meter.implied { 0 } else { meter.quantity };
    Share { own: quantity, list: quantity }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spendstream_schemas::count::{Count, Counts};

    use super::lines;
    use crate::reports::focus::group::Group;
    use crate::reports::focus::meters::meters;
    use crate::reports::focus::shares::Share;
    use crate::reports::focus::split::Manner;

    fn audio() -> Group {
        let mut group = Group { calls: 2, implied_requests: 2, ..Group::default() };
        for (count, value) in [(Count::Input, 300), (Count::UncachedInput, 300), (Count::AudioInput, 100)] {
            group.counts.set(count, value);
        }
        group.parts[0] = 1400;
        group.list_cost = 2800;
        group
    }

    #[test]
    fn the_book_says_what_a_meter_costs() {
        let group = audio();
        let shares = [(400, 800), (1000, 2000), (0, 0)].map(|(own, list)| Share { own, list });
        let found = lines(&group, meters(&group), Some(shares.to_vec()));
        let short: Vec<_> = found.iter().map(|line| (line.meter.name.as_str(), line.cost, line.list_cost)).collect();
        assert_eq!(short, [("input", 400, 800), ("audio_in", 1000, 2000)]);
        assert!(found.iter().all(|line| line.manner == Manner::Exact));
    }

    #[test]
    fn without_a_book_quantities_decide() {
        let group = audio();
        let found = lines(&group, meters(&group), None);
        let short: Vec<_> = found.iter().map(|line| (line.meter.name.as_str(), line.cost, line.list_cost)).collect();
        assert_eq!(short, [("input", 933, 1866), ("audio_in", 467, 934)]);
        assert!(found.iter().all(|line| line.manner == Manner::ByQuantity));
    }

    #[test]
    fn calls_that_used_nothing_are_a_line() {
        let found = lines(&Group { calls: 3, ..Group::default() }, Vec::new(), None);
        assert_eq!((found.len(), found[0].meter.name.as_str(), found[0].cost), (1, "request", 0));
    }

    proptest! {
        #[test]
        fn lines_add_up_to_the_group(
            counts in prop::array::uniform11(0_i64..1_000_000),
            parts in prop::array::uniform5(prop_oneof![Just(0_i128), 0_i128..10_i128.pow(30)]),
            list_cost in 0_i128..10_i128.pow(30),
            given in prop::option::of(prop::collection::vec((0_i128..10_i128.pow(24), 0_i128..10_i128.pow(24)), 32)),
        ) {
            let group = Group {
                counts: Counts::from_array(counts),
                quantities: vec![("image_out_each".into(), 3), ("video_in".into(), 5)],
                calls: 7,
                implied_requests: 4,
                parts,
                list_cost,
                ..Group::default()
            };
            let meters = meters(&group);
            let shares = given.map(|given| given.into_iter().take(meters.len()).map(|(own, list)| Share { own, list }).collect::<Vec<_>>());
            let lines = lines(&group, meters, shares);
            prop_assert_eq!(lines.iter().map(|line| line.cost).sum::<i128>(), group.parts.iter().sum::<i128>());
            prop_assert_eq!(lines.iter().map(|line| line.list_cost).sum::<i128>(), list_cost);
            prop_assert!(lines.iter().all(|line| line.cost >= 0 && line.list_cost >= 0));
        }
    }
}
