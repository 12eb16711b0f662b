//! Fills in whose spend an event is. In: decoded columns and the directory; out: the columns `team`, `department` and `cost_center` as the
//! directory has them at the event's time, and what it changed. Pure: the directory is asked once per distinct combination of values.
//!
//! What was sent is kept beside what was filled in, so that a row of the lake still says what its event said.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::DateTime;
use hashbrown::HashMap;
use smallvec::SmallVec;
use spendstream_schemas::budget::ScopeKey;
use spendstream_schemas::dimension::{Keep, Text};
use spendstream_schemas::directory::Directory;

use super::events::EventColumns;
use super::interner::{Interner, Symbol};

/// Key of `pricing_inputs`: the team as it was sent, where the lake's column says something else; empty for none.
pub const TEAM_SENT: &str = "team_sent";
/// Key of `pricing_inputs`: the department as it was sent, where the lake's column says something else; empty for none.
pub const DEPARTMENT_SENT: &str = "department_sent";
/// Labels that somebody else than the event may set, each with the key of `pricing_inputs` under which a row keeps what its event sent, where the
/// column says something else; an empty text for none.
pub const LABELS: [(Text, &str); 6] = [
    (Text::Team, TEAM_SENT),
    (Text::Department, DEPARTMENT_SENT),
    (Text::Project, "project_sent"),
    (Text::App, "app_sent"),
    (Text::Feature, "feature_sent"),
    (Text::Environment, "environment_sent"),
];

/// What the directory fills in, in the order of the bits of [`Filling::changed`].
const FILLED: [Text; 3] = [Text::Team, Text::Department, Text::CostCenter];
/// Distinct combinations that are remembered; at the limit all are asked again.
const REMEMBERED: usize = 100_000;

/// An owner, in symbols.
#[derive(Clone, Copy, Debug)]
struct Owner {
    filled: [Symbol; 3],
    changed: u8,
}

/// The values that decide, and between which two changes of the directory the event lies.
type Asked = (usize, SmallVec<[Symbol; 10]>);

/// What was changed of a batch; empty vectors when nothing was.
#[derive(Debug, Default)]
pub struct Filling {
    /// By row: which of team, department and cost centre, as bits.
    changed: Vec<u8>,
    /// By row: team and department as they were sent.
    sent: Vec<[Symbol; 2]>,
}

impl Filling {
    /// The columns of a row that the directory filled in or respelled.
    pub fn names(&self, row: usize) -> impl Iterator<Item = &'static str> {
        let changed = self.changed.get(row).copied().unwrap_or_default();
        (0..3).filter(move |bit| changed & (1 << bit) != 0).map(|bit| FILLED[bit].column())
    }

    /// What a row's event said where the lake's column says something else.
    pub fn sent(&self, row: usize) -> impl Iterator<Item = (&'static str, Symbol)> {
        let changed = self.changed.get(row).copied().unwrap_or_default();
        let sent = self.sent.get(row).copied().unwrap_or_default();
        let names = [TEAM_SENT, DEPARTMENT_SENT].into_iter().zip(sent);
        (0..).zip(names).filter(move |(bit, _)| changed & (1 << bit) != 0).map(|(_, named)| named)
    }
}

/// See the module. One per decode thread.
#[derive(Debug, Default)]
pub struct Owners {
    directory: Arc<Directory>,
    /// When the directory says something else than before, microseconds, sorted.
    edges: Vec<i64>,
    known: HashMap<Asked, Owner>,
}

impl Owners {
    /// Goes by another directory from now on.
    pub fn set(&mut self, directory: &Arc<Directory>) {
        if !Arc::ptr_eq(&self.directory, directory) {
            self.directory = Arc::clone(directory);
            self.edges = directory.edges();
            self.forget();
        }
    }

