//! Sums of batches as bytes, from one instance to the others. In: the groups of a batch and how far its partition is committed; out: a message, and
//! back. Sets go by their dimensions, as numbers differ between processes. Pure; a message that cannot be read is an error, never a part of one.

use std::sync::Arc;

use prost::Message;
use spendstream_schemas::budget::{Quarter, ScopeKey};
use spendstream_schemas::directory::Spellings;
use spendstream_schemas::ids::{OffsetRange, SourcePartition};

use super::awaited::{Arrival, EventKey, Origin};
use super::group::{Groups, SetGroups};
use super::key;
use super::load::spelled;
use super::plan::{DimensionSet, SetId, WatchPlan};
use super::sums::Sums;
use crate::batch::Generation;

/// One message of the totals topic. Without a batch it only says that its sender is there.
#[derive(Clone, PartialEq, Message)]
pub struct Shared {
    /// Who sends it; by chance, no two are alike.
    #[prost(fixed64, tag = "1")]
    pub instance: u64,
    #[prost(message, optional, tag = "2")]
    pub batch: Option<Batch>,
    /// It ends: nobody has to wait for it.
    #[prost(bool, tag = "3")]
    pub leaves: bool,
    /// What it has committed lately: who missed its batches reads them in the lake.
    #[prost(message, repeated, tag = "4")]
    pub committed: Vec<Position>,
}

/// The offset of a source partition in the lake.
#[derive(Clone, PartialEq, Message)]
pub struct Position {
    #[prost(string, tag = "1")]
    cluster: String,
    #[prost(string, tag = "2")]
    topic: String,
    #[prost(int32, tag = "3")]
    partition: i32,
    #[prost(int64, tag = "4")]
    pub offset: i64,
}

impl Position {
    #[must_use]
    pub fn new(source: &SourcePartition, offset: i64) -> Self {
        let SourcePartition { cluster, topic, partition } = source.clone();
        Self { cluster, topic, partition, offset }
    }

    #[must_use]
    pub fn source(&self) -> SourcePartition {
        SourcePartition { cluster: self.cluster.clone(), topic: self.topic.clone(), partition: self.partition }
    }
}

/// Sums of one batch of one source partition.
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    #[prost(string, tag = "1")]
    cluster: String,
    #[prost(string, tag = "2")]
    topic: String,
    #[prost(int32, tag = "3")]
    partition: i32,
    #[prost(int64, tag = "4")]
    from: i64,
    #[prost(int64, tag = "5")]
    to: i64,
    /// The partition's offset in the lake, as far as the sender knows.
    #[prost(int64, optional, tag = "6")]
    pub committed: Option<i64>,
    #[prost(uint64, tag = "7")]
    rows: u64,
    #[prost(sint64, optional, tag = "8")]
    newest: Option<i64>,
    #[prost(message, repeated, tag = "9")]
    sets: Vec<Set>,
    #[prost(fixed64, repeated, tag = "10")]
    arrived: Vec<u64>,
    #[prost(message, repeated, tag = "11")]
    runs: Vec<Run>,
    /// Whose each of `arrived` is.
    #[prost(fixed64, repeated, tag = "12")]
    origins: Vec<u64>,
}

/// What events of a run cost.
#[derive(Clone, PartialEq, Message)]
struct Run {
    #[prost(fixed64, tag = "1")]
    key: u64,
    /// As of a group.
    #[prost(bytes = "vec", tag = "2")]
    cost: Vec<u8>,
    #[prost(fixed64, tag = "3")]
    origin: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Set {
    /// In the order of the values.
    #[prost(string, repeated, tag = "1")]
    dimensions: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    groups: Vec<Group>,
}

#[derive(Clone, PartialEq, Message)]
struct Group {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(sint32, tag = "2")]
    quarter: i32,
    /// Units of 10⁻¹⁵, little-endian, 16 bytes.
    #[prost(bytes = "vec", tag = "3")]
    cost: Vec<u8>,
    #[prost(uint64, tag = "4")]
    requests: u64,
    #[prost(uint64, tag = "5")]
    unpriced: u64,
}

/// The message about a batch.
#[must_use]
pub fn batch(groups: &Groups, committed: Option<i64>) -> Batch {
    let set = |sums: &SetGroups| {
        let keys = groups.plan.sets().iter().find(|(id, _)| *id == sums.id).map(|(_, keys)| keys)?;
        Some(Set {
            dimensions: keys.keys().iter().map(ToString::to_string).collect(),
            groups: sums
                .iter()
                .map(|group| Group {
                    key: group.key.to_vec(),
                    quarter: group.quarter.0,
                    cost: group.sums.cost.to_le_bytes().to_vec(),
                    requests: group.sums.requests,
                    unpriced: group.sums.unpriced,
                })
                .collect(),
        })
    };
    Batch {
        cluster: groups.source.cluster.clone(),
        topic: groups.source.topic.clone(),
        partition: groups.source.partition,
        from: groups.range.from(),
        to: groups.range.to(),
        committed,
        rows: groups.rows,
        newest: groups.newest_micros,
        sets: groups.sets.iter().filter_map(set).collect(),
        arrived: groups.arrived.iter().map(|arrival| arrival.key.0).collect(),
        origins: groups.arrived.iter().map(|arrival| arrival.origin.0).collect(),
        runs: groups.runs.iter().map(Run::new).collect(),
    }
}

impl Batch {
    /// Where its events were read.
    #[must_use]
    pub fn source(&self) -> SourcePartition {
        SourcePartition { cluster: self.cluster.clone(), topic: self.topic.clone(), partition: self.partition }
    }

