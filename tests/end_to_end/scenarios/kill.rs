//! kill -9 at any moment loses nothing and doubles nothing.
//!
//! CI runs 20 rounds on a folder and 8 on S3; `scripts/soak` runs more (`SPENDSTREAM_KILLS`). The moments are seeded:
//! half of them anywhere from the start of the process on, half shortly after it has committed something.

use std::time::Duration;

use crate::harness::broker;
use crate::harness::components::need;
use crate::harness::dice::{Dice, rounds};
use crate::harness::feed::Feed;
use crate::harness::gateway::Gateway;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::wait;

/// Longer than a start, an assignment and some commits take.
const WITHIN: Duration = Duration::from_secs(4);
/// About the time between two commits.
const AFTER_COMMIT: Duration = Duration::from_millis(300);

#[test]
fn killed_again_and_again_on_a_folder() {
    need!(Kafka);
    kill_loop("kill-file", &Lake::file(), rounds("SPENDSTREAM_KILLS", 20), 0x5EED);
}

#[test]
fn killed_again_and_again_on_s3() {
    need!(Kafka, Versitygw);
    let gateway = Gateway::start();
    kill_loop("kill-s3", &Lake::s3(&gateway, "killed"), rounds("SPENDSTREAM_KILLS", 8), 0xD1CE);
}

fn kill_loop(name: &'static str, lake: &Lake, rounds: u64, seed: u64) {
    let broker = broker::shared();
    let mut setup = Setup::new(broker, name, 4, lake);
    // A dead member holds its partitions for this long; so the next instance soon gets to work and can be killed at it.
    setup.set("KAFKA__CLIENT__SESSION_TIMEOUT_MS", "1500");
    setup.set("KAFKA__CLIENT__HEARTBEAT_INTERVAL_MS", "300");
    let feed = Feed::start(broker, &setup, name);
    let mut dice = Dice::new(seed);
    let mut killed_at_work = 0;
    for round in 0..rounds {
        let before = lake.version();
        let instance = setup.start();
        if round % 2 == 0 {
            wait::let_pass(dice.time(WITHIN));
        } else {
            wait::until("a commit", || (lake.version() > before).then_some(()));
            wait::let_pass(dice.time(AFTER_COMMIT));
        }
        instance.kill();
        killed_at_work += u64::from(lake.version() > before);
    }
    let ledger = feed.stop();
    assert!(killed_at_work >= rounds / 2, "only {killed_at_work} of {rounds} kills came after a commit");

    let mut instance = setup.start_ready();
    ledger.wait_for(lake, &mut instance);
    instance.stop();
    ledger.assert_equals(lake);
}
