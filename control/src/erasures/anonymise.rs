//! Makes what the store holds of an erased person anonymous, all or nothing. In: an erasure; out: what was ended, removed and rewritten.
//!
//! Budgets and stops on the person end, the person's entries leave the directory, what waits to be sent to the person is given up. Everywhere
//! else the texts alone change. The ids of alerts stay: they are hashes that other systems were told.

use std::collections::BTreeMap;

use serde::Serialize;
use spendstream_schemas::budget::{Budget, Scope, ScopeValue};
use spendstream_schemas::directory::Entry;
use spendstream_schemas::pseudonym::{Erasure as Rule, literals};

use super::tables::{Form, GONE, TABLES, Table};
use super::{Erasures, WHAT};
use crate::audit::{self, Change};
use crate::blocks::Block;
use crate::db::{Arg, Row, Tx, args, to_json};
use crate::error::Result;
use crate::store::Act;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Anonymised {
    /// Budgets whose scope named the person: inactive now. One that comes from a file is there again at the next start unless the file changes.
    pub budgets_ended: usize,
    /// Stops whose scope named the person: lifted.
    pub blocks_lifted: usize,
    /// Entries about the person.
    pub directory_removed: usize,
    /// Messages to the person that were not sent yet.
    pub deliveries_given_up: usize,
    /// Rows whose texts mentioned the person, by table; removed ones included.
    pub rows: BTreeMap<&'static str, usize>,
}

impl Erasures<'_> {
    /// See the module. Doing it again changes nothing but what was written since.
    ///
    /// # Errors
    /// When the database is away; then nothing was changed.
    pub async fn anonymise(&self, rule: &Rule, act: &Act<'_>) -> Result<Anonymised> {
        let mut tx = self.0.pool.begin().await?;
        let version = tx.next_version().await?;
        let who = rule.text(act.who).into_owned();
        let act = Act { who: &who, ..*act };
        let mut work = Work { tx, rule, version, done: Anonymised::default() };
        work.budgets(&act).await?;
        work.blocks(&act).await?;
        work.directory().await?;
        work.deliveries(&act).await?;
        for (name, select, delete) in GONE {
            work.remove(name, select, delete).await?;
        }
        for table in &TABLES {
            work.rewrite(table).await?;
        }
        let Work { mut tx, done, .. } = work;
        let change = Change { action: "anonymise", what: WHAT, id: &rule.shown() };
        audit::write(&mut tx, &act, change, None::<&()>, Some(&done)).await?;
        tx.commit().await?;
        Ok(done)
    }
}

struct Work<'a> {
    tx: Tx,
    rule: &'a Rule,
    version: i64,
    done: Anonymised,
}

