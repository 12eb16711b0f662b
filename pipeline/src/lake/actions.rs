//! Lines of the Delta log, as far as they matter here. In: the bytes of a commit, or what a commit shall say. Out: its
//! actions, or its bytes. Pure; knows the Delta protocol and nothing of tables' content.

use std::collections::BTreeMap;

use deltalake_core::kernel::{Add as FileAdd, Remove as FileRemove};
use serde::{Deserialize, Serialize};

use super::books::Book;
use crate::batch::DataFile;

/// One line of a commit; actions that do not matter here are left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub txn: Option<Txn>,
    pub commit_info: Option<CommitInfo>,
    pub meta_data: Option<MetaData>,
    pub protocol: Option<Protocol>,
}

/// One line of a commit, as far as it says which files there are.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct FileLine {
    pub add: Option<FileAdd>,
    pub remove: Option<FileRemove>,
}

/// How far an application got.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Txn {
    pub app_id: String,
    pub version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// What the table is.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MetaData {
    pub id: String,
    pub schema_string: String,
    #[serde(default)]
    pub partition_columns: Vec<String>,
    #[serde(default)]
    pub configuration: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
    #[serde(default)]
    pub format: Format,
}

/// The files' format: Parquet.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Format {
    pub provider: String,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl Default for Format {
    fn default() -> Self {
        Self { provider: "parquet".to_owned(), options: BTreeMap::new() }
    }
}

/// What a reader and a writer must know.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
}

/// Who committed and what for.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CommitInfo {
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operation_parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operation_metrics: BTreeMap<String, serde_json::Value>,
    pub engine_info: Option<String>,
    pub is_blind_append: Option<bool>,
    /// Ours alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spendstream: Option<Note>,
}

/// What our commits say beyond the protocol: who it was, and the books of every partition, so that the newest commit alone balances them.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Note {
    /// Unique per commit: tells whether a version that is taken is our own.
    pub commit: String,
    /// By app id.
    #[serde(default)]
    pub progress: BTreeMap<String, Book>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Add<'a> {
    path: &'a str,
    partition_values: BTreeMap<&'static str, String>,
    size: u64,
    modification_time: i64,
    data_change: bool,
    stats: &'a str,
}

/// What one commit of ours says.
#[derive(Debug)]
pub struct CommitBody<'a> {
    pub files: &'a [DataFile],
    pub txns: Vec<Txn>,
    pub note: Note,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

const ENGINE: &str = concat!("spendstream/", env!("CARGO_PKG_VERSION"));

impl CommitBody<'_> {
    /// The commit file: one action per line.
    ///
    /// # Errors
    /// Never for texts; serde's errors are passed on.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(1024 + self.files.len() * 2048);
        line(&mut out, "commitInfo", &self.commit_info())?;
        for txn in &self.txns {
            line(&mut out, "txn", txn)?;
        }
        for file in self.files {
            line(&mut out, "add", &add(file, self.now_ms))?;
        }
        Ok(out)
    }

    fn commit_info(&self) -> CommitInfo {
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        let bytes: usize = self.files.iter().map(|file| file.bytes.len()).sum();
        let text = |value: String| serde_json::Value::String(value);
        CommitInfo {
            timestamp: Some(self.now_ms),
            operation: Some("WRITE".to_owned()),
            operation_parameters: BTreeMap::from([
                ("mode".to_owned(), text("Append".to_owned())),
                ("partitionBy".to_owned(), text("[\"date\"]".to_owned())),
            ]),
            operation_metrics: BTreeMap::from([
                ("numFiles".to_owned(), text(self.files.len().to_string())),
                ("numOutputRows".to_owned(), text(rows.to_string())),
                ("numOutputBytes".to_owned(), text(bytes.to_string())),
            ]),
            engine_info: Some(ENGINE.to_owned()),
            is_blind_append: Some(true),
            spendstream: Some(self.note.clone()),
        }
    }
}

