//! Many series within a bound. In go keyed points, out come judgements; what does not fit is counted, not kept.

use std::hash::Hash;

use chrono::{DateTime, TimeDelta, Utc};
use hashbrown::HashMap;

use super::series::{Judgement, Series};
use super::settings::Settings;

/// The series that are watched, by key; memory is at most `capacity` times ([`Series::BYTES`] and a key).
#[derive(Clone, Debug)]
pub struct Fleet<K> {
    series: HashMap<K, Series>,
    settings: Settings,
    capacity: usize,
    refused: u64,
}

impl<K: Hash + Eq> Fleet<K> {
    pub fn new(settings: Settings, capacity: usize) -> Self {
        Self { series: HashMap::new(), settings, capacity, refused: 0 }
    }

    /// Judges a point of a series (see [`Series::observe`]). A new series that does not fit is not watched: no judgement.
    pub fn observe(&mut self, key: K, at: DateTime<Utc>, value: f64) -> Option<Judgement> {
        if !self.series.contains_key(&key) && self.series.len() >= self.capacity {
            self.refused += 1;
            return None;
        }
        Some(self.series.entry(key).or_default().observe(at, value, &self.settings))
    }

    /// Puts a stored or rebuilt series in its place, if it fits.
    pub fn restore(&mut self, key: K, series: Series) -> bool {
        let fits = self.series.contains_key(&key) || self.series.len() < self.capacity;
        if fits {
            self.series.insert(key, series);
        }
        fits
    }

    /// Forgets series without a point for longer than `quiet`.
    pub fn forget(&mut self, now: DateTime<Utc>, quiet: TimeDelta) {
        self.series.retain(|_, series| series.last().is_some_and(|last| now - last <= quiet));
    }

    /// What is watched, to be stored.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Series)> {
        self.series.iter()
    }

    /// How many series are watched.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Points that were not judged because their series did not fit.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut fleet = Fleet::new(Settings::default(), 1);
        assert!(fleet.observe("a", at(0), 1.0).is_some());
        assert!(fleet.observe("b", at(0), 1.0).is_none());
        assert!(!fleet.restore("b", Series::default()));
        assert_eq!((fleet.len(), fleet.refused()), (1, 1));
    }

    #[test]
    fn quiet_series_make_room() {
        let mut fleet = Fleet::new(Settings::default(), 1);
        fleet.observe("a", at(0), 1.0);
        fleet.forget(at(24), TimeDelta::hours(24));
        assert_eq!(fleet.len(), 1);
        fleet.forget(at(25), TimeDelta::hours(24));
        assert!(fleet.is_empty());
        assert!(fleet.observe("b", at(25), 1.0).is_some());
    }
}
