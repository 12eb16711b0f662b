//! Rows under other labels. In: rows as they lie in the lake, and rules that say whose they are. Out: the same rows, those that a rule moves with its labels, the
//! others untouched; and what moved from whom to whom. Pure. Money, counts and time are never touched; what the event sent is kept beside the labels.
//!
//! Doing it twice must do no more than doing it once: rules that would move on what they have moved are refused.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::budget::ScopeKey;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::reattribution::{Rule, Rules, SETTABLE};
use spendstream_schemas::table::usage::timestamp_type;

use super::owners::LABELS;
use super::replace::Replaced;
use super::texts::{TextList, TextMap, Texts};

/// What moved by one rule: of a model, from one team to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Move {
    pub rule: String,
    pub model: String,
    pub from_team: String,
    pub to_team: String,
}

/// Rows and their cost, in units of 10⁻¹⁵.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub rows: u64,
    pub cost: i128,
}

/// What a re-attribution comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lines: BTreeMap<Move, Line>,
    /// Rows that a rule means, and that have its labels already.
    pub unchanged: u64,
}

impl Tally {
    /// All lines together.
    #[must_use]
    pub fn total(&self) -> Line {
        let sum = |total: Line, line: &Line| Line { rows: total.rows + line.rows, cost: total.cost + line.cost };
        self.lines.values().fold(Line::default(), sum)
    }

    /// Takes over what another part came to.
    pub fn add(&mut self, other: Self) {
        for (key, line) in other.lines {
            let sum = self.lines.entry(key).or_default();
            sum.rows += line.rows;
            sum.cost += line.cost;
        }
        self.unchanged += other.unchanged;
    }
}

/// The labels of a row that moves.
struct NewLabels {
    /// By place in [`SETTABLE`].
    labels: [Option<String>; SETTABLE.len()],
    inputs: Vec<(String, String)>,
    filled: Vec<String>,
}

/// See the module.
pub struct Reattributor {
    rules: Rules,
}

impl Reattributor {
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules }
    }

    /// The rules that it goes by.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The rows, and how many of them are others now.
    ///
    /// # Errors
    /// When a column is missing or has another type than the table's, or when the rules would move a row twice.
    pub fn rows(&mut self, batch: &RecordBatch, tally: &mut Tally) -> Result<(RecordBatch, u64), ArrowError> {
        let view = View::new(batch, &self.rules)?;
        let mut new = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            new.push(self.row(&view, row, tally)?);
        }
        let changed = new.iter().flatten().count() as u64;
        if changed == 0 {
            return Ok((batch.clone(), 0));
        }
        let mut out = Replaced::new(batch);
        for (at, text) in SETTABLE.into_iter().enumerate() {
            out.texts(text.column(), |row| Some(Some(new[row].as_ref()?.labels[at].as_deref()?)))?;
        }
        out.map("pricing_inputs", |row| Some(new[row].as_ref()?.inputs.as_slice()))?;
        out.list("dimensions_filled", |row| Some(new[row].as_ref()?.filled.iter().map(String::as_str).collect()))?;
        Ok((out.finish()?, changed))
    }

    fn row(&self, view: &View, row: usize, tally: &mut Tally) -> Result<Option<NewLabels>, ArrowError> {
        let time = view.times.value(row);
        let Some(rule) = self.rules.of(time, |key| view.value(key, row)) else { return Ok(None) };
        let changes = |(text, value): &&(Text, String)| view.texts.get(text.column(), row) != Some(value.as_str());
        if !rule.set.iter().any(|set| changes(&set)) {
            tally.unchanged += 1;
            return Ok(None);
        }
        self.settles(view, row, rule)?;
        let cost = view.cost(row);
        let new = view.new_labels(row, rule);
        let team = |team: Option<&str>| team.unwrap_or_default().to_owned();
        let from_team = team(view.texts.get(Text::Team.column(), row));
        let set_team = rule.set.iter().find(|(text, _)| *text == Text::Team).map(|(_, value)| value.clone());
        let model = view.texts.get("model_id", row).or_else(|| view.texts.get("model", row));
        let to_team = set_team.unwrap_or_else(|| from_team.clone());
        let key = Move { rule: rule.name.clone(), model: team(model), from_team, to_team };
        let line = tally.lines.entry(key).or_default();
        line.rows += 1;
        line.cost += cost;
        Ok(Some(new))
    }

    /// Refuses rules that would move on what one of them has moved: a second run would undo the first, or do something else.
    fn settles(&self, view: &View, row: usize, rule: &Rule) -> Result<(), ArrowError> {
        let set = |text: Text| rule.set.iter().find(|(known, _)| *known == text).map(|(_, value)| value.as_str());
        let value = |key: &ScopeKey| match key {
            ScopeKey::Text(text) => set(*text).or_else(|| view.value(key, row)),
            ScopeKey::CostCenter => set(Text::CostCenter).or_else(|| view.value(key, row)),
            ScopeKey::Tag(_) => view.value(key, row),
        };
        let Some(next) = self.rules.of(view.times.value(row), value) else { return Ok(()) };
        let is_there = |(text, value): &(Text, String)| {
            set(*text).or_else(|| view.texts.get(text.column(), row)) == Some(value.as_str())
        };
        if next.set.iter().all(is_there) {
            return Ok(());
        }
        let moved = rule.set.iter().map(|(text, value)| format!("{} '{value}'", text.column())).collect::<Vec<_>>();
        Err(ArrowError::InvalidArgumentError(format!(
            "{} gives rows to {}, and {} would move the same rows on when the file is used again; narrow its `when`, or give each call to its last owner at once",
            rule.name,
            moved.join(", "),
            next.name
        )))
    }
}

