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
    holds.place(id("a"), amount(5), smallvec![one, two], (0, 100, None)).unwrap();
    holds.place(id("b"), amount(7), smallvec![one], (0, 100, None)).unwrap();
    assert_eq!((holds.held(one, None), holds.held(two, None)), (amount(12), amount(5)));
    assert_eq!((holds.held(one, Some(id("a"))), holds.held(two, Some(id("b")))), (amount(7), amount(5)));
    holds.place(id("a"), amount(3), smallvec![one], (0, 200, None)).unwrap();
    assert_eq!((holds.held(one, None), holds.held(two, None), holds.len()), (amount(10), amount(0), 2));
}

#[test]
fn a_hold_ends_with_its_event_or_its_time() {
    let mut holds = holds(10);
    for (name, expires) in [("a", 100), ("b", 200)] {
        holds.place(id(name), amount(1), smallvec![BudgetCell(1)], (0, expires, None)).unwrap();
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
        holds.place(id, amount(1), smallvec![BudgetCell(1)], (0, 100, None)).unwrap();
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
    holds.place(id("a"), amount(5), smallvec![cell], (0, 100, None)).unwrap();
    let elsewhere =
        Hold { amount: amount(7), expires: 200, cells: smallvec![cell], claimed_at: None, run: None, since: 0 };
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
    holds.place(id("a"), amount(5), smallvec![cell], (0, 100_000_000, None)).unwrap();
    let elsewhere =
        Hold { amount: amount(7), expires: 100_000_000, cells: smallvec![cell], claimed_at: None, run: None, since: 0 };
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
    let hold =
        Hold { amount: amount(7), expires: 100_000_000, cells: smallvec![cell], claimed_at: None, run: None, since: 0 };
    holds.place_foreign(id("b"), hold).unwrap();
    holds.end_soon(id("b"), 0, true);
    assert_eq!(holds.held(cell, None), amount(7));
    holds.expire(2_000_000);
    assert_eq!(holds.take_changes(), [Change::Gone(id("b"))]);
    assert!(holds.is_empty());
}

#[test]
fn what_is_recent_is_forgotten_after_two_seconds() {
    let mut holds = holds(10);
    let cell = BudgetCell(1);
    holds.note_recent(1_000_000, smallvec![(cell, amount(5))]);
    holds.note_recent(1_500_000, smallvec![(cell, amount(7))]);
    holds.expire(2_999_999);
    assert_eq!(holds.recent(cell), amount(12));
    holds.expire(3_000_000);
    assert_eq!(holds.recent(cell), amount(7));
    holds.expire(3_500_000);
    assert!(holds.recent.is_empty());
}

/// What is told twice of one call in other orders: all keep the same, and whoever knows better says so again.
#[test]
fn of_two_holds_for_one_call_all_keep_the_later() {
    let cell = BudgetCell(1);
    let hold = |units, since| Hold {
        amount: amount(units),
        expires: 100_000_000,
        cells: smallvec![cell],
        claimed_at: None,
        run: None,
        since,
    };
    // At the same moment the larger.
    for (first, second, kept) in [((6, 10), (4, 12), 4), ((4, 10), (6, 12), 6), ((6, 10), (4, 10), 6)] {
        let mut one = holds(10);
        let mut other = holds(10);
        for (holds, (units, since)) in [(&mut one, first), (&mut other, second)] {
            holds.share(Duration::from_secs(1));
            holds.place(id("a"), amount(units), smallvec![cell], (since, 100_000_000, None)).unwrap();
            holds.take_changes();
        }
        one.place_foreign(id("a"), hold(second.0, second.1)).unwrap();
        other.place_foreign(id("a"), hold(first.0, first.1)).unwrap();
        assert_eq!((one.held(cell, None), other.held(cell, None)), (amount(kept), amount(kept)));
        assert_eq!(one.take_changes().len() + other.take_changes().len(), 1, "it is the last word");
    }
    // A clock that is behind does not make what was asked for afterwards the earlier.
    let mut behind = holds(10);
    behind.place_foreign(id("a"), hold(6, 1000)).unwrap();
    behind.share(Duration::from_secs(1));
    behind.place(id("a"), amount(4), smallvec![cell], (10, 100_000_000, None)).unwrap();
    let placed = behind.take_changes().pop_front().unwrap();
    let mut one = holds(10);
    one.place(id("a"), amount(6), smallvec![cell], (1000, 100_000_000, None)).unwrap();
    one.place_foreign(id("a"), hold_of(placed)).unwrap();
    assert_eq!(one.held(cell, None), amount(4));
}

/// A run that is asked for again has what its calls took already, whether they run or have come.
#[test]
fn a_run_that_is_held_anew_lacks_what_its_calls_took() {
    let mut holds = holds(10);
    let (cell, run) = (BudgetCell(1), id("run"));
    let again = |holds: &mut Holds, units| holds.place(run, amount(units), smallvec![cell], (0, 100, None)).unwrap();
    again(&mut holds, 6);
    holds.place(id("call"), amount(3), smallvec![cell], (0, 100, Some(run))).unwrap();
    again(&mut holds, 6);
    assert_eq!((holds.held(cell, None), holds.held(cell, Some(run))), (amount(6), amount(3)));
    for kept in [3, 0] {
        holds.release(Arrival::of("call"), true);
        holds.draw(Arrival::of("run"), amount(3));
        assert_eq!(holds.held(cell, None), amount(kept));
        again(&mut holds, 6);
        assert_eq!(holds.held(cell, None), amount(kept));
    }
    again(&mut holds, 8);
    assert_eq!(holds.held(cell, None), amount(2));
    // What a call of other budgets holds is not the run's there.
    holds.place(id("call"), amount(1), smallvec![cell], (0, 100, Some(run))).unwrap();
    holds.place(run, amount(8), smallvec![BudgetCell(2)], (0, 100, None)).unwrap();
    assert_eq!((holds.held(cell, None), holds.held(BudgetCell(2), None)), (amount(1), amount(2)));
    holds.expire(100);
    assert!(holds.is_empty() && holds.by_cell.is_empty() && holds.by_run.is_empty());
    // Whichever of both is heard of first.
    holds.place(id("call"), amount(4), smallvec![cell], (0, 100, Some(run))).unwrap();
    again(&mut holds, 6);
    assert_eq!(holds.held(cell, None), amount(6));
    holds.release(Arrival::of("run"), true);
    assert_eq!(holds.held(cell, None), amount(4));
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let mut holds = holds(1);
    holds.place(id("a"), amount(1), smallvec![BudgetCell(1)], (0, 100, None)).unwrap();
    assert_eq!(holds.place(id("b"), amount(1), smallvec![BudgetCell(1)], (0, 100, None)), Err(Full));
    holds.place(id("a"), amount(2), smallvec![BudgetCell(1)], (0, 100, None)).unwrap();
    assert_eq!(holds.held(BudgetCell(1), None), amount(2));
}

proptest! {
    #[test]
    fn the_sum_of_a_cell_is_that_of_its_holds(steps in prop::collection::vec((0u8..6, 0u8..5, 1i64..100, 1i64..50), 1..60)) {
        let mut holds = holds(3);
        for (step, name, units, time) in steps {
            let id = id(&name.to_string());
            let run = (step != 0).then(|| HoldId::of(Some("acme"), None, "0"));
            match step {
                0 | 1 => { let _ = holds.place(id, amount(units.into()), smallvec![BudgetCell(u128::from(name % 2)), BudgetCell(9)], (0, time, run)); }
                2 => holds.release(Arrival::of(&name.to_string()), true),
                3 => holds.draw(Arrival::of(&name.to_string()), amount(units.into())),
                4 => { let _ = holds.claim(id.more(), amount(units.into()), smallvec![BudgetCell(9)], (0, run)); }
                _ => holds.expire(time),
            }
            for cell in [0, 1, 9].map(BudgetCell) {
                let sum: Amount = holds.by_id.values().filter(|kept| kept.hold.cells.contains(&cell)).map(super::Kept::rest).sum();
                prop_assert_eq!(holds.held(cell, None), sum);
            }
            for (run, kept) in &holds.by_id {
                let parts = holds.by_id.values().filter(|part| part.is_part && part.hold.run == Some(*run));
                prop_assert_eq!(kept.out, parts.map(|part| part.hold.amount).sum());
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
        since: 0,
    };
    holds.place_foreign(id, hold).unwrap();
    holds.release_behind(&[Arrival::of("e1")], 1_000_000);
    holds.end_soon(id, 1_000_000, false);
    holds.expire(10_999_999);
    assert_eq!(holds.held(cell, None).units(), 5);
    holds.expire(11_000_000);
    assert_eq!(holds.held(cell, None), Amount::ZERO);
}
