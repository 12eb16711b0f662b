//! Erases again what was written of erased persons before every pipeline had read the list. In: erasures of the control store that are old enough; the
//! lake, whose rows say the names that the list does not have. Out: rows made anonymous, and the erasures marked: each is repeated once.

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_control::erasures::Erasure as Listed;
use spendstream_control::{Act, Error, Result, Store};
use spendstream_schemas::config::Config;
use spendstream_schemas::pseudonym::{Dimension, ErasedList};
use spendstream_storage::privacy;

use crate::lake::maintenance::Maintainer;
use crate::lake::rewriter::RewriteError;

/// How much the clocks of processes may differ.
const CLOCKS: TimeDelta = TimeDelta::hours(1);

/// See the module. While the control store is away, or without a key, everything waits for the next round.
///
/// # Errors
/// When the lake cannot be rewritten; the next round does the rest.
pub async fn again(
    store: &Store,
    config: &Config,
    maintainer: &mut Maintainer,
    now: DateTime<Utc>,
) -> std::result::Result<(), RewriteError> {
    let Some(due) = due(store, config, now).await else { return Ok(()) };
    let Some(list) = list(&due, config) else { return Ok(()) };
    let act = Act { who: "lake maintenance", now };
    let mut rows = std::collections::BTreeMap::<String, u64>::new();
    for erasure in maintainer.still_named(&list, since_ms(&due)).await? {
        let erased = maintainer.erase(&erasure, now.timestamp_millis(), false, &mut |_, _| {}).await?;
        tracing::info!(erasure = erasure.shown(), rows = erased.rows, decisions = erased.decisions, "erased again");
        *rows.entry(erasure.hash()).or_default() += erased.rows;
        if let Err(error) = store.erasures().anonymise(&erasure, &act).await {
            waits(&error);
            return Ok(());
        }
    }
    for one in due {
        let rows = rows.get(&one.value_hash).copied().unwrap_or(0);
        if let Err(error) = store.erasures().repeated(&one.id, i64::try_from(rows).unwrap_or(i64::MAX), &act).await {
            waits(&error);
            return Ok(());
        }
    }
    Ok(())
}

/// How long after an erasure somebody may still write by what was known before: until the list is read, and what was decoded until then is committed.
fn until_known(config: &Config) -> TimeDelta {
    let written = config.lake.commit_interval.max(config.decide.log_interval);
    TimeDelta::from_std(config.privacy.refresh_interval + written).unwrap_or(TimeDelta::MAX)
}

/// Erasures that are old enough; `None`: none, or nobody knows.
async fn due(store: &Store, config: &Config, now: DateTime<Utc>) -> Option<Vec<Listed>> {
    let due = store.erasures().to_repeat(now - until_known(config)).await.inspect_err(waits).ok()?;
    (!due.is_empty()).then_some(due)
}

/// The list that finds them; `None` without a key.
fn list(due: &[Listed], config: &Config) -> Option<ErasedList> {
    let pseudonyms = privacy::pseudonyms(&config.privacy).unwrap_or_default();
    let Some(key) = pseudonyms.key() else {
        tracing::warn!(
            erasures = due.len(),
            "what was written of erased persons before pipelines knew is not looked for without the key; set privacy.key_file to the key that they were erased with"
        );
        return None;
    };
    let parsed = due.iter().map(|one| {
        let dimension: Dimension = one.dimension.parse().map_err(Error::Unreadable)?;
        Ok((dimension, one.value_hash.clone()))
    });
    Some(ErasedList::new(key.clone(), parsed.collect::<Result<Vec<_>>>().inspect_err(waits).ok()?))
}

/// Files that are older were rewritten by the erasures themselves; of one that was cut, none may have been.
fn since_ms(due: &[Listed]) -> i64 {
    if due.iter().any(|one| one.rewritten_at.is_none()) {
        return i64::MIN;
    }
    let asked = due.iter().map(|one| (one.requested_at - CLOCKS).timestamp_millis());
    asked.min().unwrap_or(i64::MIN)
}

fn waits(error: &Error) {
    tracing::warn!(%error, "erasures are repeated in a later round: the control store does not take part");
}
