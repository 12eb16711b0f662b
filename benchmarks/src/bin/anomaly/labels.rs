//! Precision, recall and F1 on labelled points, one threshold for all series. In go labels and scores, out come figures.
//!
//! Plain counts every point. Point-adjusted counts a stretch of labelled points as found when any of its points was: kinder,
//! because one alarm per fault is what a person wants, but it flatters detectors that fire at random.

use crate::corpus::Labelled;

/// At the threshold with the best F1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// A score with the labelled points it finds; none is a false alarm.
struct Step {
    score: f64,
    finds: usize,
}

/// Every point by itself.
pub fn plain(corpus: &[Labelled], scores: &[Vec<f64>]) -> Found {
    let mut steps = Vec::new();
    for (series, scores) in corpus.iter().zip(scores) {
        steps.extend(
            series.labels.iter().zip(scores).map(|(label, score)| Step { score: *score, finds: usize::from(*label) }),
        );
    }
    best(steps)
}

/// A stretch of labelled points by its highest score.
pub fn adjusted(corpus: &[Labelled], scores: &[Vec<f64>]) -> Found {
    let mut steps = Vec::new();
    for (series, scores) in corpus.iter().zip(scores) {
        let points: Vec<(bool, f64)> = series.labels.iter().copied().zip(scores.iter().copied()).collect();
        for stretch in points.chunk_by(|a, b| a.0 == b.0) {
            if stretch[0].0 {
                let score = stretch.iter().map(|(_, score)| *score).fold(0.0, f64::max);
                steps.push(Step { score, finds: stretch.len() });
            } else {
                steps.extend(stretch.iter().map(|(_, score)| Step { score: *score, finds: 0 }));
            }
        }
    }
    best(steps)
}

fn best(mut steps: Vec<Step>) -> Found {
    let all: usize = steps.iter().map(|step| step.finds).sum();
    steps.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut found, mut wrong, mut best) = (0, 0, Found::default());
    for group in steps.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        found += group.iter().map(|step| step.finds).sum::<usize>();
        wrong += group.iter().filter(|step| step.finds == 0).count();
        let f1 = 2.0 * found as f64 / (found + wrong + all).max(1) as f64;
        if f1 > best.f1 {
            let precision = found as f64 / (found + wrong).max(1) as f64;
            best = Found { precision, recall: found as f64 / all.max(1) as f64, f1 };
        }
    }
    best
}
