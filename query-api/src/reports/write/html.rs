//! A report as one page: what it says of itself, then its tables. Everything in it is text that was escaped; it loads nothing and runs nothing.

use std::fmt::Write as _;

use crate::reports::document::{Cell, Column, Document, Kind, Part, fact};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:0 0 2rem}\
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #8884;white-space:nowrap}\
td.number,th.number{text-align:right}dl{display:grid;grid-template-columns:max-content auto;gap:0 1rem}dd{margin:0}\
pre{white-space:pre-wrap}.scroll{overflow-x:auto}";

pub fn html(document: &Document) -> String {
    let title = escaped(&document.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n<dl>\n"
    );
    for (name, value) in &document.facts {
        let value = fact(value);
        if !value.is_empty() {
            let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escaped(&words(name)), escaped(&value));
        }
    }
    page.push_str("</dl>\n");
    for part in &document.parts {
        table(part, &mut page);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn table(part: &Part, page: &mut String) {
    let _ = write!(page, "<h2>{}</h2>\n<div class=\"scroll\"><table>\n<tr>", escaped(&words(part.name)));
    for column in &part.columns {
        let _ = write!(page, "<th{}>{}</th>", class(column), escaped(&words(&column.name)));
    }
    page.push_str("</tr>\n");
    for row in &part.rows {
        page.push_str("<tr>");
        for (column, cell) in part.columns.iter().zip(row) {
            let _ = write!(page, "<td{}>{}</td>", class(column), escaped(&shown(column, cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
    if let Some(sql) = &part.sql {
        let _ = writeln!(page, "<details><summary>SQL</summary><pre>{}</pre></details>", escaped(sql));
    }
}

fn shown(column: &Column, cell: &Cell) -> String {
    match cell.shown() {
        Some(text) => text,
        // A dimension that rows do not have.
        None if column.kind == Kind::Text => "–".to_owned(),
        None => String::new(),
    }
}

fn class(column: &Column) -> &'static str {
    if column.kind == Kind::Text && !column.name.ends_with("percent") { "" } else { " class=\"number\"" }
}

/// `input_tokens` for people.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Text of HTML and XML.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
