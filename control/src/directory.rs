//! The directory in the store: imported lines come in, all of an origin replaced at once, entries go out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use spendstream_schemas::budget::scope::kept;
use spendstream_schemas::directory::{Entry, read};
use spendstream_schemas::secret::REMOVED;

use crate::audit::{self, Change};
use crate::db::{args, to_json};
use crate::error::{Error, Result};
use crate::store::{Act, Store};

/// What an import did, in lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub added: usize,
    pub removed: usize,
    pub unchanged: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntries<'a>(pub(crate) &'a Store);

impl DirectoryEntries<'_> {
    /// Makes the lines of `origin` (one source of truth, such as `hr`) exactly those of a CSV, all or none. `file` names it in
    /// errors; doing it twice changes nothing, and a line that is there twice is one.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every bad or contradictory line, those of other origins included.
    pub async fn import(&self, csv: &str, file: &str, origin: &str, act: &Act<'_>) -> Result<Imported> {
        let entries = read(csv, file).map_err(Error::Invalid)?;
        let mut tx = self.0.pool.begin().await?;
        let version = tx.next_version().await?;
        let (mut before, mut others) = (BTreeMap::new(), Vec::new());
        for row in tx.rows("SELECT id, origin, document FROM directory", &[]).await? {
            let (from, text) = (row.text(1)?, row.text(2)?);
            if from == origin {
                before.insert(text, row.text(0)?);
            } else {
                others.push((from, hashed(row.json(2)?)));
            }
        }
        disjoint(&entries, &others, file)?;
        let mut done = Imported::default();
        let documents: BTreeMap<_, _> =
            entries.iter().map(|entry| Ok((to_json(entry)?, entry))).collect::<Result<_>>()?;
        for (document, entry) in documents {
            if before.remove(&document).is_some() {
                done.unchanged += 1;
                continue;
            }
            let (key, value) = entry.subject();
            let id = format!("{origin}:{key}:{value}:{}", crate::migrations::checksum(&document));
            let sql = "INSERT INTO directory (id, origin, document, version) VALUES ($1, $2, $3, $4)";
            tx.execute(sql, args![id, origin, document, version]).await?;
            done.added += 1;
        }
        // What is left of what was there is no longer in the file.
        for (document, id) in before {
            tx.execute("DELETE FROM directory WHERE id = $1", args![&id]).await?;
            let gone: Option<serde_json::Value> = serde_json::from_str(&document).ok();
            let change = Change { action: "remove", what: "directory", id: &id };
            audit::write(&mut tx, act, change, gone.as_ref(), None::<&()>).await?;
            done.removed += 1;
        }
        if done.added + done.removed > 0 {
            let change = Change { action: "import", what: "directory", id: origin };
            audit::write(&mut tx, act, change, None::<&()>, Some(&done)).await?;
            tx.commit().await?;
        }
        Ok(done)
    }

    /// All entries, by origin and what they are about.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self) -> Result<Vec<Entry>> {
        let rows = self.0.pool.rows("SELECT document FROM directory ORDER BY id", &[]).await?;
        rows.iter().map(|row| Ok(hashed(row.json(0)?))).collect()
    }
}

/// As an import keeps it today: older versions kept the key itself.
fn hashed(entry: Entry) -> Entry {
    let value = kept(&entry.key, &entry.value).map_or_else(|| REMOVED.to_owned(), Cow::into_owned);
    Entry { value, ..entry }
}

/// Lines of different origins must not say different things either.
fn disjoint(entries: &[Entry], others: &[(String, Entry)], file: &str) -> Result<()> {
    let mut by_subject: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (origin, entry) in others {
        by_subject.entry(entry.subject()).or_default().push((origin, entry));
    }
    let mut problems = Vec::new();
    for entry in entries {
        let there = by_subject.get(&entry.subject()).into_iter().flatten();
        for (origin, _) in there.filter(|(_, other)| other.overlaps(entry) && !other.agrees(entry)) {
            problems.push(format!(
                "{file}: {} '{}' contradicts what {origin} says at the same time",
                entry.key, entry.value
            ));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}
