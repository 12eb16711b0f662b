//! What is usual: a mean and a mean absolute deviation that forget slowly. In go figures, out comes the usual one and its spread.
//!
//! A single outlier moves neither far: what is learnt from one figure is limited to a few spreads (Huber's way to a robust mean,
//! in 32 bytes where a median would keep the figures). Figures that stay outside are a new level, and then they are believed.

use serde::{Deserialize, Serialize};

/// Figures before anything counts as usual.
const ENOUGH: u32 = 10;
/// What one figure can teach, in spreads.
const CLIP: f64 = 8.0;
/// As many figures in a row far on the same side are a new level and no longer limited.
const NEW_LEVEL: i32 = 48;
/// The spread of a constant series, as a part of its level: less than this is nothing.
const LEAST_PART: f64 = 1e-3;
/// The spread of a series that is always zero.
const LEAST: f64 = 1e-9;

/// A level that forgets. Zeroed until the first figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    mean: f64,
    deviation: f64,
    count: u32,
    outside: i32,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    pub mean: f64,
    /// Mean absolute deviation.
    pub spread: f64,
}

impl Level {
    /// The usual figure so far, none before there were enough.
    pub fn usual(&self, least_spread: f64) -> Option<Usual> {
        (self.count >= ENOUGH).then(|| Usual { mean: self.mean, spread: self.spread().max(least_spread) })
    }

    /// Learns one figure; `keep` is how much of the past outlives it.
    pub fn learn(&mut self, figure: f64, keep: f64) {
        self.count = self.count.saturating_add(1);
        if self.count == 1 {
            self.mean = figure;
            return;
        }
        let off = self.limited(figure - self.mean);
        // The first figures weigh alike: a plain average until it is as long as the memory.
        let weight = (1.0 - keep).max(1.0 / f64::from(self.count));
        self.mean += weight * off;
        self.deviation += weight * (off.abs() - self.deviation);
    }

    fn limited(&mut self, off: f64) -> f64 {
        let most = CLIP * self.spread();
        if self.count <= ENOUGH || off.abs() <= most {
            self.outside = 0;
            return off;
        }
        let side = if off > 0.0 { 1 } else { -1 };
        self.outside = if self.outside * side > 0 { self.outside.saturating_add(side) } else { side };
        if self.outside.abs() > NEW_LEVEL { off } else { off.clamp(-most, most) }
    }

    /// The mean so far, zero at first.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    fn spread(&self) -> f64 {
        self.deviation + LEAST_PART * self.mean.abs() + LEAST
    }
}
