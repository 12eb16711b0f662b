//! Asks a lake everything that a check needs to know. In: a view of one version. Out: [`Figures`]. Judges nothing.

use std::collections::HashMap;

use futures::TryStreamExt;
use object_store::ObjectStore;
use spendstream_lake::files::FileInfo;
use spendstream_schemas::config::HOT;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::lake_path::USAGE_TABLE;

use super::rollups::Rollups;
use super::rules::RULES;
use crate::lake::books::Book;
use crate::lake::error::LakeError;
use crate::lake::table::CURRENCY;
use crate::lake::view::{LakeView, failed, quoted, texts};

/// Offsets that are compared with one another at a time: bounds the memory of a query.
const WINDOW: i64 = 4_000_000;
/// Examples that a finding names.
pub const EXAMPLES: usize = 3;
/// Repeats of a day that are looked at one by one.
const MOST_LOOKED_AT: usize = 1_000;

/// Everything a judgement needs.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub rows: u64,
    pub files: usize,
    pub partitions: Vec<PartitionFigures>,
    /// Rows that break each rule, in the order of [`RULES`].
    pub broken: Vec<u64>,
    /// By date: identities that are there more than once, and the rows beyond the first of each.
    pub repeats: Vec<(String, u64, u64)>,
    /// Identities that are there twice within the horizon of one partition.
    pub horizon_repeats: Vec<String>,
    pub horizon: i64,
    pub repricing: Repricing,
    pub rollups: Rollups,
}

/// One source partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionFigures {
    pub source: SourcePartition,
    pub rows: u64,
    /// The largest offset of a row; -1 without rows.
    pub last: i64,
    /// Places (offset, index) that are there more than once.
    pub repeated: u64,
    /// The next offset by the log.
    pub offset: Option<i64>,
    pub book: Option<Book>,
    /// Rows since the books were opened.
    pub counted: u64,
    /// Rows that were there and are not: repeats that a sealing removed, and what was over.
    pub removed: u64,
    pub expired: u64,
}

/// What pricing every row again gave.
#[derive(Clone, Debug, Default)]
pub struct Repricing {
    /// Rows that were priced again.
    pub rows: u64,
    pub different: u64,
    pub examples: Vec<String>,
    /// Versions of the book.
    pub books: usize,
    /// Why books are not to be had, and the rows they priced.
    pub missing: Vec<(String, u64)>,
}

/// Asks everything but prices, of a view whose files are there.
///
/// # Errors
/// When the lake cannot be read.
pub async fn gather(view: &LakeView, (horizon, identities): (i64, usize)) -> Result<Figures, LakeError> {
    let counts = view.integers(&rule_counts(view)).await?;
    let mut counts = counts.into_iter().map(|count| u64::try_from(count).unwrap_or(0));
    let rows = counts.next().unwrap_or(0);
    let mut figures = Figures {
        rows,
        files: view.files().count(),
        broken: counts.collect(),
        partitions: partitions(view).await?,
        horizon,
        ..Figures::default()
    };
    for date in view.dates().into_keys() {
        let date_is = format!("date = CAST({} AS DATE)", quoted(&date));
        let repeated = view.integers(&repeats(&date_is)).await?;
        let [several, extra] = [0, 1].map(|i| repeated.get(i).and_then(|n| u64::try_from(*n).ok()).unwrap_or(0));
        if several > 0 {
            figures.repeats.push((date, several, extra));
            figures.horizon_repeats.extend(near_repeats(view, &date_is, (horizon, identities)).await?);
        }
    }
    Ok(figures)
}

fn rule_counts(view: &LakeView) -> String {
    let currency = view.state.meta.as_ref().and_then(|meta| meta.configuration.get(CURRENCY));
    let currency = quoted(currency.map_or("", String::as_str));
    let counts = RULES.map(|rule| format!("count(*) FILTER (WHERE {})", rule.broken.replace("{currency}", &currency)));
    format!("SELECT count(*), {} FROM usage", counts.join(", "))
}

const IDENTITY: &str = "organization, event_source, event_id";

fn repeats(date_is: &str) -> String {
    format!(
        "SELECT count(*), sum(times - 1) FROM (SELECT count(*) AS times FROM usage WHERE {date_is} \
         GROUP BY {IDENTITY} HAVING count(*) > 1)"
    )
}

/// Repeats that must have been dropped: as many offsets back as are watched, and no more rows back either.
async fn near_repeats(
    view: &LakeView,
    date_is: &str,
    (horizon, identities): (i64, usize),
) -> Result<Vec<String>, LakeError> {
    let sql = format!(
        "SELECT event_id, source_cluster, source_topic, CAST(source_partition AS VARCHAR), CAST(before AS VARCHAR), \
         CAST(source_offset AS VARCHAR) FROM (SELECT event_id, source_cluster, source_topic, source_partition, source_offset, \
         lag(source_offset) OVER (PARTITION BY {IDENTITY}, source_cluster, source_topic, source_partition \
         ORDER BY source_offset, source_index) AS before FROM usage WHERE {date_is} AND event_id IN \
         (SELECT event_id FROM usage WHERE {date_is} GROUP BY {IDENTITY} HAVING count(*) > 1)) \
         WHERE source_offset - before <= {horizon} LIMIT {MOST_LOOKED_AT}"
    );
    let mut near = Vec::new();
    for batch in view.rows(&sql).await? {
        let columns: Vec<_> = (0..batch.num_columns()).map(|column| texts(&batch, column)).collect();
        for row in 0..batch.num_rows() {
            let fields: Vec<String> = columns.iter().map(|column| column[row].clone().unwrap_or_default()).collect();
            let [id, cluster, topic, partition, before, offset] = fields.as_slice() else { continue };
            let since = format!(
                "SELECT count(*) FROM usage WHERE source_cluster = {} AND source_topic = {} AND source_partition = {partition} \
                 AND source_offset >= {before} AND source_offset < {offset}",
                quoted(cluster),
                quoted(topic)
            );
            let rows = view.integers(&since).await?.into_iter().next().unwrap_or(0);
            if usize::try_from(rows).is_ok_and(|rows| rows <= identities) {
                near.push(format!("{id} at offset {offset} of partition {partition}"));
            }
            if near.len() == EXAMPLES {
                return Ok(near);
            }
        }
    }
    Ok(near)
}