/// What a commit says that writes rows anew, or only says something else about files that are there.
#[derive(Debug, Default)]
pub struct RewriteBody {
    pub operation: &'static str,
    pub parameters: BTreeMap<String, serde_json::Value>,
    pub txns: Vec<Txn>,
    pub meta: Option<MetaData>,
    pub removes: Vec<FileRemove>,
    pub adds: Vec<FileAdd>,
    pub note: Note,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

impl RewriteBody {
    /// The commit file: one action per line.
    ///
    /// # Errors
    /// Never for texts; serde's errors are passed on.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let text = |number: usize| serde_json::Value::String(number.to_string());
        let info = CommitInfo {
            timestamp: Some(self.now_ms),
            operation: Some(self.operation.to_owned()),
            operation_parameters: self.parameters.clone(),
            operation_metrics: BTreeMap::from([
                ("numAddedFiles".to_owned(), text(self.adds.len())),
                ("numRemovedFiles".to_owned(), text(self.removes.len())),
            ]),
            engine_info: Some(ENGINE.to_owned()),
            is_blind_append: Some(false),
            spendstream: Some(self.note.clone()),
        };
        let mut out = Vec::new();
        line(&mut out, "commitInfo", &info)?;
        if let Some(meta) = &self.meta {
            line(&mut out, "metaData", meta)?;
        }
        for txn in &self.txns {
            line(&mut out, "txn", txn)?;
        }
        for file in &self.removes {
            line(&mut out, "remove", file)?;
        }
        for file in &self.adds {
            line(&mut out, "add", file)?;
        }
        Ok(out)
    }
}

/// The commit file that makes a table.
///
/// # Errors
/// Never for texts; serde's errors are passed on.
pub fn creation(protocol: &Protocol, meta: &MetaData, now_ms: i64) -> serde_json::Result<Vec<u8>> {
    let info = CommitInfo {
        timestamp: Some(now_ms),
        operation: Some("CREATE TABLE".to_owned()),
        operation_parameters: BTreeMap::new(),
        operation_metrics: BTreeMap::new(),
        engine_info: Some(ENGINE.to_owned()),
        is_blind_append: Some(true),
        spendstream: None,
    };
    let mut out = Vec::new();
    line(&mut out, "commitInfo", &info)?;
    line(&mut out, "protocol", protocol)?;
    line(&mut out, "metaData", meta)?;
    Ok(out)
}

/// Reads which files a commit adds and removes.
///
/// # Errors
/// When a line is no JSON object, or an action is not as the protocol says.
pub fn read_files(commit: &[u8]) -> serde_json::Result<Vec<FileLine>> {
    serde_json::Deserializer::from_slice(commit).into_iter().collect()
}

/// Reads the lines of a commit.
///
/// # Errors
/// When a line is no JSON object, or an action that matters here is not as the protocol says.
pub fn read(commit: &[u8]) -> serde_json::Result<Vec<Line>> {
    serde_json::Deserializer::from_slice(commit).into_iter().collect()
}

fn add(file: &DataFile, now_ms: i64) -> Add<'_> {
    Add {
        // Made of hex digits, dashes and dates alone: the same when URL-encoded.
        path: &file.path,
        partition_values: BTreeMap::from([(spendstream_schemas::table::usage::DATE, date_text(file.date))]),
        size: file.bytes.len() as u64,
        modification_time: now_ms,
        data_change: true,
        stats: &file.stats,
    }
}

/// The partition value of a day.
#[must_use]
pub fn date_text(days: i32) -> String {
    date(days).to_string()
}

/// The day that many days after 1970-01-01.
#[must_use]
pub fn date(days: i32) -> chrono::NaiveDate {
    let epoch = chrono::NaiveDate::default();
    epoch.checked_add_signed(chrono::Duration::days(i64::from(days))).unwrap_or(epoch)
}

fn line<T: Serialize>(out: &mut Vec<u8>, name: &str, action: &T) -> serde_json::Result<()> {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    serde_json::to_writer(&mut *out, action)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{date_text, read};

    #[test]
    fn days_become_partition_values() {
        for (days, expected) in [(0, "1970-01-01"), (20_779, "2026-11-22"), (-1, "1969-12-31")] {
            assert_eq!(date_text(days), expected);
        }
    }

    #[test]
    fn somebody_elses_commit_is_read() {
        let commit = br#"{"commitInfo":{"timestamp":1,"operation":"OPTIMIZE","clientVersion":"delta-rs.1"}}
{"remove":{"path":"x","dataChange":false}}
{"txn":{"appId":"spark","version":3,"lastUpdated":9}}"#;
        let lines = read(commit).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].commit_info.as_ref().unwrap().spendstream, None);
        assert_eq!(lines[2].txn.as_ref().unwrap().version, 3);
        assert!(read(b"{\"txn\":{\"appId\":1}}").is_err());
    }
}
