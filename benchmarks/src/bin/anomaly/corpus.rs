//! Reads labelled series. In goes a file or a folder, out come series with their windows or labels. Writes nothing.
//!
//! Two layouts: the text file shipped beside this program (`../../../data/anomaly/README.md`), and the folder the series were
//! published in (CSV files of time and value in folders by group; `windows.json` for NAB, a label column for the cloud series).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

/// One series of a corpus.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// `group/name`.
    pub name: String,
    pub times: Vec<DateTime<Utc>>,
    pub values: Vec<f64>,
    /// Per point, whether an expert called it an anomaly.
    pub labels: Vec<bool>,
    /// NAB's windows: first and last time.
    pub windows: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Labelled {
    /// What comes before the slash.
    pub fn group(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }

    fn push(&mut self, at: DateTime<Utc>, value: f64, label: bool) {
        self.times.push(at);
        self.values.push(value);
        self.labels.push(label);
    }
}

/// Reads a corpus, from either layout.
///
/// # Errors
/// When something cannot be read or is not as described; the message names the place.
pub fn read(path: &Path) -> Result<Vec<Labelled>> {
    if path.is_dir() {
        return read_folder(path);
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut corpus = Corpus::default();
    for (number, line) in text.lines().enumerate() {
        corpus.line(line).with_context(|| format!("{} line {}", path.display(), number + 1))?;
    }
    Ok(corpus.series)
}

/// The text file as far as it was read.
#[derive(Default)]
struct Corpus {
    series: Vec<Labelled>,
    step: TimeDelta,
    next: DateTime<Utc>,
    label: bool,
}

impl Corpus {
    fn line(&mut self, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["series", name, step] = words[..] {
            self.step = TimeDelta::seconds(step.parse()?);
            self.label = false;
            self.series.push(Labelled { name: name.to_owned(), ..Labelled::default() });
            return Ok(());
        }
        let series = self.series.last_mut().context("a line before the first `series`")?;
        match words[..] {
            ["window", from, to] => series.windows.push((time(from)?, time(to)?)),
            ["at", at] => self.next = time(at)?,
            ["label", label] => self.label = label == "1",
            [value] => {
                series.push(self.next, value.parse()?, self.label);
                self.next += self.step;
            }
            _ => bail!("'{line}' is none of series, window, at, label or a number"),
        }
        Ok(())
    }
}

fn read_folder(folder: &Path) -> Result<Vec<Labelled>> {
    let windows = folder.join("windows.json");
    if !windows.exists() {
        return csv_files(folder)?.iter().map(|path| read_csv(folder, path)).collect();
    }
    let text = fs::read_to_string(&windows).with_context(|| format!("cannot read {}", windows.display()))?;
    let windows: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)?;
    let mut series = Vec::with_capacity(windows.len());
    for (name, windows) in windows {
        let mut one = read_csv(folder, &folder.join(&name))?;
        let windows: Vec<(String, String)> = serde_json::from_value(windows)?;
        for (from, to) in windows {
            one.windows.push((time(&from)?, time(&to)?));
        }
        series.push(one);
    }
    Ok(series)
}

fn csv_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(csv_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A CSV of time, value and perhaps label. A row without a value is a gap.
fn read_csv(folder: &Path, path: &Path) -> Result<Labelled> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.strip_prefix(folder)?.with_extension("").to_string_lossy().into_owned();
    let mut series = Labelled { name, ..Labelled::default() };
    for (number, line) in text.lines().enumerate().skip(1) {
        let fields: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let [at, value, ref rest @ ..] = fields[..] else { bail!("{} line {}: no value", path.display(), number + 1) };
        if value.is_empty() {
            continue;
        }
        let place = || format!("{} line {}", path.display(), number + 1);
        series.push(
            time(at).with_context(place)?,
            value.parse().with_context(place)?,
            rest.first().is_some_and(|label| label.starts_with('1')),
        );
    }
    Ok(series)
}

/// `2014-04-01T00:00:00Z`, or with a space, without the zone, with a fraction (left away).
fn time(text: &str) -> Result<DateTime<Utc>> {
    let plain = text.split('.').next().unwrap_or(text).trim_end_matches('Z').replace('T', " ");
    let naive =
        NaiveDateTime::parse_from_str(&plain, "%Y-%m-%d %H:%M:%S").with_context(|| format!("'{text}' is no time"))?;
    Ok(naive.and_utc())
}
