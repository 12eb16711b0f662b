//! Which span is inside which, as far as spans of a partition came. In: spans that were charged, and links of those that were
//! not; out: whether a span tells of a call that a span above or below it was charged for.
//!
//! A span counts only while its offset is within the horizon, whatever is still in memory.

use std::collections::VecDeque;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::call_facts::CallFacts;

/// How many spans above, and how many below, are looked at: a trace may be of any size, and may be a circle.
const MOST_STEPS: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Member {
    parent: u64,
    offset: i64,
    /// `None`: only known to be there.
    charged: Option<CallFacts>,
}

/// See the module. Spans and parents are hashes of trace and span; 0 is none.
#[derive(Debug)]
pub(super) struct Family {
    members: HashMap<u64, Member>,
    /// By parent, in order of offsets; those that were forgotten may still be named.
    children: HashMap<u64, SmallVec<[u64; 2]>>,
    /// Those that were charged; [`super::horizon`] bounds how many.
    charges: VecDeque<(u64, i64)>,
    /// Those that were not. They are not in the lake, so their number is bounded here.
    links: VecDeque<(u64, i64)>,
    most_links: usize,
}

impl Family {
    /// Remembers the newest `most_links` spans that were not charged.
    pub fn new(most_links: usize) -> Self {
        Self {
            members: HashMap::new(),
            children: HashMap::new(),
            charges: VecDeque::new(),
            links: VecDeque::new(),
            most_links,
        }
    }

    /// Of spans that tell of one call, one that counts at least what this one counts was charged.
    pub fn charged(&self, span: u64, parent: u64, facts: &CallFacts, oldest: i64) -> bool {
        let tells =
            |member: &Member| member.charged.is_some_and(|charged| charged.same_call(facts) && charged.covers(facts));
        self.above(span, parent, oldest).any(tells) || self.below(span, oldest).any(tells)
    }

    fn member(&self, span: u64, oldest: i64) -> Option<&Member> {
        self.members.get(&span).filter(|member| member.offset >= oldest)
    }

    fn above(&self, span: u64, parent: u64, oldest: i64) -> impl Iterator<Item = &Member> {
        let mut next = parent;
        std::iter::from_fn(move || {
            let member = self.member(next, oldest).filter(|_| next != span)?;
            next = member.parent;
            Some(member)
        })
        .take(MOST_STEPS)
    }

    fn below(&self, span: u64, oldest: i64) -> impl Iterator<Item = &Member> {
        let mut waiting: VecDeque<u64> = self.children(span, oldest).take(MOST_STEPS).collect();
        std::iter::from_fn(move || {
            let next = waiting.pop_front()?;
            waiting.extend(self.children(next, oldest).take(MOST_STEPS.saturating_sub(waiting.len())));
            self.member(next, oldest)
        })
        .take(MOST_STEPS)
    }

    /// The newest first.
    fn children(&self, parent: u64, oldest: i64) -> impl Iterator<Item = u64> {
        let named = self.children.get(&parent).map(SmallVec::as_slice).unwrap_or_default().iter().rev().copied();
        named.filter(move |child| self.member(*child, oldest).is_some_and(|member| member.parent == parent))
    }

    /// A span that is not charged stands here; what is known of a charged one stays.
    pub fn link(&mut self, span: u64, parent: u64, offset: i64, oldest: i64) {
        if span != 0 && self.member(span, oldest).is_none() {
            self.put(span, Member { parent, offset, charged: None });
            if self.links.len() > self.most_links {
                self.forget_oldest_link();
            }
        }
    }

    pub fn charge(&mut self, span: u64, parent: u64, offset: i64, facts: CallFacts) {
        if span != 0 {
            self.put(span, Member { parent, offset, charged: Some(facts) });
        }
    }

