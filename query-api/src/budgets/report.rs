//! Puts a report of budgets together: which are asked for comes in, how they stand at one version of the lake goes out.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_control::Store;
use spendstream_control::budgets::BudgetFilter;
use spendstream_schemas::budget::{Budget, ScopeKey};
use spendstream_schemas::directory::{Directory, Precedence};
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::pseudonym::Pseudonyms;

use super::freshness::Freshness;
use super::look::{Counted, looks};
use super::standing::{Standing, World, canonical, present, spelled, standing};
use super::sums::Sums;
use super::wanted::Wanted;
use crate::error::QueryError;
use crate::sql::engine::Engine;

/// Freshness is read from these last days at least.
const RECENT: TimeDelta = TimeDelta::days(2);

/// What is reported.
#[derive(Debug)]
pub struct Report {
    pub standings: Vec<Standing>,
    /// Where the next page begins.
    pub next: Option<usize>,
    pub freshness: Freshness,
    pub as_of: Option<DateTime<Utc>>,
}

/// What a report needs beside the lake.
pub struct Inputs {
    pub subjects: Vec<Budget>,
    /// Values that a shown cell has, where its budget's scope has the dimension.
    pub within: Vec<(ScopeKey, String)>,
    /// All active budgets.
    pub others: Vec<Budget>,
    pub directory: Directory,
    pub book: Arc<PriceBook>,
    pub now: DateTime<Utc>,
    pub explain: bool,
    pub page: Page,
}

/// Which of the states are shown: so many after those that were seen.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub after: usize,
    pub limit: usize,
}

/// The directory: amounts may depend on it, and it spells teams and departments. Persons are in it as the lake has them.
///
/// # Errors
/// When the control store is away.
pub async fn directory(
    store: &Store,
    words: &[String],
    pseudonyms: &Pseudonyms,
) -> spendstream_control::Result<Directory> {
    // The configuration was checked before.
    let precedence = Precedence::new(words.iter().map(String::as_str)).unwrap_or_default();
    Ok(Directory::new(pseudonyms.entries(store.directory().list().await?), &precedence))
}

/// All active budgets.
///
/// # Errors
/// When the control store is away.
pub async fn active(store: &Store) -> spendstream_control::Result<Vec<Budget>> {
    store.budgets().list(&BudgetFilter { active: Some(true) }).await
}

/// How the subjects stand, in their order, all at the same version of the lake.
///
/// # Errors
/// As any query.
pub async fn report(engine: &Engine, sums: &Sums, inputs: Inputs) -> Result<Report, QueryError> {
    let Inputs { subjects, within, others, directory, book, now, explain, page } = inputs;
    let spellings = Arc::clone(directory.spellings());
    let canonical = |budget| canonical(budget, &book, &spellings);
    let others: Vec<_> = others.into_iter().map(canonical).collect();
    let counted: Vec<_> = subjects.into_iter().map(|budget| Counted::new(canonical(budget), now)).collect();
    let (looks, of) = looks(&counted);
    let snapshot = engine.snapshot().await?;
    let mut cells = Vec::with_capacity(looks.len());
    for look in &looks {
        let found = sums.cells(engine, &snapshot, look, &spellings).await?;
        cells.push(spelled(found, &look.keys, &spellings));
    }
    let since = counted.iter().map(|one| one.from).fold(now - RECENT, DateTime::min);
    let freshness = sums.freshness(engine, &snapshot, since).await?;
    let as_of = freshness.as_of(now);
    let world = World { book: &book, directory: &directory, others: &others, now, as_of, explain };
    let within = (!within.is_empty()).then(|| Wanted::new(within, Arc::clone(&book), Arc::clone(&spellings)));
    let (mut seen, mut standings, mut next) = (0, Vec::new(), None);
    // Only what is shown is worked out: a template may have a million values.
    for (one, look) in counted.iter().zip(of) {
        let mut cells = present(one, &cells[look], &world);
        if let Some(within) = &within {
            cells.retain(|(values, _)| within.takes(|key| one.value_of(values, key)));
        }
        for (values, sum) in cells.iter().skip(page.after.saturating_sub(seen)) {
            if standings.len() == page.limit {
                next = Some(page.after + page.limit);
                break;
            }
            standings.push(standing(one, values, *sum, &world));
        }
        seen += cells.len();
        if next.is_some() {
            break;
        }
    }
    Ok(Report { standings, next, freshness, as_of })
}