impl Work<'_> {
    async fn budgets(&mut self, act: &Act<'_>) -> Result<()> {
        for row in self.tx.rows("SELECT id, document FROM budgets", &[]).await? {
            let before: Budget = row.json(1)?;
            let mut after = before.clone();
            let mentions = |text: &String| self.rule.mentions(text);
            after.owner = after.owner.filter(|owner| !mentions(owner));
            after.contacts.retain(|contact| !mentions(contact));
            if names(self.rule, &before.scope) {
                self.done.budgets_ended += usize::from(before.active);
                (after.active, after.updated_at) = (false, if before.active { act.now } else { before.updated_at });
            }
            if after != before {
                let sql = "UPDATE budgets SET active = $2, document = $3, version = $4 WHERE id = $1";
                self.tx.execute(sql, args![row.text(0)?, after.active, to_json(&after)?, self.version]).await?;
            }
        }
        Ok(())
    }

    async fn blocks(&mut self, act: &Act<'_>) -> Result<()> {
        for row in self.tx.rows("SELECT id, document FROM blocks WHERE lifted = 0", &[]).await? {
            let before: Block = row.json(1)?;
            if !names(self.rule, &before.scope) {
                continue;
            }
            self.done.blocks_lifted += usize::from(before.holds(act.now));
            let after = Block { lifted_by: Some(act.who.to_owned()), lifted_at: Some(act.now), ..before };
            let sql = "UPDATE blocks SET document = $2, lifted = 1, version = $3 WHERE id = $1";
            self.tx.execute(sql, args![row.text(0)?, to_json(&after)?, self.version]).await?;
        }
        Ok(())
    }

    async fn directory(&mut self) -> Result<()> {
        for row in self.tx.rows("SELECT id, document FROM directory", &[]).await? {
            let entry: Entry = row.json(1)?;
            if entry.key == *self.rule.dimension().scope_key() && self.rule.is(&entry.value) {
                self.tx.execute("DELETE FROM directory WHERE id = $1", args![row.text(0)?]).await?;
                self.done.directory_removed += 1;
            }
        }
        Ok(())
    }

    async fn deliveries(&mut self, act: &Act<'_>) -> Result<()> {
        let sql = "SELECT id, target FROM notifications WHERE state IN ('pending', 'failed')";
        for row in self.tx.rows(sql, &[]).await? {
            if self.rule.mentions(&row.text(1)?) {
                let sql = "UPDATE notifications SET state = 'given_up', error = 'the person was erased', updated_at = $2 \
                           WHERE id = $1";
                self.tx.execute(sql, args![row.text(0)?, act.now]).await?;
                self.done.deliveries_given_up += 1;
            }
        }
        Ok(())
    }

    async fn remove(&mut self, name: &'static str, select: &'static str, delete: &'static str) -> Result<()> {
        for row in self.tx.rows(select, &[]).await? {
            let key = row.text(0)?;
            if self.rule.mentions(&key) {
                self.tx.execute(delete, args![key]).await?;
                *self.done.rows.entry(name).or_default() += 1;
            }
        }
        Ok(())
    }

    async fn rewrite(&mut self, table: &Table) -> Result<()> {
        let mut last = table.before_first.to_owned();
        loop {
            let rows = self.tx.rows(table.select, args![&last]).await?;
            let Some(newest) = rows.last() else { return Ok(()) };
            last = newest.text(0)?;
            for row in &rows {
                self.rewrite_row(table, row).await?;
            }
        }
    }

    async fn rewrite_row(&mut self, table: &Table, row: &Row) -> Result<()> {
        let key = row.text(0)?;
        let (mut values, mut is_changed) = (vec![Arg::from(&key)], false);
        for (at, (_, form)) in table.columns.iter().enumerate() {
            let before = row.optional_text(at + 1)?;
            let mut after = before.as_deref().map(|text| form.anonymous(self.rule, text));
            is_changed |= after != before;
            if let (0, Some(taken), Some(id)) = (at, table.taken, &mut after)
                && *id != key
            {
                // Two spellings of one name leave the same id.
                let first = id.clone();
                for number in 2.. {
                    if self.tx.row(taken, args![&*id]).await?.is_none() {
                        break;
                    }
                    *id = format!("{first}-{number}");
                }
            }
            values.push(Arg::from(after));
        }
        if is_changed {
            self.tx.execute(table.update, &values).await?;
            *self.done.rows.entry(table.name).or_default() += 1;
        }
        Ok(())
    }
}

impl Form {
    fn anonymous(self, rule: &Rule, text: &str) -> String {
        match self {
            Self::Id => rule.text(text).into_owned(),
            Self::Prose => prose(rule, text),
            Self::Document => {
                let covered = |text: &str| rule.mentions(text).then(|| prose(rule, text));
                literals::replaced(text, covered).into_owned()
            }
        }
    }
}

/// A sentence keeps its other words; one word is an id, and the same wherever it stands.
fn prose(rule: &Rule, text: &str) -> String {
    let is_sentence = text.trim().contains(char::is_whitespace);
    if is_sentence { rule.prose(text) } else { rule.text(text) }.into_owned()
}

/// Whether a scope is about the person.
fn names(rule: &Rule, scope: &Scope) -> bool {
    scope.iter().any(|(key, value)| match value {
        ScopeValue::Is(value) if key == rule.dimension().scope_key() => rule.is(value),
        ScopeValue::Is(value) => rule.mentions(value),
        ScopeValue::Each => false,
    })
}
