//! What an hour of the week usually brings. In go points, out comes the mean of the same hour on earlier days.
//!
//! The hour of the week speaks as soon as it was seen three times, until then the hour of the day. A cell is a mean that forgets;
//! an hour enters it when it is over, so that no point is compared with itself.

use chrono::{DateTime, Datelike, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::settings::Settings;

const DAY: usize = 24;
const WEEK: usize = 7 * DAY;
/// Days before the hour of the day speaks.
const DAYS: u16 = 2;
/// Weeks before the hour of the week speaks.
const WEEKS: u16 = 3;
const DAY_SECONDS: f64 = 86_400.0;

/// The mean of one hour; 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cell {
    mean: f32,
    count: u16,
}

/// The hours of the day and of the week of one series, and the hour that is being filled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Season {
    cells: Box<[Cell]>,
    hour: Option<Hour>,
}

/// What the same hour brought before. The two are told apart because what surprises one is usual for the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Baseline {
    OfDay(f64),
    OfWeek(f64),
}

/// An hour on the wall clock that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Hour {
    number: i64,
    of_week: u8,
    sum: f64,
    points: u32,
}

impl Default for Season {
    fn default() -> Self {
        Self { cells: vec![Cell::default(); DAY + WEEK].into_boxed_slice(), hour: None }
    }
}

impl Season {
    /// Bytes on the heap.
    pub const HEAP_BYTES: usize = (DAY + WEEK) * size_of::<Cell>();

    /// What this hour usually brings (none before it is known), and learns the point.
    pub fn observe(&mut self, at: DateTime<Utc>, value: f64, settings: &Settings) -> Option<Baseline> {
        let (number, of_week) = wall_clock(at, settings.timezone);
        if self.hour.is_none_or(|hour| hour.number != number) {
            self.close(settings);
            self.hour = Some(Hour { number, of_week, sum: 0.0, points: 0 });
        }
        if let Some(hour) = &mut self.hour {
            hour.sum += value;
            hour.points += 1;
        }
        self.baseline(usize::from(of_week))
    }

    fn close(&mut self, settings: &Settings) {
        let Some(hour) = self.hour.take() else { return };
        let mean = hour.sum / f64::from(hour.points.max(1));
        let of_week = usize::from(hour.of_week);
        self.cells[of_week % DAY].learn(mean, settings.keep(DAY_SECONDS));
        self.cells[DAY + of_week].learn(mean, settings.keep(7.0 * DAY_SECONDS));
    }

    fn baseline(&self, of_week: usize) -> Option<Baseline> {
        let (day, week) = (self.cells[of_week % DAY], self.cells[DAY + of_week]);
        if week.count >= WEEKS {
            return Some(Baseline::OfWeek(f64::from(week.mean)));
        }
        (day.count >= DAYS).then(|| Baseline::OfDay(f64::from(day.mean)))
    }
}

impl Cell {
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty for a baseline, and halve the memory")]
    fn learn(&mut self, figure: f64, keep: f64) {
        self.count = self.count.saturating_add(1);
        let weight = (1.0 - keep).max(1.0 / f64::from(self.count));
        let mean = f64::from(self.mean);
        self.mean = (mean + weight * (figure - mean)) as f32;
    }
}

/// The number of the hour on the wall clock, and which hour of the week it is (0 is Monday midnight).
fn wall_clock(at: DateTime<Utc>, timezone: Tz) -> (i64, u8) {
    let local = at.with_timezone(&timezone);
    let of_week = local.weekday().num_days_from_monday() * 24 + local.hour();
    (local.naive_local().and_utc().timestamp().div_euclid(3600), u8::try_from(of_week).unwrap_or(0))
}
