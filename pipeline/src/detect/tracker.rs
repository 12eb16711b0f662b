//! How surprising is surprising here: one measure of a series beside its level and its own worst surprises. In goes a figure,
//! out comes a ratio: 1 is as surprising as the worst that is still remembered.
//!
//! The worst is raised beyond what happened and forgotten with time, so a fault that goes on, or comes back no worse, is said once.

use serde::{Deserialize, Serialize};

use super::level::{Level, Usual};
use super::settings::Settings;

/// The worst is raised by this much of the step to the new surprise: the next must be clearly worse to be news.
const RAISE: f64 = 1.5;
/// Surprises beyond this many spreads count alike; a series that was constant would otherwise be blind for years.
const MOST: f64 = 200.0;

/// One measure of one series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    level: Level,
    worst: f64,
}

/// What a figure was, beside what was expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surprise {
    /// The deviation, relative to the worst remembered and to the floor, whichever is larger.
    pub ratio: f64,
    pub usual: Usual,
    /// What ratio 1 is, in spreads.
    pub bar: f64,
}

impl Tracker {
    /// Compares a figure with the past, then learns it. `keep` is how much of the past outlives it; a deviation of less than
    /// `least` stays below the floor.
    pub fn observe(&mut self, figure: f64, keep: f64, least: f64, settings: &Settings) -> Option<Surprise> {
        let floor = settings.floor.max(f64::MIN_POSITIVE);
        let usual = self.level.usual(least / floor);
        self.level.learn(figure, keep);
        let usual = usual?;
        let deviation = ((figure - usual.mean) / usual.spread).abs().min(MOST);
        let bar = self.worst.max(floor);
        if deviation > self.worst {
            self.worst += RAISE * (deviation - self.worst);
        }
        self.worst *= keep;
        Some(Surprise { ratio: deviation / bar, usual, bar })
    }

    /// The mean of the figures so far.
    pub fn mean(&self) -> f64 {
        self.level.mean()
    }

    /// Forgets the worst surprise.
    pub fn rearm(&mut self) {
        self.worst = 0.0;
    }
}
