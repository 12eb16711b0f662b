//! The horizon by exact verdicts, and against itself: rebuilt from what was charged, it decides the same.

use proptest::prelude::*;

use super::super::call_facts::CallFacts;
use super::{Fingerprint, Horizon, Verdict};

fn call(identity: u128, content: u64) -> Fingerprint {
    Fingerprint { identity, content, span: 0, parent: 0, response: 0, facts: CallFacts::default() }
}

fn span(id: u64, parent: u64, response: u64) -> Fingerprint {
    Fingerprint { identity: u128::from(id), content: id, span: id, parent, response, facts: CallFacts::default() }
}

#[test]
fn an_equal_repeat_is_counted_once_and_another_content_conflicts() {
    let mut horizon = Horizon::new(10, 1_000);
    assert_eq!(horizon.judge(0, &call(1, 7)), Verdict::New);
    assert_eq!(horizon.judge(1, &call(1, 7)), Verdict::Repeat);
    assert_eq!(horizon.judge(2, &call(1, 8)), Verdict::Conflict);
    assert_eq!(horizon.judge(10, &call(1, 7)), Verdict::Repeat, "10 offsets back is inside");
    assert_eq!(horizon.judge(11, &call(1, 7)), Verdict::New, "repeats do not extend the horizon");
}

#[test]
fn of_nested_spans_one_is_charged() {
    let mut inner_first = Horizon::new(10, 1_000);
    assert_eq!(inner_first.judge(0, &span(2, 1, 0)), Verdict::New);
    assert_eq!(inner_first.judge(1, &span(1, 0, 0)), Verdict::NestedSpan);
    let mut outer_first = Horizon::new(10, 1_000);
    assert_eq!(outer_first.judge(0, &span(1, 0, 0)), Verdict::New);
    assert_eq!(outer_first.judge(1, &span(2, 1, 0)), Verdict::NestedSpan);
    let mut siblings = Horizon::new(10, 1_000);
    assert_eq!(siblings.judge(0, &span(2, 1, 0)), Verdict::New);
    assert_eq!(siblings.judge(1, &span(3, 1, 0)), Verdict::New);
}

/// A span of `model` that used input and output tokens.
fn used(id: u64, parent: u64, model: u64, input: i64, output: i64) -> Fingerprint {
    Fingerprint { facts: CallFacts { model, operation: 1, response: 0, input, output }, ..span(id, parent, 0) }
}

/// The ids that are charged, each span in a message of its own.
#[track_caller]
fn charges(spans: &[Fingerprint], expected: &[u64]) {
    let mut horizon = Horizon::new(100, 1_000);
    let judged = spans.iter().zip(0..).filter(|(span, offset)| horizon.judge(*offset, span) == Verdict::New);
    assert_eq!(judged.map(|(span, _)| span.span).collect::<Vec<_>>(), expected);
}

#[test]
fn a_span_without_counts_never_hides_one_with_counts() {
    let (outer, failed, output) = (used(1, 0, 9, 1_000, 100), used(2, 1, 9, 0, 0), used(3, 1, 9, 0, 100));
    charges(&[failed, outer], &[2, 1]);
    charges(&[outer, failed], &[1]);
    charges(&[used(1, 0, 9, 0, 0), used(2, 1, 9, 1_000, 100)], &[1, 2]);
    charges(&[outer, output], &[1]);
    charges(&[output, outer], &[3, 1]);
}

#[test]
fn a_span_inside_one_of_another_model_is_another_call() {
    let (chat, embedding) = (used(1, 0, 9, 5_000, 500), used(2, 1, 8, 10, 0));
    charges(&[embedding, chat], &[2, 1]);
    charges(&[chat, embedding], &[1, 2]);
    // Round a third span of the outer one's model.
    let inner = used(3, 2, 9, 5_000, 500);
    charges(&[inner, embedding, chat], &[3, 2]);
    charges(&[chat, embedding, inner], &[1, 2]);
}

#[test]
fn an_outer_span_that_was_not_charged_does_not_hide_its_other_calls() {
    let (outer, one, two) = (used(1, 0, 9, 3_000, 300), used(2, 1, 9, 1_000, 100), used(3, 1, 9, 2_000, 200));
    charges(&[one, two, outer], &[2, 3]);
    charges(&[one, outer, two], &[2, 3]);
    charges(&[outer, one, two], &[1]);
}

#[test]
fn of_spans_in_a_circle_one_is_charged() {
    charges(&[used(1, 2, 9, 10, 1), used(2, 1, 9, 10, 1)], &[1]);
    charges(&[used(1, 3, 9, 10, 1), used(2, 1, 9, 10, 1), used(3, 2, 9, 10, 1)], &[1]);
}

