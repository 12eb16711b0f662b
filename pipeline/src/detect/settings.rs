//! What a person may set about the seasonal detector, with defaults. Pure values.

use chrono::TimeDelta;
use chrono_tz::Tz;

/// How readily the detector speaks. One value serves every series: it compares each with its own past.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A verdict is given from this score on. 0.5 is "as surprising as the worst of the last weeks, and at least `floor`";
    /// 0.525 is a tenth more than that, 0.6 half as much again, 0.67 twice. The default suits money, where a false
    /// alarm costs trust; 0.525 finds more.
    pub threshold: f64,
    /// Deviations below this many spreads (mean absolute deviations) never score above 0.5.
    pub floor: f64,
    /// After this time what was learnt counts half, surprises included.
    pub half_life: TimeDelta,
    /// Nothing is said about a series before it was watched for this long (and for 30 points). Just over a week by default: the
    /// first weekend looks like an outage to who has seen only working days.
    pub learn: TimeDelta,
    /// Changes smaller than this, in the unit of the series, never score above 0.5.
    pub least: f64,
    /// Changes smaller than this part of what is expected never score above 0.5.
    pub least_part: f64,
    /// Whose hours and weekdays the season follows.
    pub timezone: Tz,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threshold: 0.6,
            floor: 5.0,
            half_life: TimeDelta::days(14),
            learn: TimeDelta::days(8),
            least: 0.0,
            least_part: 0.05,
            timezone: Tz::UTC,
        }
    }
}

impl Settings {
    /// The threshold as a ratio to the worst so far: 0.6 is 1.5.
    pub fn ratio(&self) -> f64 {
        let threshold = self.threshold.clamp(0.0, 0.999);
        threshold / (1.0 - threshold)
    }

    /// How much of what was learnt is kept over `seconds`, in [0, 1].
    pub fn keep(&self, seconds: f64) -> f64 {
        let half_life = self.half_life.num_seconds().max(1) as f64;
        0.5_f64.powf(seconds.max(0.0) / half_life)
    }
}
