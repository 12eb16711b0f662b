//! Reads the base of watches from the lake by SQL: every sum at one version, with that version's offsets. In: watches and what is held of
//! them. Out: chunks of sums and a [`Snapshot`]. Never writes; the rules of [`super::group`] as expressions are here.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use hashbrown::HashMap;
use parking_lot::Mutex;
use spendstream_schemas::budget::{Quarter, ScopeKey, Span};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::Spellings;
use spendstream_schemas::ids::SourcePartition;
use spendstream_storage::Lake;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::cover::Cover;
use super::group::SetGroups;
use super::join::Snapshot;
use super::plan::{Watch, WatchId};
use super::sums::Sums;
use super::thread::ToLive;
use crate::lake::LakeError;
use crate::lake::view::{LakeView, failed, quoted, texts};

/// What is to be read, all of it at one version.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// Comes back with everything that is read for it.
    pub id: u64,
    pub watches: Vec<(Watch, Cover)>,
    /// In which words values are summed.
    pub spellings: Arc<Spellings>,
}

/// Sums of the lake: one group per values, bucket and source partition.
#[derive(Clone, Debug)]
pub struct BaseChunk {
    pub load: u64,
    pub watch: WatchId,
    pub rows: SetGroups,
    /// One per group.
    pub sources: Vec<Arc<SourcePartition>>,
}

/// Whoever reads bases. Answers come through the live thread's own channel.
pub trait Loader: Send {
    /// Starts to read; does not wait. What was started before and is not done is given up.
    fn start(&self, request: LoadRequest);
}

/// Reads from the lake in a task of its own.
pub struct LakeLoader {
    pub lake: Lake,
    /// Bytes that the queries of one load may use before they spill.
    pub memory: usize,
    pub runtime: tokio::runtime::Handle,
    pub out: mpsc::WeakSender<ToLive>,
    /// What reads now, if anything does.
    pub running: Mutex<Option<AbortHandle>>,
}

impl Loader for LakeLoader {
    fn start(&self, request: LoadRequest) {
        let (lake, memory, out) = (self.lake.clone(), self.memory, self.out.clone());
        let task = self.runtime.spawn(async move {
            let result = load(&lake, memory, &request, &out).await;
            tell(&out, ToLive::Loaded { load: request.id, result }).await;
        });
        if let Some(before) = self.running.lock().replace(task.abort_handle()) {
            before.abort();
        }
    }
}

/// False when nobody listens any more. Nothing is held between two messages: a reading does not keep the pipeline from ending.
async fn tell(out: &mpsc::WeakSender<ToLive>, message: ToLive) -> bool {
    match out.upgrade() {
        Some(out) => out.send(message).await.is_ok(),
        None => false,
    }
}

/// Reads everything of a request, chunk by chunk.
///
/// # Errors
/// When the lake cannot be read.
pub async fn load(
    lake: &Lake,
    memory: usize,
    request: &LoadRequest,
    out: &mpsc::WeakSender<ToLive>,
) -> Result<Snapshot, LakeError> {
    let view = LakeView::open(lake, memory).await?;
    let offsets: Vec<(Arc<SourcePartition>, i64)> =
        view.state.offsets.iter().map(|(source, offset)| (Arc::new(source.clone()), *offset)).collect();
    let mut known: HashMap<SourcePartition, Arc<SourcePartition>> =
        offsets.iter().map(|(source, _)| (source.as_ref().clone(), Arc::clone(source))).collect();
    for (watch, cover) in &request.watches {
        let mut rows = view.stream(&query(watch, cover)).await?;
        while let Some(batch) = rows.try_next().await.map_err(|error| failed(lake, &error))? {
            let (rows, sources) =
                read(watch, &batch, &request.spellings, &mut known).map_err(|error| failed(lake, &error))?;
            let chunk = BaseChunk { load: request.id, watch: watch.id, rows, sources };
            if !tell(out, ToLive::Base(Box::new(chunk))).await {
                break;
            }
        }
    }
    Ok(Snapshot { version: view.state.version, offsets, history: view.history() })
}

/// The sums of a watch, by partition and bucket.
fn query(watch: &Watch, cover: &Cover) -> String {
    let mut sql = String::from("SELECT source_cluster, source_topic, source_partition, ");
    sql.push_str(&bucket(cover));
    for key in watch.keys.keys() {
        let _ = write!(sql, ", {}", column(key));
    }
    let _ = write!(sql, ", sum(cost), count(*), count(*) - count(cost) FROM usage WHERE {}", within(cover));
    sql.push_str(" GROUP BY 1, 2, 3, 4");
    for at in 0..watch.keys.keys().len() {
        let _ = write!(sql, ", {}", at + 5);
    }
    sql
}

/// The value of a dimension, as the totals group by it: for SQL that has to agree with them.
#[must_use]
pub fn column(key: &ScopeKey) -> String {
    match key {
        ScopeKey::Text(Text::ProviderSent) => "coalesce(provider, provider_sent)".to_owned(),
        ScopeKey::Text(Text::Model) => "coalesce(model_id, model)".to_owned(),
        ScopeKey::Text(text) => text.column().to_owned(),
        ScopeKey::CostCenter => Text::CostCenter.column().to_owned(),
        ScopeKey::Tag(name) => format!("tags[{}]", quoted(name)),
    }
}

/// The first quarter-hour of a row's bucket.
fn bucket(cover: &Cover) -> String {
    if cover.is_fine() {
        // Microseconds; no event is before the epoch.
        return "CAST(event_time AS BIGINT) / 900000000".to_owned();
    }
    let mut sql = String::from("CASE");
    for span in cover.spans() {
        let _ = write!(sql, " WHEN event_time < {} THEN {}", time(span.to), span.from.0);
    }
    sql.push_str(" END");
    sql
}

