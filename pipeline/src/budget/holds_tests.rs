//! What is held, by whom it ends, and what others are told of it.

use std::time::Duration;

use std::sync::Arc;

use proptest::prelude::*;
use smallvec::smallvec;
use spendstream_schemas::money::Amount;

use super::super::book::BudgetCell;
use super::{Change, Full, Hold, HoldId, Holds};
use crate::aggregate::awaited::{Arrival, Awaited};

fn amount(units: i128) -> Amount {
    Amount::from_units(units).unwrap()
}

fn holds(max: usize) -> Holds {
    Holds::new(max, Arc::new(Awaited::default()))
}

fn id(text: &str) -> HoldId {
    HoldId::of(Some("acme"), None, text)
}

#[test]
fn asking_again_replaces_the_hold() {
    let mut holds = holds(10);
    let (one, two) = (BudgetCell(1), BudgetCell(2));
    holds.place(id("a"), amount(5), smallvec![one, two], (100, None)).unwrap();
    holds.place(id("b"), amount(7), smallvec![one], (100, None)).unwrap();
    assert_eq!((holds.held(one, None), holds.held(two, None)), (amount(12), amount(5)));
    assert_eq!((holds.held(one, Some(id("a"))), holds.held(two, Some(id("b")))), (amount(7), amount(5)));
    holds.place(id("a"), amount(3), smallvec![one], (200, None)).unwrap();
    assert_eq!((holds.held(one, None), holds.held(two, None), holds.len()), (amount(10), amount(0), 2));
}

#[test]
fn a_hold_ends_with_its_event_or_its_time() {
    let mut holds = holds(10);
    for (name, expires) in [("a", 100), ("b", 200)] {
        holds.place(id(name), amount(1), smallvec![BudgetCell(1)], (expires, None)).unwrap();
    }
    holds.expire(99);
    assert_eq!(holds.len(), 2);
    holds.expire(100);
    assert_eq!((holds.len(), holds.held(BudgetCell(1), None)), (1, amount(1)));
    holds.release(Arrival::of("b"), true);
    holds.release(Arrival::of("b"), true);
    assert!(holds.is_empty() && holds.by_cell.is_empty() && holds.by_expiry.is_empty());
}

#[test]
fn the_same_id_of_two_organisations_is_two_holds_that_end_together() {
    let mut holds = holds(10);
    for organization in ["acme", "bolt"] {
        let id = HoldId::of(Some(organization), None, "1");
        holds.place(id, amount(1), smallvec![BudgetCell(1)], (100, None)).unwrap();
    }
    assert_eq!(holds.held(BudgetCell(1), None), amount(2));
    holds.release(Arrival::of("1"), true);
    assert_eq!(holds.held(BudgetCell(1), None), amount(0));
}

#[test]
fn what_others_hold_counts_and_only_what_is_held_here_is_told() {
    let mut holds = holds(10);
    holds.share(Duration::from_secs(10));
    let cell = BudgetCell(1);
    holds.place(id("a"), amount(5), smallvec![cell], (100, None)).unwrap();
    let elsewhere = Hold { amount: amount(7), expires: 200, cells: smallvec![cell], claimed_at: None, run: None };
    holds.place_foreign(id("b"), elsewhere.clone()).unwrap();
    assert_eq!(holds.held(cell, None), amount(12));
    let placed = Change::Placed(id("a"), Hold { amount: amount(5), ..elsewhere.clone() });
    assert_eq!(holds.take_changes(), [Change::Placed(id("a"), Hold { expires: 100, ..hold_of(placed) })]);
    // The event of b arrives here: the others, and its holder among them, have to know.
    holds.release(Arrival::of("b"), true);
    holds.expire(100);
    assert_eq!(holds.take_changes(), [Change::Gone(id("b")), Change::Gone(id("a"))]);
    holds.place_foreign(id("c"), elsewhere).unwrap();
    holds.expire(200);
    assert!(holds.is_empty() && holds.take_changes().is_empty());
}

fn hold_of(change: Change) -> Hold {
    match change {
        Change::Placed(_, hold) => hold,
        Change::Gone(_) | Change::Unclaimed(_) => panic!("it is gone"),
    }
}

