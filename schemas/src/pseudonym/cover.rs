//! Pseudonyms and erasures applied to an event or a question. In: its texts and tags; out: those that are kept. Pure.
//!
//! Everything behind this sees only what is kept: owners, prices, sums, the fingerprints of repeats, rows, dead letters. So a row in the lake
//! and its message, read again, say the same.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::dimension::{Dimension, is_id};
use super::erasure::Erasure;
use super::list::{ErasedList, Pseudonyms};
use super::mention::Name;
use crate::decision::Request;
use crate::dimension::Text;
use crate::usage_event::{Texts, UsageRow};

/// Values whose fate is remembered; at the limit all are asked again.
const REMEMBERED: usize = 100_000;

/// A label of an event.
type Tag<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What becomes of a value, and of what mentions it.
#[derive(Debug)]
pub enum Fate {
    /// It stays.
    Kept,
    /// A pseudonym stands for it, in its dimension and in the ids and tags that mention it. Labels such as `app` stay.
    Pseudonymous {
        dimension: Dimension,
        pseudonym: String,
        name: Name,
    },
    Erased(Box<Erasure>),
}

/// What was decided of values before: asked once per distinct value. Good for one [`Cover`].
#[derive(Debug, Default)]
pub struct Fates(HashMap<Dimension, HashMap<String, Arc<Fate>>>);

/// The fates that concern one event.
type Concerned = SmallVec<[Arc<Fate>; 2]>;

/// Who is pseudonymous and who is erased, at a time.
#[derive(Clone, Debug, Default)]
pub struct Cover {
    pseudonyms: Pseudonyms,
    erased: ErasedList,
    /// The dimensions that decide.
    asked: Vec<Dimension>,
}

impl Cover {
    #[must_use]
    pub fn new(pseudonyms: Pseudonyms, erased: ErasedList) -> Self {
        let mut asked: Vec<_> = pseudonyms.dimensions().iter().chain(erased.dimensions()).cloned().collect();
        asked.sort_unstable();
        asked.dedup();
        Self { pseudonyms, erased, asked }
    }

    /// Whether everything is kept as it comes.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.asked.is_empty()
    }

    #[must_use]
    pub fn pseudonyms(&self) -> &Pseudonyms {
        &self.pseudonyms
    }

    #[must_use]
    pub fn erased(&self) -> &ErasedList {
        &self.erased
    }

    /// The same when nobody was erased.
    #[must_use]
    pub fn before_erasure(&self) -> Self {
        Self::new(self.pseudonyms.clone(), ErasedList::default())
    }

    /// The dimensions that decide.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.asked
    }

    /// What becomes of a value.
    #[must_use]
    pub fn fate(&self, dimension: &Dimension, value: &str) -> Fate {
        if let Some(erasure) = self.erased.erasure(dimension, value) {
            return Fate::Erased(Box::new(erasure));
        }
        match self.pseudonyms.of(dimension, value) {
            Some(pseudonym) => Fate::Pseudonymous {
                name: Name::new(&dimension.normal(value), dimension.folds()),
                dimension: dimension.clone(),
                pseudonym,
            },
            None => Fate::Kept,
        }
    }

    /// The row as it is kept; `None`: as it is.
    #[must_use]
    pub fn row<'r>(&self, row: &'r UsageRow<'_>, known: &mut Fates) -> Option<UsageRow<'r>> {
        let fates = self.concerned(&row.texts, &row.tags, known);
        if fates.is_empty() {
            return None;
        }
        let mut covered = borrowed(row);
        cover(&fates, &mut covered.texts, &mut covered.tags);
        Some(covered)
    }

    /// Makes a question about a call one about the call as it will be kept, so that it meets the budgets and sums of that.
    pub fn request(&self, request: &mut Request<'_>) {
        let fates = self.concerned(&request.texts, &request.tags, &mut Fates::default());
        if !fates.is_empty() {
            cover(&fates, &mut request.texts, &mut request.tags);
        }
    }

    fn concerned(&self, texts: &Texts<'_>, tags: &[Tag<'_>], known: &mut Fates) -> Concerned {
        let mut concerned = Concerned::new();
        for dimension in &self.asked {
            let Some(value) = value(dimension, texts, tags) else { continue };
            let fate = known.of(self, dimension, value);
            if !matches!(*fate, Fate::Kept) {
                concerned.push(fate);
            }
        }
        // As it would be kept first and erased later.
        concerned.sort_by_key(|fate| matches!(**fate, Fate::Erased(_)));
        concerned
    }
}