#[test]
fn a_link_between_two_spans_tells_that_they_are_nested() {
    for (first, second) in [(used(1, 0, 9, 10, 1), used(3, 2, 9, 10, 1)), (used(3, 2, 9, 10, 1), used(1, 0, 9, 10, 1))]
    {
        let mut horizon = Horizon::new(3, 1_000);
        assert_eq!(horizon.judge(0, &first), Verdict::New);
        horizon.link(1, 2, 1);
        assert_eq!(horizon.judge(2, &second), Verdict::NestedSpan);
        assert_eq!(horizon.judge(4, &second), Verdict::New, "what was charged is 4 offsets back");
    }
}

#[test]
fn a_link_does_not_take_a_charge_back() {
    let mut horizon = Horizon::new(10, 1_000);
    assert_eq!(horizon.judge(0, &used(1, 0, 9, 10, 1)), Verdict::New);
    horizon.link(1, 1, 0);
    assert_eq!(horizon.judge(1, &used(2, 1, 9, 10, 1)), Verdict::NestedSpan);
}

#[test]
fn a_response_is_charged_once_when_a_span_is_involved() {
    let with_response = |identity, response| Fingerprint { response, ..call(identity, 0) };
    let mut horizon = Horizon::new(10, 1_000);
    assert_eq!(horizon.judge(0, &with_response(1, 5)), Verdict::New);
    assert_eq!(horizon.judge(1, &with_response(2, 5)), Verdict::New, "two calls with ids of their own");
    assert_eq!(horizon.judge(2, &span(3, 0, 5)), Verdict::SameResponse);
    assert_eq!(horizon.judge(3, &span(4, 0, 6)), Verdict::New);
    assert_eq!(horizon.judge(4, &with_response(7, 6)), Verdict::SameResponse);
}

#[test]
fn memory_is_bounded_by_rows_too_and_whole_messages_are_forgotten() {
    let mut horizon = Horizon::new(1_000_000, 4);
    for (offset, identity) in [(0, 1), (0, 2), (1, 3), (2, 4)] {
        assert_eq!(horizon.judge(offset, &call(identity, 0)), Verdict::New);
    }
    assert_eq!(horizon.judge(3, &call(1, 0)), Verdict::Repeat);
    assert_eq!(horizon.judge(3, &call(5, 0)), Verdict::New, "a fifth row: the two of the first message go");
    assert_eq!(horizon.len(), 3);
    assert_eq!(horizon.judge(4, &call(2, 0)), Verdict::New);
    assert_eq!(horizon.judge(4, &call(3, 0)), Verdict::Repeat);
}

fn rebuilt_anywhere(
    events: &[(i64, Fingerprint)],
    cut: usize,
    (horizon_span, most): (i64, usize),
) -> Result<(), TestCaseError> {
    let mut cut = cut.min(events.len());
    // A restart is between two messages.
    while cut > 0 && cut < events.len() && events[cut].0 == events[cut - 1].0 {
        cut += 1;
    }
    let mut live = Horizon::new(horizon_span, most);
    let mut charged = Vec::new();
    for (offset, event) in &events[..cut] {
        if live.judge(*offset, event) == Verdict::New {
            charged.push((*offset, *event));
        }
    }
    let next = events.get(cut).map_or(0, |(offset, _)| *offset);
    let mut rebuilt = Horizon::new(horizon_span, most);
    let within: Vec<_> = charged.iter().filter(|(offset, _)| *offset >= next - horizon_span).collect();
    for (offset, event) in &within[within.len().saturating_sub(rebuilt.rows_to_rebuild())..] {
        rebuilt.remember(*offset, event);
    }
    for (offset, event) in &events[cut..] {
        prop_assert_eq!(live.judge(*offset, event), rebuilt.judge(*offset, event));
    }
    Ok(())
}

proptest! {
    /// Whatever was charged within the horizon, a horizon rebuilt from it at any point decides the rest the same.
    #[test]
    fn a_rebuilt_horizon_decides_the_same(
        events in prop::collection::vec((0u128..6, 0u64..2, 0i64..4), 1..60),
        cut in 0usize..60,
        bounds in (1i64..20, 1usize..12),
    ) {
        let mut offset = 0;
        let events: Vec<_> = events.into_iter().map(|(id, content, step)| {
            offset += step;
            (offset, call(id, content))
        }).collect();
        rebuilt_anywhere(&events, cut, bounds)?;
    }

    /// So do spans: of an outer one, or none, since what was not charged is forgotten.
    #[test]
    fn a_rebuilt_horizon_decides_the_same_of_spans(
        events in prop::collection::vec((1u64..7, 1u64..3, 0i64..2, 0i64..2, 0i64..4), 1..60),
        cut in 0usize..60,
        bounds in (1i64..20, 1usize..12),
    ) {
        let mut offset = 0;
        let events: Vec<_> = events.into_iter().zip(1_000u128..).map(|((id, model, input, output, step), identity)| {
            offset += step;
            (offset, Fingerprint { identity, ..used(id, u64::from(id > 1), model, input, output) })
        }).collect();
        rebuilt_anywhere(&events, cut, bounds)?;
    }
}
