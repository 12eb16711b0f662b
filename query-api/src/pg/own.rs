//! The statements that are of the session itself: transactions that change nothing, settings, what was prepared. In: a statement; out: its effect on
//! the session, and what the client is told. None of them reaches the engine.

use arrow::datatypes::{DataType, Field, Schema};

use super::failure::Failure;
use super::reply::{self, Severity, Transaction};
use super::session::Session;
use super::settings::Set;
use super::statement::Statement;

/// What is told of a statement that is done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub tag: &'static str,
    pub rows: Vec<Vec<String>>,
}

/// The columns of one that has rows.
pub(super) fn schema(statement: &Statement) -> Option<Schema> {
    let names = match statement {
        Statement::Show(name) if name.eq_ignore_ascii_case("ALL") => vec!["name", "setting"],
        Statement::Show(name) => vec![name.as_str()],
        _ => return None,
    };
    Some(Schema::new(names.into_iter().map(|name| Field::new(name, DataType::Utf8, false)).collect::<Vec<_>>()))
}

impl Session {
    /// Does a statement that is of the session.
    pub(super) fn own(&mut self, statement: &Statement) -> Result<Told, Failure> {
        let tag = match statement {
            Statement::Begin => {
                self.transaction = Transaction::Open;
                "BEGIN"
            }
            Statement::Commit if self.transaction != Transaction::Failed => self.end("COMMIT"),
            Statement::Commit | Statement::Rollback => self.end("ROLLBACK"),
            Statement::Nothing(tag) => {
                if *tag == "ROLLBACK" && self.transaction == Transaction::Failed {
                    self.transaction = Transaction::Open;
                }
                tag
            }
            Statement::Set { name, value } => {
                self.set(name, value.as_deref())?;
                if value.is_some() { "SET" } else { "RESET" }
            }
            Statement::Reset => {
                self.settings.reset();
                "RESET"
            }
            Statement::Show(name) => return self.show(name),
            Statement::Deallocate(name) => {
                match name {
                    Some(name) => drop(self.statements.remove(name)),
                    None => self.statements.clear(),
                }
                "DEALLOCATE"
            }
            Statement::DiscardAll => {
                self.settings.reset();
                self.statements.clear();
                self.portals.clear();
                "DISCARD ALL"
            }
            Statement::Empty | Statement::Query => "",
        };
        Ok(Told { tag, rows: Vec::new() })
    }

    fn end(&mut self, tag: &'static str) -> &'static str {
        self.transaction = Transaction::Idle;
        self.portals.clear();
        tag
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        match self.settings.set(name, value) {
            Set::Taken(None) => {}
            Set::Taken(Some((name, value))) => reply::setting(&mut self.outgoing.buffer, name, &value),
            Set::Stays { name, value } => {
                let text = format!("{name} stays {value} here");
                reply::failure(&mut self.outgoing.buffer, Severity::Notice, &Failure::new("01000", &text));
            }
            Set::Wrong(why) => return Err(Failure::new("22023", &why)),
        }
        Ok(())
    }

    fn show(&self, name: &str) -> Result<Told, Failure> {
        let rows =
            if name.eq_ignore_ascii_case("ALL") {
                self.settings.all().into_iter().map(|(name, value)| vec![name, value]).collect()
            } else {
                let value = self.settings.get(name);
                vec![vec![value.ok_or_else(|| {
                    Failure::new("42704", &format!("there is no setting '{name}'; SHOW ALL lists them"))
                })?]]
            };
        Ok(Told { tag: "SHOW", rows })
    }
}
