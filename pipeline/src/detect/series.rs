//! One series against its own past. In go its points in order of time, out comes for each a score and, if it is news, a verdict.
//!
//! What is tracked, each with its own level and its own worst surprise: the point, the mean of the last dozen points (a level
//! shift), how far these vary, and the point less what its hour of the day or of the week usually brings. The most surprising one
//! speaks. The size is bounded and stated; the state is plain values, to be stored, or rebuilt by feeding the hourly history again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::season::{Baseline, Season};
use super::settings::Settings;
use super::tracker::{Surprise, Tracker};
use super::verdict::{Against, Kind, Verdict};

/// Points that the mean and the variation of "now" are taken over.
pub const WINDOW: usize = SIZE as usize;
const SIZE: u8 = 12;
/// The point, the mean, the variation, the point off its hour of the day, the point off its hour of the week.
const TRACKERS: usize = 5;
/// Points before anything is said.
const ENOUGH: u32 = 30;
/// Figures beyond this are a fault of the source; below it no mean can overflow.
const LARGEST: f64 = 1e30;
/// A pause of more than this many usual steps is a gap: what was before it is not "now".
const GAP_STEPS: f64 = 12.0;

/// What is remembered of one series: at most [`Series::BYTES`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    points: u32,
    /// The usual time between points, in seconds.
    step: f64,
    recent: [f64; WINDOW],
    filled: u8,
    next: u8,
    trackers: [Tracker; TRACKERS],
    open: Option<Open>,
    hush: Hush,
    season: Season,
}

/// An anomaly that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    /// Which tracker spoke.
    tracker: u8,
    /// How far from its level the measure has to stay.
    reach: f64,
}

/// For a dozen points after a verdict only what is clearly more surprising is news: one spike is in the mean of the last points as
/// long, and need not be said again as a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hush {
    points: u8,
    ratio: f64,
}

/// What is thought of one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judgement {
    /// In [0, 1]; 0.5 is as surprising as the worst that is remembered.
    pub score: f64,
    /// Given once, when an anomaly begins or gets clearly worse.
    pub verdict: Option<Verdict>,
    /// Whether what was said last still holds; false again is recovery, or the new normal.
    pub ongoing: bool,
}

/// A figure that is tracked.
#[derive(Clone, Copy)]
enum Measure {
    Point,
    Mean,
    Variation,
    /// Less what the hour usually brings, which is inside.
    OffSeason(f64),
}

/// A measure, its figure, and how surprising that is.
type Found = (Measure, f64, Surprise);

impl Series {
    /// Memory of one series, heap included.
    pub const BYTES: usize = size_of::<Series>() + Season::HEAP_BYTES;

    /// A series that has seen `history`, oldest first.
    pub fn rebuild(history: impl IntoIterator<Item = (DateTime<Utc>, f64)>, settings: &Settings) -> Self {
        let mut series = Series::default();
        for (at, value) in history {
            series.observe(at, value, settings);
        }
        series
    }

    /// Judges a point by what came before it, then learns it. A quiet hour is a point of value zero; an hour without a point is
    /// unknown. A point older than the last one, or one that is no number below 10³⁰, is neither judged nor learnt.
    pub fn observe(&mut self, at: DateTime<Utc>, value: f64, settings: &Settings) -> Judgement {
        if value.is_nan() || value.abs() > LARGEST || self.last.is_some_and(|last| at < last) {
            return Judgement::default();
        }
        let keep = settings.keep(self.advance(at));
        let (mean, variation) = self.push(value);
        let off_season = |baseline: f64| (Measure::OffSeason(baseline), value - baseline);
        let (of_day, of_week) = match self.season.observe(at, value, settings) {
            Some(Baseline::OfDay(baseline)) => (Some(off_season(baseline)), None),
            Some(Baseline::OfWeek(baseline)) => (None, Some(off_season(baseline))),
            None => (None, None),
        };
        let figures = [
            Some((Measure::Point, value)),
            mean.map(|mean| (Measure::Mean, mean)),
            variation.map(|variation| (Measure::Variation, variation)),
            of_day,
            of_week,
        ];
        let level = self.trackers[0].mean();
        let mut surprises = [None; TRACKERS];
        for ((slot, tracker), figure) in surprises.iter_mut().zip(&mut self.trackers).zip(figures) {
            *slot = figure.and_then(|(measure, figure)| {
                let about = if let Measure::OffSeason(baseline) = measure { baseline } else { level };
                let least = settings.least.max(settings.least_part * about.abs());
                Some((measure, figure, tracker.observe(figure, keep, least, settings)?))
            });
        }
        if self.has_learnt(settings) { self.judge(&surprises, settings) } else { Judgement::default() }
    }

