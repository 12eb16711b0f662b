//! Which decisions are written down, waiting to be. In: decisions; out: rows for the table `decisions`, oldest first. Bounded: at the limit
//! further ones are dropped and counted. Pure: who writes them to the lake takes them from here.

use std::collections::VecDeque;

use spendstream_schemas::table::decisions::Row;

/// See the module.
#[derive(Debug)]
pub struct Journal {
    rows: VecDeque<Row>,
    max: usize,
    /// One of so many plain allows; 0: none.
    sample: u32,
    allows: u32,
    dropped: u64,
}

impl Journal {
    /// At most `max` rows wait; one of `sample` plainly allowed calls is kept, 0 for none.
    #[must_use]
    pub fn new(max: usize, sample: u32) -> Self {
        Self { rows: VecDeque::new(), max, sample, allows: 0, dropped: 0 }
    }

    /// Whether to write a decision down, and for how many it stands. `is_plain`: allowed without advice.
    pub fn wants(&mut self, is_plain: bool) -> Option<i64> {
        if !is_plain {
            return Some(1);
        }
        if self.sample == 0 {
            return None;
        }
        self.allows += 1;
        if self.allows < self.sample {
            return None;
        }
        self.allows = 0;
        Some(i64::from(self.sample))
    }

    pub fn push(&mut self, row: Row) {
        if self.rows.len() < self.max {
            self.rows.push_back(row);
        } else {
            self.dropped += 1;
        }
    }

    /// Takes up to `most` rows, the oldest first.
    pub fn take(&mut self, most: usize) -> Vec<Row> {
        self.rows.drain(..most.min(self.rows.len())).collect()
    }

    /// Decisions that were dropped because nobody took the rows in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::Journal;

    #[test]
    fn every_refusal_and_one_of_so_many_allows() {
        let mut journal = Journal::new(10, 3);
        let wanted: Vec<_> = (0..7).map(|_| journal.wants(true)).collect();
        assert_eq!(wanted, [None, None, Some(3), None, None, Some(3), None]);
        assert_eq!((journal.wants(false), Journal::new(1, 0).wants(true)), (Some(1), None));
    }
}
