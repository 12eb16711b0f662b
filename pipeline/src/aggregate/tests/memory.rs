//! What a cell costs, counted.

use std::sync::Arc;

use spendstream_schemas::budget::Quarter;
use spendstream_schemas::ids::OffsetRange;

use super::properties::{LIMITS, fresh_with};
use super::rig::{NOW, daily, set, source};
use crate::aggregate::group::{Groups, SetGroups};
use crate::aggregate::plan::WatchPlan;
use crate::aggregate::sums::Sums;
use crate::aggregate::totals::Limits;
use crate::batch::Generation;

#[test]
fn a_million_cells_cost_what_is_documented() {
    const CELLS: u64 = 1_000_000;
    let plan = Arc::new(WatchPlan::default().next(&[(set(&["user"]), daily())]));
    let mut totals = fresh_with(&plan, Limits { max_cells: 2_000_000, ..LIMITS });
    let mut groups = SetGroups::new(plan.sets()[0].0);
    for user in 0..CELLS {
        groups.push(&[Some(&format!("user-{user:07}"))], Quarter::of_micros(NOW), Sums::row(Some(1)));
    }
    let batch = Arc::new(Groups {
        source: Arc::new(source(0)),
        generation: Generation(1),
        range: OffsetRange::new(0, i64::try_from(CELLS).unwrap()).unwrap(),
        plan: Arc::clone(&plan),
        rows: CELLS,
        newest_micros: Some(NOW),
        sets: vec![groups],
        arrived: Vec::new(),
        runs: Vec::new(),
    });
    totals.accept(&batch, NOW);
    totals.add(&batch, 0, 0, usize::MAX, &mut Vec::new());
    totals.added(&batch);
    assert_eq!(totals.held_cells() as u64, CELLS);
    let bytes = totals.bytes() as u64 / CELLS;
    println!("{bytes} bytes per cell");
    // Record 24, id 5 to 10, key 4 + 12, sum 33 to 75.
    assert!((78..=125).contains(&bytes), "{bytes} bytes per cell");
}