    fn arrivals(&self) -> impl Iterator<Item = Arrival> {
        let origins = self.origins.iter().copied().chain(std::iter::repeat(0));
        self.arrived.iter().zip(origins).map(|(key, origin)| Arrival { key: EventKey(*key), origin: Origin(origin) })
    }

    /// The groups by the sets of a plan; `None` when the message contradicts itself. Sets that the plan does not have are left out.
    #[must_use]
    pub fn groups(&self, plan: &Arc<WatchPlan>, generation: Generation) -> Option<Groups> {
        let mut sets = Vec::with_capacity(self.sets.len());
        for set in &self.sets {
            let keys: Vec<ScopeKey> = set.dimensions.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?;
            let keys = DimensionSet::new(keys);
            if let Some((id, _)) = plan.sets().iter().find(|(_, known)| *known == keys) {
                sets.push(sums(*id, &keys, &set.groups, plan.spellings())?);
            }
        }
        Some(Groups {
            source: Arc::new(self.source()),
            generation,
            range: OffsetRange::new(self.from, self.to).ok()?,
            plan: Arc::clone(plan),
            rows: self.rows,
            newest_micros: self.newest,
            sets,
            arrived: self.arrivals().collect(),
            runs: self.runs.iter().map(Run::read).collect::<Option<_>>()?,
        })
    }
}

impl Run {
    fn new((run, cost): &(Arrival, i128)) -> Self {
        Self { key: run.key.0, cost: cost.to_le_bytes().to_vec(), origin: run.origin.0 }
    }

    fn read(&self) -> Option<(Arrival, i128)> {
        let run = Arrival { key: EventKey(self.key), origin: Origin(self.origin) };
        Some((run, i128::from_le_bytes(self.cost.as_slice().try_into().ok()?)))
    }
}

/// In this process's spellings: the sender may go by an older or newer directory.
fn sums(id: SetId, keys: &DimensionSet, groups: &[Group], spellings: &Spellings) -> Option<SetGroups> {
    let mut sums = SetGroups::new(id);
    let is_spelled = keys.keys().iter().any(|key| spellings.concern(key));
    for group in groups {
        let cost = i128::from_le_bytes(group.cost.as_slice().try_into().ok()?);
        let (requests, unpriced) = (group.requests, group.unpriced);
        let (quarter, cell) = (Quarter(group.quarter), Sums { cost, requests, unpriced });
        if is_spelled {
            let values = keys.keys().iter().zip(key::values(&group.key));
            let values: Vec<Option<&str>> = values.map(|(key, value)| spelled(spellings, key, value)).collect();
            sums.push(&values, quarter, cell);
        } else {
            sums.push_key(&group.key, quarter, cell);
        }
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prost::Message;
    use spendstream_schemas::budget::{Quarter, ScopeKey};
    use spendstream_schemas::dimension::Text;
    use spendstream_schemas::ids::{OffsetRange, SourcePartition};

    use super::{Shared, batch};
    use crate::aggregate::awaited::{Arrival, EventKey, Origin};
    use crate::aggregate::group::{Groups, SetGroups};
    use crate::aggregate::plan::{Bucketing, DimensionSet, WatchPlan};
    use crate::aggregate::sums::Sums;
    use crate::batch::Generation;

    #[test]
    fn a_batch_reads_back_under_the_numbers_of_another_process() {
        let quarters = Bucketing::Quarters { keep: 4 };
        let team = DimensionSet::new([ScopeKey::Text(Text::Team), ScopeKey::Tag("env".into())]);
        let user = DimensionSet::new([ScopeKey::Text(Text::UserId)]);
        let plan =
            Arc::new(WatchPlan::default().next(&[(team.clone(), quarters.clone()), (user.clone(), quarters.clone())]));
        let mut sets: Vec<SetGroups> = plan.sets().iter().map(|(id, _)| SetGroups::new(*id)).collect();
        let sums = Sums { cost: -(10_i128.pow(27)), requests: 3, unpriced: 1 };
        let values = [Some("search"), None];
        for set in &mut sets {
            let width = plan.sets().iter().find(|(id, _)| *id == set.id).map_or(0, |(_, keys)| keys.keys().len());
            set.push(&values[..width], Quarter(7), sums);
        }
        let arrived = Arrival { key: EventKey(u64::MAX), origin: Origin::of(Some("acme"), None) };
        let groups = Groups {
            source: Arc::new(SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 3 }),
            generation: Generation(9),
            range: OffsetRange::new(5, 8).unwrap(),
            plan,
            rows: 3,
            newest_micros: Some(-1),
            sets,
            arrived: vec![arrived],
            runs: vec![(Arrival { key: EventKey(3), origin: Origin::of(None, Some("s")) }, 10_i128.pow(20))],
        };
        let sent = Shared { instance: 1, batch: Some(batch(&groups, Some(4))), ..Shared::default() }.encode_to_vec();
        let read = Shared::decode(&*sent).unwrap().batch.unwrap();
        assert_eq!((read.source(), read.committed), ((*groups.source).clone(), Some(4)));
        // There only the users are watched, under another number.
        let other = Arc::new(WatchPlan::default().next(&[]).next(&[(user, quarters)]));
        let back = read.groups(&other, Generation(2)).unwrap();
        assert_eq!((back.generation, back.range, back.rows), (Generation(2), groups.range, 3));
        assert_eq!((back.newest_micros, back.arrived.as_slice(), back.sets.len()), (Some(-1), &[arrived][..], 1));
        assert_eq!(back.runs, groups.runs);
        let group = back.sets[0].iter().next().unwrap();
        assert_eq!((group.quarter, group.sums), (Quarter(7), sums));
    }
}