    /// Forgets how bad the worst was, not what is usual: after an incident that is known and over, a smaller one is news again.
    pub fn rearm(&mut self) {
        self.trackers.iter_mut().for_each(Tracker::rearm);
        self.open = None;
        self.hush = Hush::default();
    }

    /// The time of the last point.
    pub fn last(&self) -> Option<DateTime<Utc>> {
        self.last
    }

    /// The most surprising measure speaks; what was said before is held open until that measure is back.
    fn judge(&mut self, surprises: &[Option<Found>; TRACKERS], settings: &Settings) -> Judgement {
        let held = self.open.and_then(|open| Some((open, surprises[usize::from(open.tracker)]?)));
        if held.is_none_or(|(open, (_, figure, surprise))| (figure - surprise.usual.mean).abs() <= open.reach) {
            self.open = None;
        }
        let found = (0_u8..).zip(surprises).filter_map(|(tracker, found)| Some((tracker, (*found)?)));
        let Some((tracker, found)) = found.max_by(|(_, a), (_, b)| a.2.ratio.total_cmp(&b.2.ratio)) else {
            return Judgement::default();
        };
        let (_, _, surprise) = found;
        let score = surprise.ratio / (1.0 + surprise.ratio);
        self.hush.points = self.hush.points.saturating_sub(1);
        let news = score >= settings.threshold && (self.hush.points == 0 || surprise.ratio > self.hush.ratio);
        if news {
            self.hush = Hush { points: SIZE, ratio: surprise.ratio };
            self.open = Some(Open { tracker, reach: reach(surprise, settings) });
        }
        let verdict = news.then(|| verdict(found, settings));
        Judgement { score, verdict, ongoing: self.open.is_some() }
    }

    fn has_learnt(&self, settings: &Settings) -> bool {
        let watched = self.first.zip(self.last).is_some_and(|(first, last)| last - first >= settings.learn);
        watched && self.points > ENOUGH
    }

    /// Seconds that passed and count: a gap counts as its first steps, for nothing was learnt in it.
    fn advance(&mut self, at: DateTime<Utc>) -> f64 {
        self.first.get_or_insert(at);
        let passed = self.last.map_or(0.0, |last| (at - last).num_seconds() as f64);
        self.last = Some(at);
        self.points = self.points.saturating_add(1);
        if self.points <= 2 {
            self.step = passed;
            return passed;
        }
        let most = GAP_STEPS * self.step.max(1.0);
        if passed > most {
            self.filled = 0;
        }
        let counted = passed.min(most);
        self.step += (counted - self.step) / f64::from(self.points.min(50));
        counted
    }

    /// Adds to the last points; their mean and mean absolute deviation once there are a dozen.
    fn push(&mut self, value: f64) -> (Option<f64>, Option<f64>) {
        self.recent[usize::from(self.next)] = value;
        self.next = (self.next + 1) % SIZE;
        self.filled = (self.filled + 1).min(SIZE);
        if self.filled < SIZE {
            return (None, None);
        }
        let mean = self.recent.iter().sum::<f64>() / WINDOW as f64;
        let variation = self.recent.iter().map(|value| (value - mean).abs()).sum::<f64>() / WINDOW as f64;
        (Some(mean), Some(variation))
    }
}

/// How far from its level a measure may be without a word.
fn reach(surprise: Surprise, settings: &Settings) -> f64 {
    settings.ratio() * surprise.bar * surprise.usual.spread
}

fn verdict((measure, figure, surprise): Found, settings: &Settings) -> Verdict {
    let up = figure > surprise.usual.mean;
    let (kind, against, base) = match measure {
        Measure::Point => (if up { Kind::Spike } else { Kind::Drop }, Against::Level, 0.0),
        Measure::OffSeason(base) => (if up { Kind::Spike } else { Kind::Drop }, Against::Season, base),
        Measure::Mean => (if up { Kind::LevelUp } else { Kind::LevelDown }, Against::Level, 0.0),
        Measure::Variation => (Kind::Unsteady, Against::Level, 0.0),
    };
    let expected = base + surprise.usual.mean;
    let reach = reach(surprise, settings);
    Verdict { kind, against, figure: base + figure, expected, low: expected - reach, high: expected + reach }
}
