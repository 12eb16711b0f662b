//! A report as one JSON object: its facts, then each table as an array of objects. Decimals are strings, and so are integers beyond ±2⁵³.

use serde_json::{Map, Value, json};

use crate::reports::document::{Cell, Document, Part};

/// The largest integer that every JSON reader keeps.
const SAFE_INTEGER: u64 = 1 << 53;

/// Never fails: what a document holds JSON can say.
pub fn json(document: &Document) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("report".into(), document.report.into());
    object.insert("title".into(), document.title.as_str().into());
    object.extend(document.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let mut statements = Map::new();
    for part in &document.parts {
        object.insert(part.name.to_owned(), table(part));
        statements.extend(part.sql.iter().map(|sql| (part.name.to_owned(), sql.as_str().into())));
    }
    object.insert("next".into(), json!(document.next));
    if !statements.is_empty() {
        object.insert("sql".into(), Value::Object(statements));
    }
    let mut bytes = Value::Object(object).to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

fn table(part: &Part) -> Value {
    let object = |row: &Vec<Cell>| {
        let cells = part.columns.iter().zip(row);
        Value::Object(cells.map(|(column, cell)| (column.name.clone(), value(cell))).collect())
    };
    part.rows.iter().map(object).collect()
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Whole(number) if number.unsigned_abs() <= SAFE_INTEGER => json!(number),
        Cell::Number(number) => json!(number),
        other => json!(other.shown()),
    }
}