#[test]
fn what_others_say_is_over_counts_until_its_sums_surely_came() {
    let mut holds = holds(10);
    holds.share(Duration::from_secs(10));
    let cell = BudgetCell(1);
    holds.place(id("a"), amount(5), smallvec![cell], (100_000_000, None)).unwrap();
    let elsewhere =
        Hold { amount: amount(7), expires: 100_000_000, cells: smallvec![cell], claimed_at: None, run: None };
    holds.place_foreign(id("b"), elsewhere.clone()).unwrap();
    holds.take_changes();
    holds.end_soon(id("a"), 0, false);
    holds.end_soon(id("b"), 0, false);
    holds.end_soon(id("nobody's"), 0, false);
    holds.expire(1_999_999);
    assert_eq!(holds.held(cell, None), amount(12));
    holds.expire(2_000_000);
    assert!(holds.is_empty() && holds.by_expiry.is_empty());
    assert!(holds.take_changes().is_empty(), "who said so knows");
}

#[test]
fn a_hold_whose_event_came_first_ends_soon_and_is_told() {
    let mut holds = holds(10);
    holds.share(Duration::from_secs(10));
    let cell = BudgetCell(1);
    let hold = Hold { amount: amount(7), expires: 100_000_000, cells: smallvec![cell], claimed_at: None, run: None };
    holds.place_foreign(id("b"), hold).unwrap();
    holds.end_soon(id("b"), 0, true);
    assert_eq!(holds.held(cell, None), amount(7));
    holds.expire(2_000_000);
    assert_eq!(holds.take_changes(), [Change::Gone(id("b"))]);
    assert!(holds.is_empty());
}

#[test]
fn what_is_recent_is_forgotten_after_a_second() {
    let mut holds = holds(10);
    let cell = BudgetCell(1);
    holds.note_recent(1_000_000, amount(5), smallvec![cell]);
    holds.note_recent(1_500_000, amount(7), smallvec![cell]);
    holds.expire(1_999_999);
    assert_eq!(holds.recent(cell), amount(12));
    holds.expire(2_000_000);
    assert_eq!(holds.recent(cell), amount(7));
    holds.expire(2_500_000);
    assert!(holds.recent.is_empty());
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let mut holds = holds(1);
    holds.place(id("a"), amount(1), smallvec![BudgetCell(1)], (100, None)).unwrap();
    assert_eq!(holds.place(id("b"), amount(1), smallvec![BudgetCell(1)], (100, None)), Err(Full));
    holds.place(id("a"), amount(2), smallvec![BudgetCell(1)], (100, None)).unwrap();
    assert_eq!(holds.held(BudgetCell(1), None), amount(2));
}

proptest! {
    #[test]
    fn the_sum_of_a_cell_is_that_of_its_holds(steps in prop::collection::vec((0u8..4, 0u8..5, 1i64..100, 1i64..50), 1..60)) {
        let mut holds = holds(3);
        for (step, name, units, time) in steps {
            let id = id(&name.to_string());
            match step {
                0 | 1 => { let _ = holds.place(id, amount(units.into()), smallvec![BudgetCell(u128::from(name % 2)), BudgetCell(9)], (time, None)); }
                2 => holds.release(Arrival::of(&name.to_string()), true),
                _ => holds.expire(time),
            }
            for cell in [0, 1, 9].map(BudgetCell) {
                let sum: Amount = holds.by_id.values().filter(|kept| kept.hold.cells.contains(&cell)).map(|kept| kept.hold.amount).sum();
                prop_assert_eq!(holds.held(cell, None), sum);
            }
            prop_assert_eq!(holds.by_id.len(), holds.by_expiry.len());
        }
    }
}

/// Its event was read elsewhere, and sums before it are missing here: until they were read from the lake the hold counts, whatever else is told.
#[test]
fn a_hold_whose_cost_is_not_here_yet_counts_on() {
    let mut holds = Holds::new(10, Arc::default());
    holds.share(Duration::from_secs(10));
    let (id, cell) = (HoldId::of(None, None, "e1"), BudgetCell(1));
    let hold = Hold {
        amount: Amount::from_units(5).unwrap(),
        expires: 600_000_000,
        cells: smallvec![cell],
        claimed_at: None,
        run: None,
    };
    holds.place_foreign(id, hold).unwrap();
    holds.release_behind(&[Arrival::of("e1")], 1_000_000);
    holds.end_soon(id, 1_000_000, false);
    holds.expire(10_999_999);
    assert_eq!(holds.held(cell, None).units(), 5);
    holds.expire(11_000_000);
    assert_eq!(holds.held(cell, None), Amount::ZERO);
}