/// A batch, as far as rules look at it.
struct View {
    texts: Texts,
    tags: TextMap,
    inputs: TextMap,
    filled: TextList,
    times: Int64Array,
    costs: arrow::array::Decimal128Array,
}

impl View {
    fn new(batch: &RecordBatch, rules: &Rules) -> Result<Self, ArrowError> {
        let named = rules.iter().flat_map(|rule| &rule.when).map(|(key, _)| key.column());
        let own = SETTABLE.map(Text::column).into_iter().chain(["model", "model_id"]);
        let names = named.filter(|name| *name != "tags").chain(own);
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("it has no column {name}")))
        };
        let times = cast(column("event_time")?, &timestamp_type())?;
        let costs = column("cost")?.as_primitive_opt::<Decimal128Type>().cloned();
        let wrong = || ArrowError::SchemaError("cost is of another type than the table's".to_owned());
        Ok(Self {
            texts: Texts::new(batch, names)?,
            tags: TextMap::new(batch, "tags")?,
            inputs: TextMap::new(batch, "pricing_inputs")?,
            filled: TextList::new(batch, "dimensions_filled")?,
            times: times.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>(),
            costs: costs.ok_or_else(wrong)?,
        })
    }

    fn value(&self, key: &ScopeKey, row: usize) -> Option<&str> {
        match key {
            ScopeKey::Tag(name) => self.tags.get(row, name),
            _ => self.texts.get(key.column(), row),
        }
    }

    fn cost(&self, row: usize) -> i128 {
        if self.costs.is_valid(row) { self.costs.value(row) } else { 0 }
    }

    fn new_labels(&self, row: usize, rule: &Rule) -> NewLabels {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut inputs: Vec<(String, String)> = self.inputs.entries(row).map(owned).collect();
        let mut filled: Vec<String> = self.filled.of(row).map(str::to_owned).collect();
        let mut labels: [Option<String>; SETTABLE.len()] = std::array::from_fn(|_| None);
        for (at, text) in SETTABLE.into_iter().enumerate() {
            let column = text.column();
            let (before, set) = (self.texts.get(column, row), rule.set.iter().find(|(known, _)| *known == text));
            let Some((_, value)) = set.filter(|(_, value)| before != Some(value)) else { continue };
            labels[at] = Some(value.clone());
            // The first that is kept is what was sent; it is not needed where the label says it again.
            let label = LABELS.iter().find(|(known, _)| *known == text).map(|(_, name)| *name);
            let kept = label.and_then(|label| inputs.iter().position(|(name, _)| name == label));
            match (label, kept) {
                (_, Some(kept)) if inputs[kept].1 == *value => {
                    inputs.remove(kept);
                    filled.retain(|name| name != column);
                    continue;
                }
                (Some(label), None) => inputs.push((label.to_owned(), before.unwrap_or_default().to_owned())),
                _ => {}
            }
            if !filled.iter().any(|name| name == column) {
                filled.push(column.to_owned());
            }
        }
        NewLabels { labels, inputs, filled }
    }
}
