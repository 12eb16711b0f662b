//! Closes a month. In: a lake, a month, who and when. Out: its statement, whose lines are stored; nothing says that it is closed until the control store
//! does. Ended anywhere before that, it leaves a file that nobody names.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use spendstream_schemas::config::Config;
use spendstream_schemas::statement::{Month, Statement, totals};
use spendstream_storage::Lake;

use super::super::maintenance::Moment;
use super::lines::{Looked, Period};
use super::refusal::{Asked, refusal};
use super::{StatementError, file};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Close<'a> {
    pub month: Month,
    pub zone: Tz,
    pub force: bool,
    pub allow_unpriced: bool,
    pub who: &'a str,
    pub now: DateTime<Utc>,
}

/// Looks at the month, and stores its lines.
///
/// # Errors
/// [`StatementError::Refused`] says why it is not closed and what to do; else when the lake fails.
pub async fn close(lake: &Lake, config: &Config, asked: Close<'_>) -> Result<Statement, StatementError> {
    let Close { month, zone, now, .. } = asked;
    let (start, end) = month.span(zone);
    let period = Period { month: month.to_string(), start, end };
    let looked = Looked::open(lake, config.query.memory_bytes).await?;
    let state = &looked.view().state;
    let moment = Moment::of(state, now.timestamp_millis(), config.live.idle_timeout);
    let mut question = Asked {
        month,
        end,
        now,
        watermark: DateTime::from_timestamp_millis(moment.watermark_ms).unwrap_or(now),
        lateness: config.live.allowed_lateness,
        unpriced_calls: 0,
        force: asked.force,
        allow_unpriced: asked.allow_unpriced,
    };
    let refused = |question: &Asked| refusal(question).map_or(Ok(()), |why| Err(StatementError::Refused(why)));
    refused(&question)?;
    let lines = looked.lines(&period).await?;
    let sums = totals(&lines)?;
    question.unpriced_calls = sums.unpriced_calls;
    refused(&question)?;
    let encoded = file::encode(month, &lines)?;
    let statement = Statement {
        id: encoded.id.clone(),
        month,
        timezone: zone.to_string(),
        period_start: start,
        period_end: end,
        currency: config.lake.currency.clone(),
        path: encoded.path.clone(),
        lines: lines.len() as u64,
        calls: sums.calls,
        cost: sums.cost().to_string(),
        unpriced_calls: sums.unpriced_calls,
        offsets: state.offsets.iter().map(|(source, offset)| (source.app_id(), *offset)).collect(),
        table_versions: looked.versions(),
        price_books: looked.price_books(&period).await?,
        closed_at: now,
        closed_by: asked.who.to_owned(),
        forced: asked.force,
    };
    file::store(lake, &encoded).await?;
    Ok(statement)
}
