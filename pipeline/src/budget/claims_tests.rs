//! Several instances with one hard limit: what is told takes its time, and all room is granted once.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use spendstream_schemas::decision::Answer;

use super::fixture::{Desk, at};
use super::holds::{Change, Hold};

const HARD: &str = r#"{"name": "hard", "scope": {"team": "search"}, "amount": "1", "hard_limit": true}"#;

/// Instances that tell one another what they hold, each message within a second.
struct Company {
    desks: Vec<Desk>,
    /// When, to whom, what.
    under_way: Vec<(DateTime<Utc>, usize, Change)>,
    /// The broker takes nothing.
    is_down: bool,
    now: DateTime<Utc>,
}

impl Company {
    fn new(instances: usize) -> Self {
        let desks: Vec<Desk> = (0..instances)
            .map(|_| {
                let desk = Desk::new("hold_ttl = \"1h\"\nmax_hold_ttl = \"1h\"", &[HARD]);
                desk.live.share_holds(Duration::from_secs(1));
                desk.live.heard_all();
                desk.live.set_others(u32::try_from(instances - 1).unwrap());
                desk
            })
            .collect();
        Self { desks, under_way: Vec::new(), is_down: false, now: at("2026-11-22T12:00:00Z") }
    }

    /// A call that costs so many cents; what changes reaches the others after so many milliseconds.
    fn ask(&mut self, instance: usize, id: &str, cents: u32, delay: u32) -> Answer {
        let body = format!(
            r#"{{"provider": "acme", "model": "big", "input_tokens": {}, "output_tokens": 0, "team": "search", "id": "{id}"}}"#,
            cents * 1000
        );
        self.pass_on(instance, &body, delay)
    }