fn within(cover: &Cover) -> String {
    let mut joined: Vec<Span> = Vec::new();
    for span in cover.spans() {
        match joined.last_mut().filter(|last| last.to == span.from) {
            Some(last) => last.to = span.to,
            None => joined.push(*span),
        }
    }
    let spans = joined.iter().map(|span| {
        format!(
            "(date >= CAST('{}' AS DATE) AND date <= CAST('{}' AS DATE) AND event_time >= {} AND event_time < {})",
            span.start().format("%F"),
            span.to.plus(-1).start().format("%F"),
            time(span.from),
            time(span.to)
        )
    });
    let spans: Vec<String> = spans.collect();
    if spans.is_empty() { "false".to_owned() } else { spans.join(" OR ") }
}

fn time(quarter: Quarter) -> String {
    format!(
        "arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')",
        i64::from(quarter.0) * Quarter::SECONDS * 1_000_000
    )
}

type Rows = (SetGroups, Vec<Arc<SourcePartition>>);

fn read(
    watch: &Watch,
    batch: &RecordBatch,
    spellings: &Spellings,
    known: &mut HashMap<SourcePartition, Arc<SourcePartition>>,
) -> Result<Rows, ArrowError> {
    let width = watch.keys.keys().len();
    let integers =
        |at: usize| Ok::<_, ArrowError>(cast(batch.column(at), &DataType::Int64)?.as_primitive::<Int64Type>().clone());
    let (clusters, topics) = (texts(batch, 0), texts(batch, 1));
    let (partitions, buckets) = (integers(2)?, integers(3)?);
    let values: Vec<Vec<Option<String>>> = (0..width).map(|at| texts(batch, 4 + at)).collect();
    let costs = batch.column(4 + width).as_primitive_opt::<Decimal128Type>().cloned();
    let costs = costs.ok_or_else(|| ArrowError::SchemaError("a sum of cost is no decimal".to_owned()))?;
    let (requests, unpriced) = (integers(5 + width)?, integers(6 + width)?);
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let (mut rows, mut sources) = (SetGroups::new(watch.set), Vec::with_capacity(batch.num_rows()));
    for row in 0..batch.num_rows() {
        let source = SourcePartition {
            cluster: clusters[row].clone().unwrap_or_default(),
            topic: topics[row].clone().unwrap_or_default(),
            partition: i32::try_from(partitions.value(row)).unwrap_or(-1),
        };
        let shared = known.entry(source).or_insert_with_key(|source| Arc::new(source.clone()));
        sources.push(Arc::clone(shared));
        let texts: Vec<Option<&str>> = watch
            .keys
            .keys()
            .iter()
            .zip(&values)
            .map(|(key, column)| spelled(spellings, key, column[row].as_deref()))
            .collect();
        let sums = Sums {
            cost: if costs.is_null(row) { 0 } else { costs.value(row) },
            requests: count(requests.value(row)),
            unpriced: count(unpriced.value(row)),
        };
        rows.push(&texts, Quarter(i32::try_from(buckets.value(row)).unwrap_or(i32::MIN)), sums);
    }
    Ok((rows, sources))
}

/// A value of the lake in these spellings, as the decode threads sum it.
#[must_use]
pub fn spelled<'a>(spellings: &'a Spellings, key: &ScopeKey, value: Option<&'a str>) -> Option<&'a str> {
    value.map(|value| spellings.of(key, value).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::budget::{Period, PeriodRule, Quarter, ScopeKey};
    use spendstream_schemas::dimension::Text;

    use super::query;
    use crate::aggregate::cover::{Cover, Times};
    use crate::aggregate::plan::{Bucketing, DimensionSet, SetId, Watch, WatchId};

    #[test]
    fn a_query_reads_only_the_days_it_needs() {
        let rule = PeriodRule { period: Period::Daily, timezone: chrono_tz::Asia::Kolkata, starts_on: None };
        let keys = DimensionSet::new([ScopeKey::Text(Text::ProviderSent), ScopeKey::Tag("o'clock".into())]);
        let bucketing = Bucketing::Calendar(rule);
        let now = Quarter(1_994_856);
        let cover = Cover::of(&bucketing, Times { now, settled: now }, &[]);
        let sql = query(&Watch { id: WatchId(1), set: SetId(1), keys, bucketing }, &cover);
        let time = |micros: i64| format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
        // Midnight in Kolkata is 18:30 UTC: today began on the 21st; with the day after tomorrow, since events may be a day ahead.
        let (from, first, second, third) =
            (1_795_285_800_000_000, 1_795_372_200_000_000, 1_795_458_600_000_000, 1_795_545_000_000_000);
        let expected = format!(
            "SELECT source_cluster, source_topic, source_partition, CASE WHEN event_time < {} THEN 1994762 \
             WHEN event_time < {} THEN 1994858 WHEN event_time < {} THEN 1994954 END, \
             coalesce(provider, provider_sent), tags['o''clock'], sum(cost), count(*), count(*) - count(cost) FROM usage WHERE \
             (date >= CAST('2026-11-21' AS DATE) AND date <= CAST('2026-11-24' AS DATE) AND event_time >= {} AND event_time < {}) \
             GROUP BY 1, 2, 3, 4, 5, 6",
            time(first),
            time(second),
            time(third),
            time(from),
            time(third)
        );
        assert_eq!(sql, expected);
    }
}
