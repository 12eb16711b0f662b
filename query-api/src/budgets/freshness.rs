//! How far the figures reach: in comes one version of the lake, out come the offset and the newest event time of every source
//! partition, and the event time up to which all of them are covered.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use super::sums::{integers, rows, texts};
use crate::catalog::Snapshot;
use crate::error::QueryError;
use crate::sql::engine::Engine;

/// A partition from which nothing came for so long, while others went on, is idle: it holds nothing back.
const IDLE: TimeDelta = TimeDelta::minutes(1);

/// How far one partition of one topic is in the lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    pub cluster: String,
    pub topic: String,
    pub partition: i64,
    /// The offset after its last row.
    pub offset: i64,
    pub newest_event_time: DateTime<Utc>,
    #[serde(skip)]
    pub newest_ingest: DateTime<Utc>,
}

/// What figures of one version of the lake cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Freshness {
    pub lake_version: u64,
    /// Partitions with events since the earliest day that was read.
    pub partitions: Vec<Partition>,
}

impl Freshness {
    /// Reads it from the rows of that day and later.
    ///
    /// # Errors
    /// As any query.
    pub async fn read(engine: &Engine, snapshot: &Snapshot, since: NaiveDate) -> Result<Self, QueryError> {
        let sql = format!(
            "SELECT source_cluster, source_topic, source_partition, max(source_offset) + 1, \
             max(CAST(event_time AS BIGINT)), max(CAST(ingest_time AS BIGINT)) FROM usage WHERE date >= DATE '{since}' \
             GROUP BY source_cluster, source_topic, source_partition \
             ORDER BY source_cluster, source_topic, source_partition"
        );
        let mut partitions = Vec::new();
        for batch in rows(engine, snapshot, &sql).await? {
            let (clusters, topics) = (texts(&batch, 0)?, texts(&batch, 1)?);
            let columns = (2..6).map(|at| integers(&batch, at)).collect::<Result<Vec<_>, _>>()?;
            let time = |micros| DateTime::from_timestamp_micros(micros).unwrap_or_default();
            for (row, (cluster, topic)) in clusters.into_iter().zip(topics).enumerate() {
                partitions.push(Partition {
                    cluster: cluster.unwrap_or_default(),
                    topic: topic.unwrap_or_default(),
                    partition: columns[0][row],
                    offset: columns[1][row],
                    newest_event_time: time(columns[2][row]),
                    newest_ingest: time(columns[3][row]),
                });
            }
        }
        Ok(Self { lake_version: snapshot.version, partitions })
    }

    /// The event time that every partition in use has reached, not ahead of the clock; `None` without events.
    #[must_use]
    pub fn as_of(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let newest = self.partitions.iter().map(|partition| partition.newest_ingest).max()?;
        let busy = self.partitions.iter().filter(|partition| partition.newest_ingest >= newest - IDLE);
        busy.map(|partition| partition.newest_event_time).min().map(|time| time.min(now))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::{Freshness, Partition};

    #[test]
    fn an_idle_partition_holds_nothing_back() {
        let time = |text: &str| format!("2026-11-22T{text}Z").parse::<DateTime<Utc>>().unwrap();
        let partition = |event: &str, ingest: &str| Partition {
            cluster: "main".into(),
            topic: "usage.events".into(),
            partition: 0,
            offset: 1,
            newest_event_time: time(event),
            newest_ingest: time(ingest),
        };
        let check = |partitions: &[Partition], expected: Option<&str>| {
            let freshness = Freshness { lake_version: 0, partitions: partitions.to_vec() };
            assert_eq!(freshness.as_of(time("12:30:00")), expected.map(time));
        };
        check(&[], None);
        check(&[partition("12:00:00", "12:00:01")], Some("12:00:00"));
        check(&[partition("12:00:00", "12:00:01"), partition("11:59:00", "11:59:30")], Some("11:59:00"));
        check(&[partition("12:00:00", "12:00:01"), partition("11:00:00", "11:00:01")], Some("12:00:00"));
        // A clock that runs ahead somewhere does not make it tomorrow.
        check(&[partition("13:00:00", "12:00:01")], Some("12:30:00"));
    }
}
