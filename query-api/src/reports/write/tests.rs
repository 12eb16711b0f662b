//! What each form makes of one document.

use serde_json::{Value, json};

use super::{Form, write};
use crate::format::Format;
use crate::reports::document::{Cell, Column, Document, Kind, Part};

fn document() -> Document {
    let columns = [
        ("team", Kind::Text),
        ("calls", Kind::Whole),
        ("cost", Kind::MONEY),
        ("percent", Kind::Text),
        ("latency_ms", Kind::Number),
    ];
    let row = |team: Option<&str>, cost: i128, percent: &str| {
        vec![
            Cell::text(team),
            Cell::Whole(1 << 60),
            Cell::Decimal(cost, 15),
            Cell::Text(percent.to_owned()),
            Cell::Number(1.5),
        ]
    };
    Document {
        report: "chargeback",
        title: "A <b> & \"c\"".to_owned(),
        facts: vec![("timezone", json!("UTC")), ("rates", json!(["a", "b"])), ("none", Value::Null)],
        parts: vec![
            Part {
                name: "lines",
                columns: columns.map(|(name, kind)| Column::new(name, kind)).to_vec(),
                rows: vec![
                    row(Some("=1+1"), -1, "-25"),
                    row(None, 2_500_000_000_000_000, "75"),
                    row(Some("<script>"), 0, "0"),
                ],
                sql: Some("SELECT '<'".to_owned()),
            },
            Part { name: "empty", columns: vec![Column::new("x", Kind::Text)], ..Part::default() },
        ],
        next: None,
    }
}

fn text(form: Form) -> String {
    String::from_utf8(write(&document(), form).unwrap()).unwrap()
}

#[test]
fn json_has_all_of_it_and_loses_no_digit() {
    let found: Value = serde_json::from_str(&text(Form::Json)).unwrap();
    assert_eq!(
        found["lines"][0],
        json!({"team": "=1+1", "calls": "1152921504606846976", "cost": "-0.000000000000001", "percent": "-25", "latency_ms": 1.5})
    );
    assert_eq!((&found["sql"], &found["empty"]), (&json!({"lines": "SELECT '<'"}), &json!([])));
    assert_eq!((&found["rates"], &found["none"]), (&json!(["a", "b"]), &Value::Null));
}

#[test]
fn csv_has_no_formulas() {
    assert_eq!(
        text(Form::Rows(Format::Csv)),
        "team,calls,cost,percent,latency_ms,timezone,rates,none\n\
         '=1+1,1152921504606846976,-0.000000000000001,-25,1.5,UTC,\"a, b\",\"\"\n\
         ,1152921504606846976,2.5,75,1.5,UTC,\"a, b\",\"\"\n\
         <script>,1152921504606846976,0,0,1.5,UTC,\"a, b\",\"\"\n"
    );
}

#[test]
fn html_is_text_that_was_escaped() {
    let page = text(Form::Html);
    assert!(page.contains("<h1>A &lt;b&gt; &amp; &quot;c&quot;</h1>"), "{page}");
    assert!(page.contains("<td>&lt;script&gt;</td>") && page.contains("<td class=\"number\">2.5</td>"), "{page}");
    assert!(!page.contains("<script") && !page.contains("http") && page.contains("<td>–</td>"), "{page}");
}

#[test]
fn a_terminal_gets_tables() {
    let shown = text(Form::Text);
    assert!(
        shown.contains("  timezone: UTC\n") && shown.contains("\nlines\n") && shown.contains("(3 rows)"),
        "{shown}"
    );
}

#[test]
fn the_same_report_is_the_same_workbook() {
    let (one, other) = (write(&document(), Form::Xlsx).unwrap(), write(&document(), Form::Xlsx).unwrap());
    assert!(one.starts_with(b"PK"));
    assert_eq!(one, other);
    assert!(write(&document(), Form::Rows(Format::Parquet)).unwrap().starts_with(b"PAR1"));
}

#[test]
fn forms_are_found_by_name_and_by_accept() {
    for form in Form::ALL {
        assert_eq!(Form::by_name(form.name()), Ok(form));
        assert_eq!(Form::by_accept(form.media_type()), Some(form));
    }
    assert!(Form::by_name("pdf").unwrap_err().contains("json, html, xlsx, text, csv"));
    assert_eq!(Form::by_accept("image/png, text/html;q=0.9, */*"), Some(Form::Html));
    assert_eq!(Form::by_accept("image/png"), None);
}