async fn partitions(view: &LakeView) -> Result<Vec<PartitionFigures>, LakeError> {
    let sql = "SELECT source_cluster, source_topic, CAST(source_partition AS VARCHAR), CAST(count(*) AS VARCHAR), \
               CAST(min(source_offset) AS VARCHAR), CAST(max(source_offset) AS VARCHAR) FROM usage GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let mut found = HashMap::new();
    for batch in view.rows(sql).await? {
        let columns: Vec<_> = (0..batch.num_columns()).map(|column| texts(&batch, column)).collect();
        let fields = |row: usize| columns.iter().map(move |column| column[row].clone().unwrap_or_default());
        for fields in (0..batch.num_rows()).map(|row| fields(row).collect::<Vec<_>>()) {
            let [cluster, topic, partition, rows, first, last] = fields.as_slice() else { continue };
            let number = |text: &String| text.parse::<i64>().unwrap_or(0);
            let partition = i32::try_from(number(partition)).unwrap_or(-1);
            let source = SourcePartition { cluster: cluster.clone(), topic: topic.clone(), partition };
            found.insert(source, (number(rows), number(first), number(last)));
        }
    }
    let mut sources: Vec<_> = found.keys().chain(view.state.offsets.keys()).cloned().collect();
    sources.sort();
    sources.dedup();
    let mut figures = Vec::new();
    for source in sources {
        let (rows, first, last) = found.get(&source).copied().unwrap_or((0, 0, -1));
        let book = view.state.books.get(&source).copied();
        let since = book.map_or(0, |book| book.since);
        let own = format!(
            "source_cluster = {} AND source_topic = {} AND source_partition = {}",
            quoted(&source.cluster),
            quoted(&source.topic),
            source.partition
        );
        let counted = if rows == 0 || first >= since { rows } else { rows_since(view, &own, since).await? };
        let [removed, expired] = view.gone(&source).map(|rows| u64::try_from(rows).unwrap_or(0));
        figures.push(PartitionFigures {
            removed,
            expired,
            rows: u64::try_from(rows).unwrap_or(0),
            last,
            repeated: if rows == 0 { 0 } else { repeated_places(view, &own, first, last).await? },
            offset: view.state.offsets.get(&source).copied(),
            book,
            counted: u64::try_from(counted).unwrap_or(0),
            source,
        });
    }
    Ok(figures)
}

async fn rows_since(view: &LakeView, own: &str, since: i64) -> Result<i64, LakeError> {
    let sql = format!("SELECT count(*) FROM usage WHERE {own} AND source_offset >= {since}");
    Ok(view.integers(&sql).await?.first().copied().unwrap_or(0))
}

async fn repeated_places(view: &LakeView, own: &str, first: i64, last: i64) -> Result<u64, LakeError> {
    let mut repeated = 0;
    let mut from = first;
    while from <= last {
        let to = from.saturating_add(WINDOW);
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM usage WHERE {own} AND source_offset >= {from} AND source_offset < {to} \
             GROUP BY source_offset, source_index HAVING count(*) > 1)"
        );
        repeated += view.integers(&sql).await?.first().and_then(|count| u64::try_from(*count).ok()).unwrap_or(0);
        from = to;
    }
    Ok(repeated)
}

/// Files that a log names and its store does not have, or has in another size, with the rows and the day that went with them.
///
/// # Errors
/// When a store cannot be listed.
pub async fn wrong_files(view: &LakeView) -> Result<Vec<String>, LakeError> {
    let mut wrong = Vec::new();
    for table in &view.places {
        let mut wanted: HashMap<&str, &FileInfo> =
            table.facts.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let tier = match table.place.tier() {
            HOT => String::new(),
            tier => format!("{tier}: "),
        };
        let store = table.place.table_store(USAGE_TABLE);
        let mut listed = store.list(None);
        while let Some(meta) = listed.try_next().await.map_err(|error| failed(&table.place, &error))? {
            if let Some(file) = wanted.remove(meta.location.as_ref())
                && file.bytes != meta.size
            {
                let (path, found, bytes) = (&file.path, meta.size, file.bytes);
                wrong.push(format!("{tier}{path} has {found} bytes instead of {bytes} ({})", held(file)));
            }
        }
        wrong.extend(wanted.into_values().map(|file| format!("{tier}{} is not there ({})", file.path, held(file))));
    }
    wrong.sort();
    Ok(wrong)
}

/// What a file held, as the log knows.
fn held(file: &FileInfo) -> String {
    let rows = file.rows.map_or("its rows".to_owned(), |rows| format!("{rows} rows"));
    format!("{rows} of {}", if file.date.is_empty() { "no date" } else { &file.date })
}
