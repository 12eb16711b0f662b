//! How good the anomaly detector is, beside simpler ones. In go two labelled corpora, out comes one table (Markdown).
//!
//! `anomaly [--nab PATH] [--cloud PATH] [--scores DIR] [--by-series]`: a path is the text file shipped in `benchmarks/data` or a
//! folder in the published layout; `--scores` also writes our score per point as CSV, for NAB's own scorers. Streaming only: each
//! score comes from its point and those before it. One threshold serves a whole corpus.

#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod corpus;
mod detectors;
mod labels;
mod nab;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use clap::Parser;
use spendstream_pipeline::detect::Settings;

use corpus::Labelled;
use nab::Judged;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/anomaly");

#[derive(Parser)]
struct Arguments {
    /// NAB series: a text file, or a folder with windows.json.
    #[arg(long, default_value_os_t = Path::new(DATA).join("nab.txt"))]
    nab: PathBuf,
    /// Series with a label per point: a text file, or a folder of CSV files.
    #[arg(long, default_value_os_t = Path::new(DATA).join("cloud.txt"))]
    cloud: PathBuf,
    /// Write our scores of the NAB series here, one CSV per series.
    #[arg(long)]
    scores: Option<PathBuf>,
    /// Also show what each NAB series adds to our standard score.
    #[arg(long)]
    by_series: bool,
}

/// A score for each point of a series.
type Detector = Box<dyn Fn(&Labelled) -> Vec<f64>>;

/// The defaults, but for the time to learn: these series are short, and NAB asks for answers after 15 %.
fn settings() -> Settings {
    Settings { learn: TimeDelta::days(1), ..Settings::default() }
}

/// One contestant: every variant whose parameters may be chosen; the first is the default.
struct Contestant {
    name: &'static str,
    variants: Vec<Detector>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let nab = corpus::read(&arguments.nab)?;
    let cloud = corpus::read(&arguments.cloud)?;
    let points: usize = nab.iter().chain(&cloud).map(|series| series.values.len()).sum();
    println!("{} NAB series, {} cloud series, {points} points\n", nab.len(), cloud.len());
    println!(
        "| detector | standard | low FP | low FN | group left out | threshold | cloud plain P / R / F1 | point-adjusted P / R / F1 |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for contestant in contestants() {
        println!("{}", row(&contestant, &nab, &cloud));
    }
    let settings = settings();
    for threshold in [0.525, 0.55, settings.threshold] {
        print_verdicts(&nab, &cloud, &Settings { threshold, ..settings.clone() });
    }
    let ours: Vec<Vec<f64>> = nab.iter().map(|series| detectors::seasonal(series, &settings)).collect();
    if arguments.by_series {
        print_by_series(&nab, &ours);
    }
    arguments.scores.map_or(Ok(()), |folder| write_scores(&folder, &nab, &ours))
}

fn contestants() -> Vec<Contestant> {
    let one = |name, detector: fn(&Labelled) -> Vec<f64>| Contestant { name, variants: vec![Box::new(detector)] };
    vec![
        Contestant { name: "seasonal robust (ours)", variants: our_variants() },
        one("simple rule (times the mean)", detectors::three_times_mean),
        one("windowed gaussian (NAB)", detectors::gaussian),
        one("static z-score", detectors::static_z),
        one("moving median and MAD", detectors::moving_mad),
    ]
}

/// The parameters that may be chosen when a group is left out: the floor and the half-life.
fn our_variants() -> Vec<Detector> {
    let standard = settings();
    let mut all = vec![standard.clone()];
    for floor in [4.0, 5.0, 6.0, 8.0] {
        for days in [7, 14, 28] {
            all.push(Settings { floor, half_life: TimeDelta::days(days), ..standard.clone() });
        }
    }
    let variant = |settings: Settings| -> Detector { Box::new(move |series| detectors::seasonal(series, &settings)) };
    all.into_iter().map(variant).collect()
}

