//! What is compared: ours, the simple rule, and simple baselines. In goes one series, out comes a score per point, each made
//! from that point and those before it.

use std::collections::VecDeque;

use spendstream_pipeline::detect::{Series, Settings};

use crate::corpus::Labelled;
use crate::nab::learning;

/// The seasonal robust detector.
pub fn seasonal(series: &Labelled, settings: &Settings) -> Vec<f64> {
    let mut ours = Series::default();
    let points = series.times.iter().zip(&series.values);
    points.map(|(at, value)| ours.observe(*at, *value, settings).score).collect()
}

/// The seasonal robust detector at its own threshold: 1 where something is said, else 0.
pub fn seasonal_verdicts(series: &Labelled, settings: &Settings) -> Vec<f64> {
    let mut ours = Series::default();
    let points = series.times.iter().zip(&series.values);
    points.map(|(at, value)| f64::from(ours.observe(*at, *value, settings).verdict.is_some())).collect()
}

/// The seasonal robust detector at its own threshold: 1 from the verdict until it no longer holds, else 0.
pub fn seasonal_ongoing(series: &Labelled, settings: &Settings) -> Vec<f64> {
    let mut ours = Series::default();
    let points = series.times.iter().zip(&series.values);
    points.map(|(at, value)| f64::from(ours.observe(*at, *value, settings).ongoing)).collect()
}

/// The simple rule on any series: the point over the mean of all points before it; 0.75 is three times.
pub fn three_times_mean(series: &Labelled) -> Vec<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    let score = |value: &f64| {
        let mean: f64 = if count > 0.0 { sum / count } else { 0.0 };
        sum += value;
        count += 1.0;
        let ratio = if mean > 0.0 { (value / mean).max(0.0) } else { 0.0 };
        ratio / (1.0 + ratio)
    };
    series.values.iter().map(score).collect()
}

/// NAB's windowed gaussian: the tail of a normal distribution over the last 6 400 points.
pub fn gaussian(series: &Labelled) -> Vec<f64> {
    let (mut sum, mut squares, mut window) = (0.0, 0.0, VecDeque::new());
    let score = |value: &f64| {
        let count = window.len() as f64;
        let mut score = 0.0;
        if window.len() > 10 {
            let mean: f64 = sum / count;
            let deviation = f64::max(squares / count - mean * mean, 1e-12).sqrt();
            score = 1.0 - erfc((value - mean).abs() / deviation / std::f64::consts::SQRT_2);
        }
        window.push_back(*value);
        sum += value;
        squares += value * value;
        if window.len() > 6400 {
            let old: f64 = window.pop_front().unwrap_or(0.0);
            sum -= old;
            squares -= old * old;
        }
        score
    };
    series.values.iter().map(score).collect()
}

/// A static z-score: mean and deviation of the first 15 %, at most 750 points, then never again.
pub fn static_z(series: &Labelled) -> Vec<f64> {
    let learning = learning(series.values.len());
    let first = &series.values[..learning];
    let count = (learning as f64).max(1.0);
    let mean = first.iter().sum::<f64>() / count;
    let variance = first.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let z = |value: &f64| (value - mean).abs() / variance.sqrt().max(1e-6);
    let scores = series.values.iter().enumerate();
    scores.map(|(index, value)| if index < learning { 0.0 } else { squash(z(value)) }).collect()
}

/// A moving median and median absolute deviation over the last 288 points (a day of five minutes), the deviation at
/// least 1 % of the median.
pub fn moving_mad(series: &Labelled) -> Vec<f64> {
    let mut sorted: Vec<f64> = Vec::new();
    let score = |(index, value): (usize, &f64)| {
        let mut score = 0.0;
        if sorted.len() > 10 {
            let middle = sorted[sorted.len() / 2];
            let mut off: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
            off.sort_by(f64::total_cmp);
            score = squash((value - middle).abs() / (1.4826 * off[off.len() / 2]).max(0.01 * middle.abs()).max(1e-6));
        }
        sorted.insert(sorted.partition_point(|other| other < value), *value);
        if let Some(old) = index.checked_sub(288).map(|old| series.values[old]) {
            let at = sorted.partition_point(|other| *other < old);
            sorted.remove(at);
        }
        score
    };
    series.values.iter().enumerate().map(score).collect()
}

fn squash(ratio: f64) -> f64 {
    ratio / (1.0 + ratio)
}

/// The complementary error function, to 1.2e-7 of its value (Numerical Recipes, `erfcc`); `x` is not negative.
fn erfc(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    t * (series - x * x).exp()
}