    /// A run as a whole; an item is two and a half cents.
    fn run(&mut self, instance: usize, id: &str, items: u32, delay: u32) -> Answer {
        self.pass_on(
            instance,
            &format!(r#"{{"team": "search", "items": {items}, "metrics": ["m"], "id": "{id}"}}"#),
            delay,
        )
    }

    /// A call of a run.
    fn part(&mut self, instance: usize, id: &str, run: &str, cents: u32, delay: u32) -> Answer {
        let tokens = cents * 1000;
        let body = format!(
            r#"{{"provider": "acme", "model": "big", "input_tokens": {tokens}, "output_tokens": 0, "team": "search", "id": "{id}", "run_id": "{run}"}}"#
        );
        self.pass_on(instance, &body, delay)
    }

    fn pass_on(&mut self, instance: usize, body: &str, delay: u32) -> Answer {
        let answer = self.desks[instance].ask_all(body);
        if !self.is_down {
            self.tell(instance, delay);
        }
        answer
    }

    fn tell(&mut self, instance: usize, delay: u32) {
        let arrives = self.now + TimeDelta::milliseconds(delay.into());
        for change in self.desks[instance].live.take_changes() {
            let others = (0..self.desks.len()).filter(|other| *other != instance);
            self.under_way.extend(others.map(|other| (arrives, other, change.clone())));
        }
        self.desks[instance].live.told(self.now);
    }

    /// The broker goes away once all that was told is heard, or comes back.
    fn turn(&mut self, is_down: bool, delay: u32) {
        self.wait(if is_down { 1000 } else { 0 });
        self.is_down = is_down;
        for instance in 0..self.desks.len() {
            if !is_down {
                self.tell(instance, delay);
            }
        }
    }

    /// So many seconds, in which each hears itself again and again.
    fn pass(&mut self, seconds: u32) {
        (0..seconds).for_each(|_| self.wait(1000));
    }

    fn wait(&mut self, milliseconds: u32) {
        self.now += TimeDelta::milliseconds(milliseconds.into());
        let now = self.now;
        // In the order of their arrival, as one partition keeps it.
        self.under_way.sort_by_key(|(arrives, ..)| *arrives);
        let later = self.under_way.iter().position(|(arrives, ..)| *arrives > now).unwrap_or(self.under_way.len());
        for (arrives, to, change) in self.under_way.drain(..later) {
            self.desks[to].live.hear(as_heard(change, arrives), arrives);
        }
        for desk in &mut self.desks {
            desk.now = now;
            if !self.is_down {
                desk.live.heard(now);
            }
        }
    }
}

/// A claim is known from when it is heard.
fn as_heard(change: Change, at: DateTime<Utc>) -> Change {
    match change {
        Change::Placed(id, hold) => {
            let claimed_at = hold.claimed_at.map(|_| at.timestamp_micros());
            Change::Placed(id, Hold { claimed_at, ..hold })
        }
        gone => gone,
    }
}

#[test]
fn a_call_that_needs_more_than_a_share_runs_when_it_asks_again() {
    let mut company = Company::new(3);
    let first = company.ask(0, "large", 60, 900);
    assert_eq!((first.allow, first.retry_after_seconds), (false, Some(3)));
    assert!(
        first.reasons[0]
            .ends_with("its room is claimed: asked again with the same id after 3 s, it runs if it still fits"),
        "{first:?}"
    );
    company.wait(1500);
    let early = company.ask(0, "large", 60, 900);
    assert_eq!((early.allow, early.retry_after_seconds), (false, Some(1)));
    // Meanwhile the others leave it its room.
    assert!(!company.ask(1, "other", 30, 900).allow);
    company.wait(500);
    // Whichever instance it asks.
    assert_eq!(company.ask(2, "large", 60, 900).retry_after_seconds, Some(1), "heard later, ripe later");
    let again = company.ask(0, "large", 60, 900);
    assert!(again.allow && again.held, "{again:?}");
    // An answer that was lost is asked for again.
    for instance in [0, 1, 2, 0] {
        company.wait(1000);
        assert!(company.ask(instance, "large", 60, 900).allow);
    }
    assert!(!company.ask(1, "other", 41, 900).allow);
}

#[test]
fn the_last_cent_is_granted_alone() {
    let mut company = Company::new(2);
    let mut granted = 0;
    for call in 0..200 {
        let answer = company.ask(0, &format!("call-{call}"), 1, 10);
        granted += u32::from(answer.allow);
        company.wait(1000);
    }
    assert_eq!(granted, 99, "who never asks again leaves the last");
    // For a minute after a claim for nothing none is made.
    company.pass(80);
    assert!(!company.ask(1, "last", 1, 10).allow);
    company.wait(2000);
    assert!(company.ask(1, "last", 1, 10).allow);
    company.wait(2000);
    let over = company.ask(0, "over", 1, 10);
    assert_eq!((over.allow, over.retry_after_seconds), (false, Some(734_400 - 284)), "nothing is left to claim");
}

#[test]
fn of_two_claims_that_do_not_fit_both_one_has_its_room() {
    for delay in [10, 999] {
        let mut company = Company::new(2);
        let claimed = [company.ask(0, "a", 60, delay), company.ask(1, "b", 60, delay)];
        assert!(claimed.iter().all(|answer| !answer.allow && answer.retry_after_seconds == Some(3)));
        company.wait(1500);
        let early = [company.ask(0, "a", 60, delay), company.ask(1, "b", 60, delay)];
        // Which of them goes first its id decides; the other waits for the end of that claim, no month.
        assert!(early.iter().all(|answer| !answer.allow && answer.retry_after_seconds <= Some(12)), "{early:?}");
        company.wait(500);
        let mut granted = u32::from(company.ask(0, "a", 60, delay).allow);
        granted += u32::from(company.ask(1, "b", 60, delay).allow);
        assert_eq!(granted, 1, "{delay}");
    }
}

#[test]
fn a_claim_ends_when_nobody_asks_again() {
    let mut company = Company::new(2);
    assert!(!company.ask(0, "gone", 90, 10).allow);
    company.wait(1000);
    let small = company.ask(1, "small", 11, 10);
    assert_eq!((small.allow, small.retry_after_seconds), (false, Some(11)), "until the claim ends");
    company.pass(12);
    assert!(company.ask(1, "small", 11, 10).allow);
    // Who takes a new id for every try keeps nobody out.
    let mut shut_out = 0;
    for second in 0..60 {
        company.ask(0, &format!("greedy-{second}"), 70, 10);
        company.wait(1000);
        shut_out += u32::from(!company.ask(1, &format!("small-{second}"), 1, 10).allow && second < 30);
    }
    assert_eq!(shut_out, 0);
}

#[test]
fn who_counts_a_claim_hears_of_the_call_before_the_claim_ends() {
    let mut company = Company::new(2);
    assert!(!company.ask(1, "large", 60, 10).allow);
    company.wait(7500);
    // Told within a second, it might come after the first instance forgot the claim: it is claimed anew.
    assert_eq!(company.ask(0, "large", 60, 999).retry_after_seconds, Some(3));
    company.wait(2500);
    assert!(company.ask(0, "large", 60, 999).allow);
    // The end of a claim ends no call.
    company.pass(60);
    assert!(!company.ask(0, "other", 41, 10).allow);
    assert!(!company.ask(1, "other", 41, 10).allow);
}

#[test]
fn what_the_broker_does_not_take_is_left_to_nobody_twice() {
    let mut company = Company::new(2);
    company.turn(true, 0);
    let mut granted = 0;
    for call in 0..200_usize {
        granted += u32::from(company.ask(call % 2, &format!("call-{call}"), 1, 10).allow);
        company.wait(500);
    }
    assert_eq!(granted, 100, "each its half, however long the broker is away");
    company.turn(false, 10);
    company.wait(1000);
    assert!((0..2).all(|instance| !company.ask(instance, "over", 1, 10).allow));
}

/// Of what is held for a run each instance gives its share at a time; all of it can be had.
#[test]
fn the_calls_of_a_run_share_its_room_between_instances() {
    let mut company = Company::new(2);
    let run = r#"{"team": "search", "items": 36, "metrics": ["m"], "id": "night"}"#;
    assert!(!company.desks[0].ask_all(run).allow, "more than a share is claimed");
    company.tell(0, 10);
    company.wait(2500);
    assert!(company.desks[0].ask_all(run).held);
    company.tell(0, 10);
    company.wait(1000);
    let part = |company: &mut Company, instance: usize, call: usize| {
        let answer =
            company.desks[instance].ask(&format!(r#""team": "search", "run_id": "night", "id": "part-{call}""#));
        company.tell(instance, 900);
        answer.allow
    };
    let at_once = (0..200).filter(|call| part(&mut company, call % 2, *call)).count();
    assert!((80..=100).contains(&at_once), "{at_once} calls of a cent: ninety of the run, ten of the rest");
    let mut granted = at_once;
    for call in 200..240 {
        company.wait(2000);
        granted += usize::from(part(&mut company, call % 2, call));
    }
    assert!((89..=100).contains(&granted), "{granted}");
}

#[test]
fn a_larger_call_is_another_claim_and_what_is_granted_stays() {
    let mut company = Company::new(2);
    assert!(!company.ask(0, "a", 60, 10).allow);
    company.wait(2000);
    assert_eq!(company.ask(0, "a", 61, 10).retry_after_seconds, Some(3));
    company.wait(2000);
    assert!(company.ask(0, "a", 61, 10).allow);
    company.wait(100);
    // The running call's own hold is not given up for a claim of more: that is what it lacks.
    let more = company.ask(0, "a", 90, 10);
    assert!(!more.allow && more.retry_after_seconds == Some(3) && more.reasons[0].contains("claimed"), "{more:?}");
    company.wait(1000);
    assert!(!company.ask(1, "b", 11, 10).allow, "90 are held for it");
    company.wait(1500);
    assert!(company.ask(1, "a", 90, 10).held, "at any instance");
    company.wait(1000);
    for instance in [0, 1] {
        assert!(company.ask(instance, "a", 90, 10).allow);
        let over = company.ask(instance, "c", 11, 10);
        assert!(!over.allow && over.retry_after_seconds > Some(100), "{over:?}");
    }
    // What it claimed beside ends soon, on the other instance too.
    company.pass(10);
    for (instance, call, cents) in [(0, "d", 5), (1, "e", 2)] {
        assert!(company.ask(instance, call, cents, 10).allow);
        company.wait(3000);
    }
}

#[test]
fn a_granted_call_may_take_a_share_more() {
    let mut company = Company::new(2);
    for cents in [30, 45, 60] {
        assert!(company.ask(0, "a", cents, 10).allow, "{cents}");
        company.wait(2500);
    }
    assert!(!company.ask(0, "a", 101, 10).reasons[0].contains("claimed"));
}

/// A call that needs more than a share of what its run has left claims it there, though the budget is full.
#[test]
fn a_large_call_of_a_run_claims_its_room_in_the_runs_hold() {
    let mut company = Company::new(3);
    company.run(0, "night", 36, 10);
    company.wait(3000);
    assert!(company.run(0, "night", 36, 10).held, "90");
    company.wait(3000);
    // The rest of the budget is another's.
    assert!(!company.ask(1, "other", 10, 10).allow);
    company.wait(3000);
    assert!(company.ask(1, "other", 10, 10).held);
    company.wait(3000);
    let first = company.part(0, "large", "night", 70, 10);
    assert_eq!((first.allow, first.retry_after_seconds), (false, Some(3)), "{first:?}");
    company.wait(1000);
    // Meanwhile the others give the run's calls their share of what that leaves.
    assert!(company.part(1, "small", "night", 5, 10).held);
    assert!(!company.part(2, "too large", "night", 15, 10).allow);
    company.wait(2000);
    assert!(company.part(2, "large", "night", 70, 10).held);
    company.wait(3000);
    // To the last cent.
    let mut last = company.part(1, "last", "night", 15, 10);
    for _ in 0..20 {
        company.wait(1000);
        last = company.part(1, "last", "night", 15, 10);
        if last.allow {
            break;
        }
    }
    assert!(last.allow, "{last:?}");
    company.wait(3000);
    for instance in 0..3 {
        assert!(!company.ask(instance, "over", 1, 10).allow);
        assert!(!company.part(instance, "over", "night", 1, 10).allow);
    }
}

/// A claim of the run's room is no room for those that go before it.
#[test]
fn what_is_claimed_of_a_run_goes_back_to_the_run() {
    for name in ["a", "b", "c", "d", "e", "f"] {
        let mut company = Company::new(2);
        company.run(0, "night", 36, 10);
        company.wait(3000);
        assert!(company.run(0, "night", 36, 10).held);
        company.wait(3000);
        assert!(!company.part(0, "large", "night", 70, 10).allow);
        for _ in 0..6 {
            assert!(!company.ask(1, name, 20, 10).allow, "90 are promised to the run");
            company.wait(1500);
        }
    }
}

/// What was granted to two instances before they heard of one another.
#[test]
fn what_others_grant_unheard_is_counted_until_it_must_have_been() {
    let mut company = Company::new(2);
    let mut granted = 0;
    for (instance, call, cents, pause) in [(0, "a", 50, 990), (1, "b", 50, 300), (0, "c", 25, 0)] {
        granted += if company.ask(instance, call, cents, 999).allow { cents } else { 0 };
        company.wait(pause);
    }
    assert_eq!(granted, 100);
}

proptest! {
    /// However calls of any size ask at any instance, once or again, however slowly what they hold is told within the second that is
    /// counted on, and whether or not the broker takes it: together they never grant more than there is.
    #[test]
    fn instances_never_grant_more_than_there_is(
        instances in 2usize..5,
        sizes in prop::collection::vec(1u32..80, 8),
        steps in prop::collection::vec((0usize..4, 0usize..8, 0u32..1000, prop::sample::select(vec![0u32, 0, 1, 300, 999, 1000, 1999, 2000, 3000])), 1..80),
        turns in prop::collection::btree_set(0usize..80, 0..6),
    ) {
        let mut company = Company::new(instances);
        let mut granted: BTreeMap<usize, u32> = BTreeMap::new();
        for (step, (instance, call, delay, pause)) in steps.into_iter().enumerate() {
            if turns.contains(&step) {
                company.turn(!company.is_down, delay);
            }
            if company.ask(instance % instances, &format!("call-{call}"), sizes[call], delay).allow {
                granted.insert(call, sizes[call]);
            }
            let total: u32 = granted.values().sum();
            prop_assert!(total <= 100, "{granted:?}");
            company.wait(pause);
        }
    }

    /// The same with runs, whose calls take their room out of it, and calls that are asked for again for more.
    #[test]
    fn runs_and_calls_that_grow_never_get_more_than_there_is(
        sizes in prop::collection::vec(1u32..60, 9),
        items in prop::collection::vec(4u32..40, 2),
        steps in prop::collection::vec((0usize..2, 0usize..11, 0u32..1000, prop::sample::select(vec![0u32, 0, 300, 999, 1000, 2000, 3000])), 1..100),
        grown in 20usize..100,
    ) {
        let mut company = Company::new(2);
        let mut plain: BTreeMap<usize, u32> = BTreeMap::new();
        let mut runs = [(0_u32, BTreeMap::<usize, u32>::new()), (0, BTreeMap::new())];
        for (step, (instance, call, delay, pause)) in steps.into_iter().enumerate() {
            // In thousandths; from some step on each asks for more.
            let more = u32::from(step >= grown);
            match call {
                0..3 => {
                    let cents = sizes[call] + 7 * more;
                    if company.ask(instance, &format!("call-{call}"), cents, delay).allow {
                        plain.insert(call, cents * 10);
                    }
                }
                3..9 => {
                    let (run, cents) = (call % 2, sizes[call] + 5 * more);
                    if company.part(instance, &format!("part-{call}"), &format!("run-{run}"), cents, delay).allow {
                        runs[run].1.insert(call, cents * 10);
                    }
                }
                _ => {
                    let (run, items) = (call - 9, items[call - 9] + 2 * more);
                    if company.run(instance, &format!("run-{run}"), items, delay).allow {
                        runs[run].0 = items * 25;
                    }
                }
            }
            let promised = runs.iter().map(|(whole, parts)| parts.values().sum::<u32>().max(*whole));
            let total = plain.values().sum::<u32>() + promised.sum::<u32>();
            prop_assert!(total <= 1000, "{plain:?} {runs:?}");
            company.wait(pause);
        }
    }
}
