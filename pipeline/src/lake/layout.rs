//! How the columns of `usage` lie in Parquet: encodings, dictionaries, statistics, bloom filters. In: limits of the
//! configuration. Out: writer properties. Pure.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use spendstream_schemas::count::Count;
use spendstream_schemas::table::usage::{BLOOM_FILTERED, PERSONAL};

/// Columns with minimum, maximum and number of nulls in the Delta log: what queries filter by. None of [`PERSONAL`]: a value in the log would
/// outlive an erasure.
pub const STATISTICS: [&str; 28] = [
    "event_time",
    "provider",
    "model",
    "model_id",
    "operation",
    "payload_kind",
    "organization",
    "team",
    "department",
    "cost_center",
    "project",
    "app",
    "feature",
    "agent",
    "environment",
    "endpoint",
    "task_type",
    "service_tier",
    "region",
    "status",
    "cost",
    "price_book_version",
    "price_status",
    "source_cluster",
    "source_topic",
    "source_partition",
    "source_offset",
    "ingest_time",
];

/// Also by page within a file: rows of a file are in order of their offsets, and times nearly so.
const PAGE_STATISTICS: [&str; 2] = ["event_time", "source_offset"];

/// Texts that hardly repeat: a dictionary would be built only to be thrown away.
const UNIQUE_TEXTS: [&str; 7] =
    ["event_id", "response_id", "trace_id", "span_id", "parent_span_id", "prompt_hash", "item_id"];

/// Values handed to a column's encoder at a time; many small calls cost more than they bound.
const WRITE_BATCH: usize = 8_192;

/// Integers that hardly repeat, but differ little from the one before.
const RISING: [&str; 2] = ["source_offset", "event_time"];

/// The chance that a bloom filter sends a reader to a row group in vain.
const FALSE_POSITIVES: f64 = 0.01;

/// Properties of a file that will have at most `row_group_rows` rows per group.
#[must_use]
pub fn properties(row_group_rows: usize, zstd_level: i32) -> WriterProperties {
    let level = ZstdLevel::try_new(zstd_level).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("spendstream ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(row_group_rows.max(1)))
        .set_write_batch_size(WRITE_BATCH)
        .set_statistics_enabled(EnabledStatistics::None)
        // Statistics in the Delta log are exact or absent: engines answer MIN and MAX from them.
        .set_statistics_truncate_length(None);
    for name in STATISTICS {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
    }
    for name in PAGE_STATISTICS {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    // Counts repeat too little to pay for a dictionary: a sixth of the time to encode for a twentieth of the bytes.
    let counts = Count::ALL.map(Count::column);
    for name in UNIQUE_TEXTS.into_iter().chain(RISING).chain(counts).chain(["latency_ms"]) {
        builder = builder.set_column_dictionary_enabled(path(name), false);
    }
    for name in RISING {
        builder = builder.set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    debug_assert!(PERSONAL.iter().all(|name| !STATISTICS.contains(name)));
    blooms(builder, row_group_rows).build()
}

/// Properties of a file of sums: statistics of the named columns, nothing else out of the ordinary.
#[must_use]
pub fn plain(row_group_rows: usize, zstd_level: i32, statistics: &[&str]) -> WriterProperties {
    let level = ZstdLevel::try_new(zstd_level).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("spendstream ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(row_group_rows.max(1)))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_statistics_truncate_length(None);
    for name in statistics {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
    }
    builder.build()
}

fn blooms(mut builder: WriterPropertiesBuilder, rows: usize) -> WriterPropertiesBuilder {
    for name in BLOOM_FILTERED {
        // Sized for a full row group, folded to the values that came when the group is closed.
        builder = builder
            .set_column_bloom_filter_enabled(path(name), true)
            .set_column_bloom_filter_fpp(path(name), FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path(name), rows.max(1) as u64);
    }
    builder
}

fn path(name: &str) -> ColumnPath {
    ColumnPath::from(name)
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::table::usage::{PERSONAL, file_schema};

    use super::{PAGE_STATISTICS, RISING, STATISTICS, UNIQUE_TEXTS};

    #[test]
    fn every_name_is_a_column_and_no_person_is_in_the_log() {
        let schema = file_schema();
        for name in STATISTICS.iter().chain(&PAGE_STATISTICS).chain(&UNIQUE_TEXTS).chain(&RISING) {
            assert!(schema.column_with_name(name).is_some(), "{name}");
        }
        for name in PERSONAL {
            assert!(!STATISTICS.contains(&name), "{name}");
        }
    }
}