fn row(contestant: &Contestant, nab: &[Labelled], cloud: &[Labelled]) -> String {
    let judge = |variant: &Detector| {
        let scores: Vec<Vec<f64>> = nab.iter().map(variant).collect();
        Judged::new(nab, &scores)
    };
    let judged: Vec<Judged> = contestant.variants.iter().map(judge).collect();
    let standard = judged[0].best(nab::STANDARD);
    let scores: Vec<Vec<f64>> = cloud.iter().map(&contestant.variants[0]).collect();
    let (plain, adjusted) = (labels::plain(cloud, &scores), labels::adjusted(cloud, &scores));
    format!(
        "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.4} | {:.2} / {:.2} / {:.3} | {:.2} / {:.2} / {:.3} |",
        contestant.name,
        standard.score,
        judged[0].best(nab::FEW_FALSE).score,
        judged[0].best(nab::FEW_MISSED).score,
        left_out(nab, &judged),
        standard.threshold,
        plain.precision,
        plain.recall,
        plain.f1,
        adjusted.precision,
        adjusted.recall,
        adjusted.f1,
    )
}

/// The standard score when each group is judged with the variant and the threshold that serve the other groups best.
fn left_out(nab: &[Labelled], judged: &[Judged]) -> f64 {
    let mut groups: Vec<&str> = nab.iter().map(Labelled::group).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut raw = 0.0;
    for group in groups {
        let outside = |series: usize| nab[series].group() != group;
        let of_others = judged.iter().map(|variant| (variant, variant.only(outside).best(nab::STANDARD)));
        if let Some((variant, best)) = of_others.max_by(|a, b| a.1.score.total_cmp(&b.1.score)) {
            raw += variant.only(|series| !outside(series)).raw_at(best.threshold, nab::STANDARD);
        }
    }
    judged[0].percent(raw, nab::STANDARD)
}

/// What is said at a fixed threshold: the verdicts alone, and how long each anomaly is said to last.
fn print_verdicts(nab: &[Labelled], cloud: &[Labelled], settings: &Settings) {
    let verdicts: Vec<Vec<f64>> = nab.iter().map(|series| detectors::seasonal_verdicts(series, settings)).collect();
    let judged = Judged::new(nab, &verdicts);
    let score = |profile| judged.percent(judged.raw_at(1.0, profile), profile);
    println!(
        "\nours, verdicts at threshold {}: standard {:.1}, low FP {:.1}, low FN {:.1}",
        settings.threshold,
        score(nab::STANDARD),
        score(nab::FEW_FALSE),
        score(nab::FEW_MISSED)
    );
    let ongoing: Vec<Vec<f64>> = cloud.iter().map(|series| detectors::seasonal_ongoing(series, settings)).collect();
    let (plain, adjusted) = (labels::plain(cloud, &ongoing), labels::adjusted(cloud, &ongoing));
    println!(
        "cloud, from verdict to recovery: plain {:.2} / {:.2} / {:.3}, point-adjusted {:.2} / {:.2} / {:.3}",
        plain.precision, plain.recall, plain.f1, adjusted.precision, adjusted.recall, adjusted.f1
    );
    let said: f64 = cloud.iter().map(|series| detectors::seasonal_verdicts(series, settings).iter().sum::<f64>()).sum();
    let days: i64 =
        cloud.iter().filter_map(|series| Some((*series.times.last()? - *series.times.first()?).num_days())).sum();
    println!("cloud: {said} verdicts in {days} days of series");
}

fn print_by_series(nab: &[Labelled], scores: &[Vec<f64>]) {
    let judged = Judged::new(nab, scores);
    let threshold = judged.best(nab::STANDARD).threshold;
    println!("\n| series | windows | raw score, perfect is the number of windows |\n|---|---|---|");
    for (number, series) in nab.iter().enumerate() {
        let one = judged.only(|other| other == number);
        println!("| {} | {} | {:.2} |", series.name, one.windows(), one.raw_at(threshold, nab::STANDARD));
    }
}

fn write_scores(folder: &Path, nab: &[Labelled], scores: &[Vec<f64>]) -> Result<()> {
    for (series, scores) in nab.iter().zip(scores) {
        let path = folder.join(format!("{}.csv", series.name));
        let mut text = String::from("score\n");
        for score in scores {
            writeln!(text, "{score}")?;
        }
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
