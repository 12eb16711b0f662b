//! Rows of a day that tell of a call that another row is charged for. In: the day's rows, and those of the same day that lie elsewhere. Out: the rows
//! to leave out. The rules are those of the live side ([`crate::dedupe`]); here all partitions of a day meet, so what the horizon of one partition
//! could not see is found: repeats that came by another partition, late repeats, outer spans.
//!
//! Of rows with one identity the first that was read stays. Of spans of one call the innermost does. What differs in its content is left out
//! too, and told. Equal identities are found however far apart; spans and responses among as many rows as memory is given.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};
use spendstream_schemas::ids::SourcePartition;
use spendstream_storage::Lake;

use super::super::error::LakeError;
use super::read::failed;
use crate::dedupe::fingerprint::Fingerprint;
use crate::dedupe::horizon::{Horizon, Verdict};
use crate::dedupe::rebuild;

/// Conflicts that are named; all are counted.
const EXAMPLES: usize = 20;
/// Outer spans above a span that are counted to tell the innermost.
const DEEPEST: u32 = 64;

/// Columns that say where a row comes from.
pub const LINEAGE: [&str; 5] = ["source_cluster", "source_topic", "source_partition", "source_offset", "source_index"];
const IDENTITY: &str = "organization, event_source, event_id";

/// A row's place: number of its source partition, offset, index.
type Place = (u32, i64, i32);

/// Rows to leave out.
#[derive(Debug, Default)]
pub struct Repeats {
    sources: Vec<SourcePartition>,
    numbers: HashMap<SourcePartition, u32>,
    rows: HashSet<Place>,
    /// Of these, rows that had the identity of another and other content.
    pub conflicts: u64,
    pub examples: Vec<String>,
    /// There were more than may be held: the day has to be looked at again.
    pub is_partial: bool,
}

