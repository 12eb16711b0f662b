//! The producer's own books: every event that must be in the lake, once, with its cost; and the comparison with a lake.

use std::collections::BTreeMap;

use super::events::{Event, Femto, femto};
use super::instance::Instance;
use super::lake::{Lake, text};

/// What was produced and must be charged.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    costs: BTreeMap<String, Femto>,
}

impl Ledger {
    /// The event is to be charged; said again (a retry) it changes nothing.
    pub fn add(&mut self, event: &Event) {
        self.costs.insert(event.id.clone(), event.cost);
    }

    /// Events that must be there.
    pub fn count(&self) -> u64 {
        self.costs.len() as u64
    }

    /// What they cost together.
    pub fn sum(&self) -> Femto {
        self.costs.values().sum()
    }

    /// Waits until `instance` has brought as many rows as the books have.
    pub fn wait_for(&self, lake: &Lake, instance: &mut Instance) {
        instance.wait_rows(lake, self.count());
    }

    /// Every id once, each at its cost, the sums equal to the last digit, and `lake check` clean.
    pub fn assert_equals(&self, lake: &Lake) {
        let mut found: BTreeMap<String, Vec<Femto>> = BTreeMap::new();
        for row in lake.rows("SELECT event_id, cost FROM usage") {
            found.entry(text(&row["event_id"])).or_default().push(femto(&text(&row["cost"])));
        }
        let mut wrong = Vec::new();
        for (id, cost) in &self.costs {
            match found.remove(id).as_deref() {
                Some([found]) if found == cost => {}
                other => wrong.push(format!("{id}: {other:?} in the lake, {cost} in the books")),
            }
        }
        wrong.extend(found.into_iter().map(|(id, costs)| format!("{id}: {costs:?} in the lake, not in the books")));
        assert!(wrong.is_empty(), "{} differences, the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
        let total =
            &lake.rows("SELECT count(*) AS n, count(DISTINCT event_id) AS ids, sum(cost) AS cost FROM usage")[0];
        assert_eq!(text(&total["n"]), self.count().to_string());
        assert_eq!(text(&total["ids"]), self.count().to_string());
        assert_eq!(femto(&text(&total["cost"])), self.sum());
        lake.assert_clean();
    }
}