impl Fates {
    fn of(&mut self, cover: &Cover, dimension: &Dimension, value: &str) -> Arc<Fate> {
        if let Some(fate) = self.0.get(dimension).and_then(|known| known.get(value)) {
            return Arc::clone(fate);
        }
        let fate = Arc::new(cover.fate(dimension, value));
        let known = self.0.entry(dimension.clone()).or_default();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(value.to_owned(), Arc::clone(&fate));
        fate
    }
}

impl Fate {
    /// What stays of a text column; `None`: nothing.
    #[must_use]
    pub fn column<'t>(&self, column: Text, text: &'t str) -> Option<Cow<'t, str>> {
        match self {
            Self::Kept => Some(text.into()),
            Self::Pseudonymous { dimension, pseudonym, name } => Some(if dimension.column() == Some(column) {
                Cow::Owned(pseudonym.clone())
            } else if is_id(column) {
                name.replaced(text, pseudonym)
            } else {
                text.into()
            }),
            Self::Erased(erasure) => erasure.column(column, text),
        }
    }

    /// What stays of a tag's value, or of any text that is no column.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Self::Kept => text.into(),
            Self::Pseudonymous { pseudonym, name, .. } => name.replaced(text, pseudonym),
            Self::Erased(erasure) => erasure.text(text),
        }
    }

    /// What stays of a tag: its name and its value.
    fn tag(&self, tag: &mut Tag<'_>) {
        let is_named = |erasure: &Erasure| erasure.dimension().tag() == Some(&*tag.0);
        let value = match self {
            // Whatever its form: the value is the person.
            Self::Erased(erasure) if is_named(erasure) => Cow::Borrowed(super::ERASED),
            Self::Pseudonymous { dimension, pseudonym, .. } if dimension.tag() == Some(&*tag.0) => {
                Cow::Borrowed(&**pseudonym)
            }
            fate => fate.text(&tag.1),
        };
        let name = match self {
            Self::Erased(erasure) => erasure.id(&tag.0),
            fate => fate.text(&tag.0),
        };
        let (name, value) = (changed(name, &tag.0), changed(value, &tag.1));
        if let Some(name) = name {
            tag.0 = Cow::Owned(name);
        }
        if let Some(value) = value {
            tag.1 = Cow::Owned(value);
        }
    }
}

fn changed(text: Cow<'_, str>, before: &str) -> Option<String> {
    (text != before).then(|| text.into_owned())
}

/// The value of a dimension.
fn value<'v>(dimension: &Dimension, texts: &'v Texts<'_>, tags: &'v [Tag<'_>]) -> Option<&'v str> {
    match (dimension.column(), dimension.tag()) {
        (Some(column), _) => texts.get(column),
        (None, Some(name)) => tags.iter().find(|(key, _)| key == name).map(|(_, value)| &**value),
        (None, None) => None,
    }
}

fn cover(fates: &[Arc<Fate>], texts: &mut Texts<'_>, tags: &mut [Tag<'_>]) {
    for fate in fates {
        for column in Text::ALL {
            let Some(value) = texts.get(column) else { continue };
            match fate.column(column, value).map(|text| changed(text, value)) {
                Some(None) => {}
                Some(Some(instead)) => texts.set(column, instead),
                None => texts.set(column, ""),
            }
        }
        for tag in tags.iter_mut() {
            fate.tag(tag);
        }
    }
}

fn borrowed<'r>(row: &'r UsageRow<'_>) -> UsageRow<'r> {
    UsageRow {
        time_micros: row.time_micros,
        texts: row.texts.borrowed(),
        model_answered: row.model_answered.as_deref().map(Cow::Borrowed),
        tags: row.tags.iter().map(|(key, value)| (Cow::Borrowed(&**key), Cow::Borrowed(&**value))).collect(),
        latency_ms: row.latency_ms,
        cache_hit: row.cache_hit,
        counts: row.counts,
        quantities: row.quantities.iter().map(|(meter, amount)| (Cow::Borrowed(&**meter), *amount)).collect(),
        reported_cost: row.reported_cost.clone(),
        committed: row.committed,
        notes: row.notes,
        quality: row.quality,
    }
}

#[cfg(test)]
#[path = "cover_tests.rs"]
mod tests;
