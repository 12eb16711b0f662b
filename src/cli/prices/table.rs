//! Rows of text as an aligned table, JSON or CSV. Takes texts, returns one text.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Format;

/// Prints nothing; the caller does.
///
/// # Errors
/// When a row cannot be written as CSV or JSON, which texts always can.
pub fn render(columns: &[&str], rows: &[Vec<String>], format: Format) -> anyhow::Result<String> {
    match format {
        Format::Table => Ok(aligned(columns, rows)),
        Format::Json => {
            let object = |row: &Vec<String>| {
                let fields = columns.iter().zip(row);
                Value::Object(fields.map(|(name, text)| ((*name).to_owned(), value(text))).collect::<Map<_, _>>())
            };
            Ok(serde_json::to_string_pretty(&rows.iter().map(object).collect::<Vec<_>>())? + "\n")
        }
        Format::Csv => {
            let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
            writer.write_record(columns)?;
            for row in rows {
                writer.write_record(row)?;
            }
            let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
            Ok(String::from_utf8(bytes)?)
        }
    }
}

/// An empty cell is a null in JSON; figures stay texts, so that no reader makes floats of money.
fn value(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::String(text.to_owned()) }
}

fn aligned(columns: &[&str], rows: &[Vec<String>]) -> String {
    // Columns that are empty throughout say nothing.
    let shown: Vec<usize> =
        (0..columns.len()).filter(|at| rows.is_empty() || rows.iter().any(|row| !row[*at].is_empty())).collect();
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([columns[at].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = shown.iter().map(|at| width(*at)).collect();
    let mut text = String::new();
    let mut line = |cells: &dyn Fn(usize) -> String| {
        let mut line = String::new();
        for (at, width) in shown.iter().zip(&widths) {
            // Writing to a text cannot fail.
            let _ = write!(line, "{:<width$}  ", cells(*at));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&|at| columns[at].to_owned());
    line(&|at| "-".repeat(width(at)));
    for row in rows {
        line(&|at| row[at].clone());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Format, render};

    #[test]
    fn the_same_rows_in_every_format() {
        let rows =
            [vec!["a".to_owned(), String::new(), "1.50".to_owned()], vec!["bcd".into(), String::new(), "x,y".into()]];
        let columns = ["name", "none", "price"];
        let show = |format| render(&columns, &rows, format).unwrap();
        assert_eq!(show(Format::Table), "name  price\n----  -----\na     1.50\nbcd   x,y\n");
        assert_eq!(show(Format::Csv), "name,none,price\na,,1.50\nbcd,,\"x,y\"\n");
        let json: serde_json::Value = serde_json::from_str(&show(Format::Json)).unwrap();
        assert_eq!(json[0], serde_json::json!({"name": "a", "none": null, "price": "1.50"}));
    }
}
