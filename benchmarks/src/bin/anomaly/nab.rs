//! NAB's score. In go series and a score per point, out comes one figure per profile, with one threshold for all series.
//!
//! The rule (Lavin and Ahmad, 2015): within a window the earliest detection counts, weighted by a sigmoid; detections outside cost
//! by their distance to the window before; a missed window costs one or two. 0 is silence, 100 is perfect. The first 15 % of a
//! series, at most 750 points, are for learning.

use std::collections::HashMap;

use crate::corpus::Labelled;

/// What a false detection and a missed window cost.
#[derive(Clone, Copy)]
pub struct Profile {
    pub missed: f64,
    pub wrong: f64,
}

pub const STANDARD: Profile = Profile { missed: 1.0, wrong: 0.11 };
pub const FEW_FALSE: Profile = Profile { missed: 1.0, wrong: 0.22 };
pub const FEW_MISSED: Profile = Profile { missed: 2.0, wrong: 0.11 };

/// A point that counts.
#[derive(Clone)]
struct Point {
    score: f64,
    window: Option<usize>,
    worth: f64,
    series: usize,
}

/// All points of a corpus, by falling score.
#[derive(Clone)]
pub struct Judged {
    points: Vec<Point>,
    /// The series of each window.
    windows: Vec<usize>,
}

/// The best of one profile.
#[derive(Clone, Copy)]
pub struct Best {
    pub score: f64,
    pub threshold: f64,
}

/// Points that a detector may learn from without being judged: 15 %, rounded as the published scorer rounds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded down on purpose; lengths are positive"
)]
pub fn learning(points: usize) -> usize {
    ((0.15 * points as f64) as usize).min(750)
}

fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

impl Judged {
    /// Lays scores (one list per series) over the windows.
    pub fn new(corpus: &[Labelled], scores: &[Vec<f64>]) -> Self {
        let mut judged = Self { points: Vec::new(), windows: Vec::new() };
        for (number, (series, scores)) in corpus.iter().zip(scores).enumerate() {
            judged.add(number, series, scores);
        }
        judged.points.sort_by(|a, b| b.score.total_cmp(&a.score));
        judged
    }

    fn add(&mut self, number: usize, series: &Labelled, scores: &[f64]) {
        let learning = learning(series.values.len());
        let index: HashMap<_, _> = series.times.iter().enumerate().map(|(index, at)| (*at, index)).collect();
        let spans: Vec<(usize, usize)> = (series.windows.iter())
            .map(|(from, to)| (index[from], index[to]))
            .filter(|(_, to)| *to >= learning)
            .map(|(from, to)| (from.max(learning), to))
            .collect();
        let first = self.windows.len();
        self.windows.extend(spans.iter().map(|_| number));
        let mut at = 0;
        for (index, score) in scores.iter().enumerate().skip(learning) {
            while at < spans.len() && spans[at].1 < index {
                at += 1;
            }
            let inside = spans.get(at).filter(|(from, _)| *from <= index);
            let (window, worth) = match (inside, at) {
                (Some((from, to)), _) => {
                    let width = (to - from + 1) as f64;
                    (Some(first + at), sigmoid(-((to - index + 1) as f64) / width) / sigmoid(-1.0))
                }
                (None, 0) => (None, -1.0),
                (None, _) => {
                    let (from, to) = spans[at - 1];
                    (None, sigmoid((index - to) as f64 / ((to - from) as f64).max(1.0)))
                }
            };
            self.points.push(Point { score: *score, window, worth, series: number });
        }
    }

    /// The windows that count.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// The part of some series.
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let points = self.points.iter().filter(|point| keep(point.series)).cloned().collect();
        Self { points, windows: self.windows.iter().copied().filter(|series| keep(*series)).collect() }
    }

    /// The threshold that serves best, and its score.
    pub fn best(&self, profile: Profile) -> Best {
        let silence = -profile.missed * self.windows() as f64;
        let mut best = (silence, 1.1);
        self.walk(profile, |threshold, raw| {
            if raw > best.0 {
                best = (raw, threshold);
            }
        });
        Best { score: self.percent(best.0, profile), threshold: best.1 }
    }

    /// The raw score at a threshold that was found elsewhere.
    pub fn raw_at(&self, threshold: f64, profile: Profile) -> f64 {
        let mut found = -profile.missed * self.windows() as f64;
        self.walk(profile, |score, raw| {
            if score >= threshold {
                found = raw;
            }
        });
        found
    }

    /// A raw score on the scale from silence (0) to perfect (100).
    pub fn percent(&self, raw: f64, profile: Profile) -> f64 {
        let windows = self.windows() as f64;
        100.0 * (raw + profile.missed * windows) / (windows + profile.missed * windows)
    }

    /// Lowers the threshold from score to score and tells the raw score at each.
    fn walk(&self, profile: Profile, mut tell: impl FnMut(f64, f64)) {
        let mut found: HashMap<usize, f64> = HashMap::new();
        let (mut gained, mut wrong) = (0.0, 0.0);
        for group in self.points.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
            for point in group {
                let Some(window) = point.window else {
                    wrong += profile.wrong * point.worth;
                    continue;
                };
                let so_far = found.entry(window).or_insert(0.0);
                if point.worth > *so_far {
                    gained += point.worth - *so_far;
                    *so_far = point.worth;
                }
            }
            let missed = (self.windows() - found.len()) as f64;
            tell(group[0].score, gained + wrong - profile.missed * missed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{DATA, corpus, detectors};

    /// What an independent scorer (in Python) gives the windowed gaussian on the shipped series.
    #[test]
    fn windowed_gaussian_scores_what_it_is_known_to_score() {
        let series = corpus::read(&Path::new(DATA).join("nab.txt")).unwrap();
        let scores: Vec<Vec<f64>> = series.iter().map(detectors::gaussian).collect();
        let judged = Judged::new(&series, &scores);
        let score = |profile| format!("{:.2}", judged.best(profile).score);
        assert_eq!(judged.windows(), 59);
        assert_eq!([score(STANDARD), score(FEW_FALSE), score(FEW_MISSED)], ["32.45", "15.35", "39.71"]);
    }

    #[test]
    fn silence_is_zero_and_one_detection_at_the_start_of_each_window_is_nearly_perfect() {
        let series = corpus::read(&Path::new(DATA).join("nab.txt")).unwrap();
        let silent: Vec<Vec<f64>> = series.iter().map(|one| vec![0.0; one.values.len()]).collect();
        assert!(Judged::new(&series, &silent).best(STANDARD).score.abs() < 1e-9);
        let starts = |one: &Labelled| -> Vec<f64> {
            one.times.iter().map(|at| f64::from(one.windows.iter().any(|(from, _)| from == at))).collect()
        };
        let at_start: Vec<Vec<f64>> = series.iter().map(starts).collect();
        assert!(Judged::new(&series, &at_start).best(STANDARD).score > 99.9);
    }
}