impl Repeats {
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows of each partition are left out.
    #[must_use]
    pub fn by_source(&self) -> BTreeMap<SourcePartition, i64> {
        let mut counts = BTreeMap::new();
        for (source, _, _) in &self.rows {
            if let Some(source) = self.sources.get(*source as usize) {
                *counts.entry(source.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// For each row of a batch whether it stays.
    ///
    /// # Errors
    /// When a column of the lineage is missing.
    pub fn stays(&self, batch: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
        let lineage = Lineage::new(batch)?;
        let stays = |row: usize| {
            let (source, offset, index) = lineage.of(row);
            self.numbers.get(&source).is_none_or(|number| !self.rows.contains(&(*number, offset, index)))
        };
        Ok((0..batch.num_rows()).map(stays).collect())
    }

    fn number(&mut self, source: SourcePartition) -> u32 {
        if let Some(number) = self.numbers.get(&source) {
            return *number;
        }
        let number = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(source.clone());
        self.numbers.insert(source, number);
        number
    }
}

/// Whom to ask, and how much may be held.
pub struct Question<'a> {
    pub lake: &'a Lake,
    pub context: &'a SessionContext,
    /// The table of the rows that are written anew.
    pub day: &'a str,
    /// Tables of rows of that day that stay as they are.
    pub beside: &'a [String],
    pub compared_rows: usize,
}

/// A row that may be left out.
struct Candidate {
    place: Place,
    /// Lies elsewhere and stays.
    is_fixed: bool,
    fingerprint: Fingerprint,
}

impl Question<'_> {
    /// Finds the rows to leave out.
    ///
    /// # Errors
    /// When files cannot be read, or memory does not suffice.
    pub async fn ask(&self) -> Result<Repeats, LakeError> {
        let mut found = Repeats::default();
        if self.any(&format!("SELECT 1 FROM {} GROUP BY {IDENTITY} HAVING count(*) > 1", self.all(IDENTITY))).await? {
            self.identities(&mut found).await?;
        }
        let spans = "trace_id, span_id, organization, response_id";
        let traces = format!(
            "SELECT 1 FROM {} WHERE trace_id IS NOT NULL AND span_id IS NOT NULL GROUP BY trace_id HAVING count(*) > 1",
            self.all(spans)
        );
        let responses = format!(
            "SELECT 1 FROM {} WHERE response_id IS NOT NULL GROUP BY organization, response_id HAVING count(*) > 1",
            self.all(spans)
        );
        if !found.is_partial && (self.any(&traces).await? || self.any(&responses).await?) {
            self.calls(&mut found).await?;
        }
        Ok(found)
    }

    /// All rows of the day, wherever they lie, with these columns and whether they stay (0) or are written anew (1).
    fn all(&self, columns: &str) -> String {
        let beside = self.beside.iter().map(|table| format!("SELECT {columns}, 0 AS anew FROM {table} UNION ALL "));
        format!("({}SELECT {columns}, 1 AS anew FROM {})", beside.collect::<String>(), self.day)
    }

    async fn any(&self, sql: &str) -> Result<bool, LakeError> {
        Ok(self.batches(&format!("{sql} LIMIT 1")).await?.try_next().await?.is_some_and(|batch| batch.num_rows() > 0))
    }

    async fn batches(
        &self,
        sql: &str,
    ) -> Result<impl futures::Stream<Item = Result<RecordBatch, LakeError>> + Unpin + use<>, LakeError> {
        let lake = self.lake.clone();
        let broken = move |error: datafusion::error::DataFusionError| failed(&lake, "looking for repeats", &error);
        let frame = self.context.sql(sql).await.map_err(&broken)?;
        let rows = frame.execute_stream().await.map_err(&broken)?;
        Ok(rows.map_err(broken).try_filter(|batch| std::future::ready(batch.num_rows() > 0)).boxed())
    }

    fn columns() -> String {
        let mut columns = rebuild::columns();
        columns.extend(["source_cluster", "source_topic", "source_partition", "ingest_time"]);
        columns.join(", ")
    }

    async fn identities(&self, found: &mut Repeats) -> Result<(), LakeError> {
        let columns = Self::columns();
        let sql = format!(
            "SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY {IDENTITY}) AS times FROM {}) WHERE times > 1 \
             ORDER BY {IDENTITY}, anew, ingest_time, {}",
            self.all(&columns),
            LINEAGE.join(", ")
        );
        let mut batches = self.batches(&sql).await?;
        let mut first: Option<Fingerprint> = None;
        while let Some(batch) = batches.try_next().await? {
            for candidate in self.candidates(&batch, found)? {
                match first.filter(|first| first.identity == candidate.fingerprint.identity) {
                    None => first = Some(candidate.fingerprint),
                    Some(_) if candidate.is_fixed => {}
                    Some(first) => {
                        if first.content != candidate.fingerprint.content {
                            found.conflict(candidate.place);
                        }
                        found.rows.insert(candidate.place);
                    }
                }
            }
            if found.rows.len() >= self.compared_rows {
                found.is_partial = true;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Rows of one trace or response, in portions of as many as may be held.
    async fn calls(&self, found: &mut Repeats) -> Result<(), LakeError> {
        let columns = Self::columns();
        let sql = format!(
            "SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY trace_id) AS spans, \
             count(*) OVER (PARTITION BY organization, response_id) AS answers FROM {}) \
             WHERE (trace_id IS NOT NULL AND spans > 1) OR (response_id IS NOT NULL AND answers > 1) \
             ORDER BY event_time, anew, ingest_time, {}",
            self.all(&columns),
            LINEAGE.join(", ")
        );
        let mut batches = self.batches(&sql).await?;
        let mut portion = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            let candidates = self.candidates(&batch, found)?;
            portion.extend(candidates.into_iter().filter(|one| !found.rows.contains(&one.place)));
            if portion.len() >= self.compared_rows {
                judge(std::mem::take(&mut portion), found);
            }
        }
        judge(portion, found);
        Ok(())
    }

    fn candidates(&self, batch: &RecordBatch, found: &mut Repeats) -> Result<Vec<Candidate>, LakeError> {
        let broken = |error: ArrowError| failed(self.lake, "looking for repeats", &error);
        let fingerprints = rebuild::fingerprints(batch).map_err(broken)?;
        let lineage = Lineage::new(batch).map_err(broken)?;
        let anew = integers(batch, "anew").map_err(broken)?;
        let candidate = |(row, (_, _, fingerprint)): (usize, (i64, i32, Fingerprint))| {
            let (source, offset, index) = lineage.of(row);
            let place = (found.number(source), offset, index);
            Candidate { place, is_fixed: anew.value(row) == 0, fingerprint }
        };
        Ok(fingerprints.into_iter().enumerate().map(candidate).collect())
    }
}

impl Repeats {
    fn conflict(&mut self, (source, offset, index): Place) {
        self.conflicts += 1;
        if self.examples.len() < EXAMPLES
            && let Some(source) = self.sources.get(source as usize)
        {
            self.examples.push(format!("{source} offset {offset} index {index}"));
        }
    }
}

/// Charges the innermost first, and leaves out what tells of a call that is charged.
fn judge(mut candidates: Vec<Candidate>, found: &mut Repeats) {
    let parents: HashMap<u64, u64> = candidates
        .iter()
        .map(|one| (one.fingerprint.span, one.fingerprint.parent))
        .filter(|(span, _)| *span != 0)
        .collect();
    let depth = |candidate: &Candidate| {
        let (mut depth, mut next) = (0_u32, candidate.fingerprint.parent);
        while let Some(above) = parents.get(&next).filter(|_| depth < DEEPEST) {
            depth += 1;
            next = *above;
        }
        depth
    };
    // Stable: rows of one depth stay in the order of time.
    candidates.sort_by_cached_key(|one| (!one.is_fixed, Reverse(depth(one))));
    let mut horizon = Horizon::new(i64::MAX, candidates.len().saturating_add(1));
    for (at, candidate) in (0_i64..).zip(&candidates) {
        match horizon.judge(at, &candidate.fingerprint) {
            Verdict::New => {}
            _ if candidate.is_fixed => {}
            Verdict::Repeat | Verdict::Conflict | Verdict::NestedSpan | Verdict::SameResponse => {
                found.rows.insert(candidate.place);
            }
        }
    }
}

/// Columns of a batch that say where its rows come from.
struct Lineage {
    clusters: StringArray,
    topics: StringArray,
    partitions: Int64Array,
    offsets: Int64Array,
    indexes: Int64Array,
}

impl Lineage {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            clusters: texts(batch, "source_cluster")?,
            topics: texts(batch, "source_topic")?,
            partitions: integers(batch, "source_partition")?,
            offsets: integers(batch, "source_offset")?,
            indexes: integers(batch, "source_index")?,
        })
    }

    fn of(&self, row: usize) -> (SourcePartition, i64, i32) {
        let source = SourcePartition {
            cluster: self.clusters.value(row).to_owned(),
            topic: self.topics.value(row).to_owned(),
            partition: i32::try_from(self.partitions.value(row)).unwrap_or(-1),
        };
        (source, self.offsets.value(row), i32::try_from(self.indexes.value(row)).unwrap_or(-1))
    }
}

/// How many rows of each partition there are.
///
/// # Errors
/// When a column of the lineage is missing.
pub fn count(batch: &RecordBatch, counts: &mut BTreeMap<SourcePartition, i64>) -> Result<(), ArrowError> {
    let lineage = Lineage::new(batch)?;
    for row in 0..batch.num_rows() {
        *counts.entry(lineage.of(row).0).or_default() += 1;
    }
    Ok(())
}

fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<arrow::array::ArrayRef, ArrowError> {
    let column = batch.column_by_name(name);
    cast(column.ok_or_else(|| ArrowError::SchemaError(format!("there is no column {name}")))?, data_type)
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray, ArrowError> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn integers(batch: &RecordBatch, name: &str) -> Result<Int64Array, ArrowError> {
    Ok(column(batch, name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}
