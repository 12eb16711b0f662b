//! What is said about a point: the kind, the expected range, and the reason in words. In goes a surprise, out come plain values.

use std::fmt;

use super::series::WINDOW;

/// What kind of anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One point far above what is usual.
    Spike,
    /// One point far below.
    Drop,
    /// The mean of the last points went up.
    LevelUp,
    /// The mean of the last points went down.
    LevelDown,
    /// The last points vary far more, or far less, than usual.
    Unsteady,
}

/// What the figure was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The long-run level.
    Level,
    /// The same hour of earlier days or weeks.
    Season,
}

/// An anomaly of one series. All figures are in the unit of the series; they are estimates, never money to compare.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    pub kind: Kind,
    pub against: Against,
    /// What was measured: the point, the mean of the last points, or how far they vary.
    pub figure: f64,
    pub expected: f64,
    /// The range in which nothing would have been said.
    pub low: f64,
    pub high: f64,
}

impl Verdict {
    /// The reason in words, the unit (`USD`, `requests`) after each figure.
    pub fn reason(&self, unit: &str) -> String {
        let figure = Figure(self.figure, unit);
        let what = match self.kind {
            Kind::Spike | Kind::Drop => figure.to_string(),
            Kind::LevelUp | Kind::LevelDown => format!("the mean of the last {WINDOW} points, {figure},"),
            Kind::Unsteady => format!("the last {WINDOW} points vary by {figure}, which"),
        };
        let side = if self.figure > self.expected { "above" } else { "below" };
        let usual = match self.against {
            Against::Level => "usual",
            Against::Season => "usual at this hour",
        };
        format!(
            "{what} is {side} what is {usual}: {} expected, {} to {} would be normal",
            Figure(self.expected, unit),
            Figure(self.low, unit),
            Figure(self.high, unit)
        )
    }
}

/// A figure to read: four digits that matter, then the unit.
struct Figure<'a>(f64, &'a str);

impl fmt::Display for Figure<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure(figure, unit) = *self;
        let decimals = match figure.abs() {
            large if large >= 1000.0 => 0,
            large if large >= 100.0 => 1,
            large if large >= 1.0 || large == 0.0 => 2,
            large if large >= 0.01 => 4,
            _ => 6,
        };
        // "-0.00" reads like a fault.
        let text = format!("{figure:.decimals$}");
        let zero = text.trim_start_matches('-').chars().all(|digit| digit == '0' || digit == '.');
        let text = if zero { "0" } else { &text };
        if unit.is_empty() { write!(out, "{text}") } else { write!(out, "{text} {unit}") }
    }
}
