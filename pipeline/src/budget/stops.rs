//! Emergency stops: what a person has blocked or told to use a cheaper model, until a moment. In: the stops of the control store; out:
//! the one that holds for a call. Pure; a stop ends by itself, as the time is an argument.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use spendstream_schemas::budget::Scope;

use super::subject::Subject;

/// What a stop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Block,
    Downgrade,
}

/// One emergency stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    pub id: String,
    pub scope: Scope,
    pub action: Action,
    pub until: DateTime<Utc>,
    pub reason: String,
}

/// The stops in force; few, since a person makes each.
#[derive(Clone, Debug, Default)]
pub struct Stops(Arc<[Stop]>);

impl Stops {
    #[must_use]
    pub fn new(stops: impl IntoIterator<Item = Stop>) -> Self {
        Self(stops.into_iter().collect())
    }

    /// The stop that holds for a call; a block before a downgrade, the one that lasts longest first.
    #[must_use]
    pub fn find(&self, subject: &Subject<'_>) -> Option<&Stop> {
        let holds = self.0.iter().filter(|stop| subject.now < stop.until && subject.is_within(&stop.scope));
        holds.max_by_key(|stop| (stop.action == Action::Block, stop.until))
    }
}
