//! How far event time has come. In: the newest event time of each batch, and when it was seen. Out: the watermark. Pure.

use std::collections::BTreeMap;

use super::buckets::PartitionNo;

/// See the module. All times in microseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub struct Watermarks {
    partitions: BTreeMap<PartitionNo, Partition>,
    high: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Partition {
    newest: i64,
    seen: i64,
}

impl Watermarks {
    /// A batch came; without rows it still shows that the partition is not idle.
    pub fn saw(&mut self, partition: PartitionNo, newest: Option<i64>, now: i64) {
        match (self.partitions.get_mut(&partition), newest) {
            (Some(known), newest) => {
                known.newest = known.newest.max(newest.unwrap_or(i64::MIN));
                known.seen = now;
            }
            (None, Some(newest)) => {
                self.partitions.insert(partition, Partition { newest, seen: now });
            }
            (None, None) => {}
        }
    }

    /// The oldest of what the partitions reached that are not idle, never ahead of the wall clock and never backwards; `None` before the
    /// first event. While all are idle it stays where it is.
    pub fn advance(&mut self, now: i64, idle: i64) -> Option<i64> {
        let live = self.partitions.values().filter(|partition| now.saturating_sub(partition.seen) <= idle);
        if let Some(oldest) = live.map(|partition| partition.newest).min() {
            self.high = Some(self.high.unwrap_or(i64::MIN).max(oldest.min(now)));
        }
        self.high
    }

    /// Partitions were assigned anew.
    pub fn forget(&mut self) {
        self.partitions.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Watermarks;

    #[test]
    fn the_slowest_partition_decides_until_it_is_idle() {
        let mut marks = Watermarks::default();
        assert_eq!(marks.advance(1_000, 60), None);
        marks.saw(0, Some(900), 1_000);
        marks.saw(1, Some(500), 1_000);
        assert_eq!(marks.advance(1_000, 60), Some(500));
        marks.saw(0, Some(950), 1_061);
        assert_eq!(marks.advance(1_061, 60), Some(950));
        // A partition that comes back late does not turn it back.
        marks.saw(1, Some(501), 1_062);
        assert_eq!(marks.advance(1_062, 60), Some(950));
    }

    #[test]
    fn a_producer_ahead_of_time_does_not_push_it_past_the_clock() {
        let mut marks = Watermarks::default();
        marks.saw(0, Some(9_000), 1_000);
        assert_eq!(marks.advance(1_000, 60), Some(1_000));
        assert_eq!(marks.advance(1_030, 60), Some(1_030));
        assert_eq!(marks.advance(5_000, 60), Some(1_030), "idle: it stays");
    }

    proptest! {
        #[test]
        fn it_never_goes_backwards_nor_past_the_clock(
            events in prop::collection::vec((0u32..3, prop::option::of(0i64..200), 0i64..20), 1..60),
        ) {
            let (mut marks, mut now, mut last) = (Watermarks::default(), 0, None);
            for (partition, newest, passed) in events {
                now += passed;
                marks.saw(partition, newest, now);
                let mark = marks.advance(now, 30);
                prop_assert!(mark >= last && mark.is_none_or(|mark| mark <= now));
                last = mark;
            }
        }
    }
}