    /// The symbols mean something else from now on.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Fills in the owner of every row.
    pub fn fill(&mut self, columns: &mut EventColumns, interner: &mut Interner) -> Filling {
        if self.directory.is_empty() || columns.is_empty() {
            return Filling::default();
        }
        if self.known.len() > REMEMBERED {
            self.forget();
        }
        let directory = Arc::clone(&self.directory);
        let keys: Vec<&ScopeKey> = directory.keys().collect();
        let rows = columns.len();
        let mut owners = Vec::with_capacity(rows);
        {
            let values: Vec<Cow<'_, [Symbol]>> = keys.iter().map(|key| symbols(key, columns, interner)).collect();
            for row in 0..rows {
                let micros = columns.times[row];
                let span = self.edges.partition_point(|edge| *edge <= micros);
                let asked: Asked = (span, values.iter().map(|column| column[row]).collect());
                let owner = self.known.get(&asked).copied().unwrap_or_else(|| {
                    let owner = ask(&directory, &keys, &asked.1, micros, interner);
                    self.known.insert(asked, owner);
                    owner
                });
                owners.push(owner);
            }
        }
        let mut filling = Filling { changed: Vec::with_capacity(rows), sent: Vec::with_capacity(rows) };
        for (row, owner) in owners.iter().enumerate() {
            filling.changed.push(owner.changed);
            let sent = |text: Text| columns.symbols[text as usize][row];
            filling.sent.push([sent(Text::Team), sent(Text::Department)]);
            for (text, symbol) in FILLED.into_iter().zip(owner.filled) {
                columns.symbols[text as usize][row] = symbol;
            }
        }
        filling
    }
}

fn ask(directory: &Directory, keys: &[&ScopeKey], values: &[Symbol], micros: i64, interner: &mut Interner) -> Owner {
    let texts: Vec<Option<String>> =
        values.iter().map(|symbol| interner.text(*symbol).map(ToOwned::to_owned)).collect();
    let value_of = |key: &ScopeKey| texts[keys.iter().position(|known| *known == key)?].as_deref();
    let at = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let found = directory.resolve(value_of, at);
    let changed = found.filled().filter_map(|name| FILLED.iter().position(|text| text.column() == name));
    let changed = changed.fold(0, |bits, bit| bits | (1 << bit));
    let filled = [found.team, found.department, found.cost_center]
        .map(|text| text.map_or(Symbol::NONE, |text| interner.intern(text).0));
    Owner { filled, changed }
}

/// A dimension's symbols, row by row, as they were sent.
pub fn symbols<'a>(key: &ScopeKey, columns: &'a EventColumns, interner: &mut Interner) -> Cow<'a, [Symbol]> {
    match key {
        ScopeKey::Text(text) if text.keep() == Keep::Plain => Cow::Owned(plain(*text, columns, interner)),
        ScopeKey::Text(text) => Cow::Borrowed(&columns.symbols[*text as usize]),
        ScopeKey::CostCenter => Cow::Borrowed(&columns.symbols[Text::CostCenter as usize]),
        ScopeKey::Tag(name) => Cow::Owned(tag(name, columns, interner)),
    }
}

/// Texts that are not interned otherwise; who watches ids fills the interner faster.
fn plain(text: Text, columns: &EventColumns, interner: &mut Interner) -> Vec<Symbol> {
    let column = &columns.plain[text as usize];
    let mut from = 0;
    let symbols = column.ends.iter().zip(&column.valid).map(|(end, valid)| {
        let bytes = from..usize::try_from(*end).unwrap_or(from);
        from = bytes.end;
        let text = valid.then(|| std::str::from_utf8(&column.bytes[bytes]).ok()).flatten();
        text.map_or(Symbol::NONE, |text| interner.intern(text).0)
    });
    symbols.collect()
}

fn tag(name: &str, columns: &EventColumns, interner: &mut Interner) -> Vec<Symbol> {
    let name = interner.intern(name).0;
    let mut from = 0;
    let symbols = columns.tag_ends.iter().map(|end| {
        let tags = &columns.tags[from..usize::try_from(*end).unwrap_or(from)];
        from += tags.len();
        tags.iter().find(|(key, _)| *key == name).map_or(Symbol::NONE, |(_, value)| *value)
    });
    symbols.collect()
}
