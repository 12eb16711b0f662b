//! Carries what is found for closed months into the open one. In: a lake, the statements, the time. Out: charges, appended once however often and by how
//! many this is run.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use spendstream_schemas::statement::carry::{self, Open};
use spendstream_schemas::statement::change::{Change, changes};
use spendstream_schemas::statement::{Figures, Statement};
use spendstream_storage::Lake;

use super::super::charges::{Appended, Charges};
use super::lines::Looked;
use super::{StatementError, file};

/// What was carried of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub statement: String,
    pub month: String,
    /// Where it went.
    pub into: String,
    pub lines: usize,
    pub figures: Figures,
    pub appended: Appended,
}

impl Carried {
    /// What the audit log keeps of it.
    #[must_use]
    pub fn details(&self) -> serde_json::Value {
        let cost = self.figures.cost().to_string();
        serde_json::json!({"into": self.into, "lines": self.lines, "cost": cost, "charges": self.appended.written})
    }
}

/// The month that takes what is found late: the one after the last that is closed.
#[must_use]
pub fn open_month(statements: &[Statement], now: DateTime<Utc>, zone: Tz) -> Open {
    let last = statements.iter().max_by_key(|statement| statement.month);
    let month = last.map_or_else(|| spendstream_schemas::statement::Month::of(now, zone), |last| last.month.next());
    // What the last one covers ends where it ended, whatever zone is configured since.
    let start = last.map_or_else(|| month.start(zone), |last| last.period_end);
    Open { month, start, end: month.next().start(zone) }
}

/// How a closed month differs from its statement.
///
/// # Errors
/// When the lake or the statement cannot be read.
pub async fn differences(lake: &Lake, looked: &Looked, statement: &Statement) -> Result<Vec<Change>, StatementError> {
    let closed = file::read(lake, statement).await?;
    Ok(changes(&closed, &looked.now(statement).await?)?)
}

/// Carries all that is open of all statements.
///
/// # Errors
/// When the lake fails; what was appended stays, and the next run goes on.
pub async fn adjust(
    lake: &Lake,
    memory_bytes: usize,
    statements: &[Statement],
    now: DateTime<Utc>,
    zone: Tz,
) -> Result<Vec<Carried>, StatementError> {
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    let looked = Looked::open(lake, memory_bytes).await?;
    let open = open_month(statements, now, zone);
    let (writer, mut all) = (Charges::new(lake), Vec::new());
    for statement in statements {
        let found = differences(lake, &looked, statement).await?;
        let charges = carry::charges(statement, &found, open, now)?;
        if charges.is_empty() {
            continue;
        }
        let mut figures = Figures::default();
        for change in &found {
            figures = figures.plus(&change.open()?)?;
        }
        all.push(Carried {
            statement: statement.id.clone(),
            month: statement.month.to_string(),
            into: open.month.to_string(),
            lines: charges.len() / 2,
            figures,
            appended: writer.append(&charges).await?,
        });
    }
    Ok(all)
}