    fn put(&mut self, span: u64, member: Member) {
        self.members.insert(span, member);
        let order = if member.charged.is_some() { &mut self.charges } else { &mut self.links };
        order.push_back((span, member.offset));
        if member.parent == 0 {
            return;
        }
        let siblings = self.children.entry(member.parent).or_default();
        if siblings.spilled() && siblings.len() == siblings.capacity() {
            siblings.retain(|sibling| self.members.contains_key(sibling));
            // So the next look through them is as many spans away as there are.
            siblings.reserve(siblings.len());
        }
        siblings.push(span);
    }

    pub fn forget_before(&mut self, oldest: i64) {
        for charged in [true, false] {
            while let Some((span, offset)) = self.order(charged).front().copied()
                && offset < oldest
            {
                self.order(charged).pop_front();
                let Some(parent) = self.forget(span, offset, charged) else { continue };
                // Who came last is gone, so all are, or will be at once.
                if self.children.get(&parent).is_some_and(|siblings| siblings.last() == Some(&span)) {
                    self.children.remove(&parent);
                }
            }
        }
    }

    fn order(&mut self, charged: bool) -> &mut VecDeque<(u64, i64)> {
        if charged { &mut self.charges } else { &mut self.links }
    }

    /// The parent of the member that was put there then, which is gone now.
    fn forget(&mut self, span: u64, offset: i64, charged: bool) -> Option<u64> {
        let same = |member: &&Member| member.offset == offset && member.charged.is_some() == charged;
        let parent = self.members.get(&span).filter(same)?.parent;
        self.members.remove(&span);
        Some(parent)
    }

    fn forget_oldest_link(&mut self) {
        let Some((span, offset)) = self.links.pop_front() else { return };
        let Some(parent) = self.forget(span, offset, false) else { return };
        let Some(siblings) = self.children.get_mut(&parent).filter(|siblings| siblings.last() == Some(&span)) else {
            return;
        };
        // Who came last is gone, but charged ones before it may stay.
        siblings.retain(|sibling| self.members.contains_key(sibling));
        if siblings.is_empty() {
            self.children.remove(&parent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CallFacts, Family};

    #[test]
    fn what_is_forgotten_leaves_nothing_behind() {
        let mut family = Family::new(1_000);
        let facts = CallFacts { input: 1, ..CallFacts::default() };
        for offset in 0..10_000_i64 {
            let span = 1_000 + offset.cast_unsigned();
            family.charge(span, 1 + span % 3, offset, facts);
            family.link(span, 1 + span % 3, offset, offset - 50);
            family.forget_before(offset - 50);
        }
        assert_eq!((family.members.len(), family.charges.len(), family.children.len()), (51, 51, 3));
        assert!(family.children.values().map(smallvec::SmallVec::len).sum::<usize>() < 200);
        family.forget_before(10_000);
        assert_eq!((family.members.len(), family.charges.len(), family.children.len()), (0, 0, 0));
    }

    #[test]
    fn spans_that_were_not_charged_are_bounded_and_take_no_charge_with_them() {
        let mut family = Family::new(100);
        let facts = CallFacts { input: 1, ..CallFacts::default() };
        family.charge(1, 7, 0, facts);
        for span in 1_000..21_000_u64 {
            family.link(span, 7, 0, 0);
            family.link(30_000 + span, span, 0, 0);
        }
        assert_eq!((family.members.len(), family.links.len()), (101, 100));
        assert!(family.children.len() < 102, "{}", family.children.len());
        assert!(family.charged(7, 0, &facts, 0), "what is below is still known");
        family.forget_before(1);
        assert_eq!((family.members.len(), family.links.len(), family.children.len()), (0, 0, 0));
    }

    #[test]
    fn a_circle_is_looked_at_once() {
        let mut family = Family::new(10);
        family.link(1, 2, 0, 0);
        family.link(2, 1, 0, 0);
        assert!(!family.charged(3, 1, &CallFacts::default(), 0));
        assert!(!family.charged(1, 2, &CallFacts::default(), 0));
    }
}
