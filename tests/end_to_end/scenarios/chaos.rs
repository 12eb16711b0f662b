//! Up to three instances are started, stopped, killed and frozen at seeded random; whatever the order, the books agree.
//!
//! CI runs 12 rounds; `scripts/soak` runs more (`SPENDSTREAM_KILLS`).

use std::time::Duration;

use crate::harness::broker;
use crate::harness::components::need;
use crate::harness::dice::{Dice, rounds};
use crate::harness::feed::Feed;
use crate::harness::gateway::Gateway;
use crate::harness::instance::{Instance, Setup};
use crate::harness::lake::Lake;
use crate::harness::wait;

const MOST: usize = 3;
/// Longer than the session time-out below, so that some of the frozen are out of the group when they wake.
const BETWEEN: Duration = Duration::from_secs(4);

#[test]
fn any_order_of_faults_on_s3() {
    need!(Kafka, Versitygw);
    let gateway = Gateway::start();
    let (broker, lake) = (broker::shared(), Lake::s3(&gateway, "chaos"));
    let mut setup = Setup::new(broker, "chaos", 6, &lake);
    setup.set("KAFKA__CLIENT__SESSION_TIMEOUT_MS", "2000");
    setup.set("KAFKA__CLIENT__HEARTBEAT_INTERVAL_MS", "400");
    let feed = Feed::start(broker, &setup, "chaos");
    let mut dice = Dice::new(0xC4A05);
    let mut crowd = Crowd { setup: &setup, awake: vec![setup.start_ready()], frozen: Vec::new() };
    for _ in 0..rounds("SPENDSTREAM_KILLS", 12) {
        crowd.disturb(&mut dice);
        wait::let_pass(dice.time(BETWEEN));
    }
    // Whoever slept wakes beside a fresh instance, before all but that one are killed.
    crowd.frozen.iter().for_each(|sleeper| sleeper.process.signal("CONT"));
    let mut last = setup.start_ready();
    crowd.awake.into_iter().chain(crowd.frozen).for_each(Instance::kill);
    let ledger = feed.stop();
    ledger.wait_for(&lake, &mut last);
    last.stop();
    ledger.assert_equals(&lake);
}

struct Crowd<'a> {
    setup: &'a Setup,
    awake: Vec<Instance>,
    frozen: Vec<Instance>,
}

impl Crowd<'_> {
    /// One thing happens to one of them.
    fn disturb(&mut self, dice: &mut Dice) {
        let room = self.awake.len() + self.frozen.len() < MOST;
        match dice.below(5) {
            0 if !self.frozen.is_empty() => {
                let sleeper = pick(&mut self.frozen, dice);
                sleeper.process.signal("CONT");
                self.awake.push(sleeper);
            }
            1 if !self.awake.is_empty() => pick(&mut self.awake, dice).kill(),
            2 if !self.awake.is_empty() => {
                let sleeper = pick(&mut self.awake, dice);
                sleeper.process.signal("STOP");
                self.frozen.push(sleeper);
            }
            3 if self.awake.len() > 1 => pick(&mut self.awake, dice).stop(),
            _ if room => self.awake.push(self.setup.start()),
            _ => {}
        }
    }
}

fn pick(from: &mut Vec<Instance>, dice: &mut Dice) -> Instance {
    let index = usize::try_from(dice.below(from.len() as u64)).unwrap();
    from.swap_remove(index)
}
