//! With what statements are planned and run: options, functions, one memory pool for all.
//!
//! In come the limits of the configuration, out comes a planning state without tables. Never knows a lake.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;
use deltalake_core::delta_datafusion::planner::DeltaPlanner;
use spendstream_lake::latency;
use spendstream_schemas::config::QueryConfig;

use super::bounded::bounded;
use super::{arithmetic, rules};

/// Consumers that a memory error names in the log.
const TOP_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// Sorts and aggregates may spill this many times `query.memory_bytes` to the temporary directory.
const SPILL_FACTOR: u64 = 8;
/// What one call of a function, or an operator, may make for a batch of rows: this part of `query.memory_bytes`, outside its pool.
pub(super) const PART_OF_MEMORY: usize = 8;

/// Options and functions for every query; tables are added per version of the lake.
///
/// # Errors
/// When the temporary directory for spilling cannot be made.
pub fn base_state(config: &QueryConfig) -> Result<SessionState, DataFusionError> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), TOP_CONSUMERS);
    let spill = (config.memory_bytes as u64).saturating_mul(SPILL_FACTOR);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_max_temp_directory_size(spill))
        .build_arc()?;
    let mut options = SessionConfig::new()
        .with_information_schema(true)
        // The conflict of dictionary keys and pushed-down IN lists is known; hash look-ups are used instead.
        .set_usize("datafusion.optimizer.hash_join_inlist_pushdown_max_size", 0)
        .set_usize("datafusion.optimizer.hash_join_inlist_pushdown_max_distinct_values", 0);
    let settings = options.options_mut();
    // `cost * 1.1` stays a decimal; a float would round money.
    settings.sql_parser.parse_float_as_decimal = true;
    settings.execution.time_zone = Some("UTC".into());
    settings.execution.parquet.pushdown_filters = true;
    settings.execution.parquet.bloom_filter_on_read = true;
    // What a running operator lets a scan leave out takes rows away that another of its columns needs (the maximum of an expression beside
    // that of a column), or ends in a panic (a limit after a sort by an expression).
    settings.optimizer.enable_dynamic_filter_pushdown = false;
    settings.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    settings.optimizer.enable_topk_dynamic_filter_pushdown = false;
    settings.optimizer.enable_join_dynamic_filter_pushdown = false;
    let mut builder = SessionStateBuilder::new()
        .with_config(options)
        .with_runtime_env(runtime)
        .with_expr_planners(vec![Arc::new(arithmetic::Exact)])
        .with_default_features()
        .with_optimizer_rules(rules::rules())
        .with_query_planner(DeltaPlanner::new());
    let functions = builder.scalar_functions().get_or_insert_default();
    bounded(functions, config.memory_bytes / PART_OF_MEMORY);
    arithmetic::steady(functions);
    let mut state = builder.build();
    latency::register(&mut state)?;
    Ok(state)
}
