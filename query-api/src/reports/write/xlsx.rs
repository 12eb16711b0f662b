//! A report as a workbook (Office Open XML): a sheet per table, and one with what the report says of itself. Written by hand, as it is five small files in
//! one archive.
//!
//! A spreadsheet keeps numbers as floats of 15 digits, which is not enough for money. So an amount is text, exact, as everywhere else; and beside it
//! stands `NAME (number)`, of which the spreadsheet keeps the nearest float, to sum up and to draw with. Texts are never formulas.

use std::fmt::Write as _;
use std::io;

use super::archive::Archive;
use crate::reports::document::{Cell, Document, Kind, Part, fact};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";
/// Counts that a float keeps.
const SAFE: u64 = 1_000_000_000_000_000;

pub fn xlsx(document: &Document) -> io::Result<Vec<u8>> {
    let names: Vec<&str> = document.parts.iter().map(|part| part.name).chain(["about"]).collect();
    let mut archive = Archive::default();
    archive.file("[Content_Types].xml", &content_types(names.len()))?;
    let relation = format!("<Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/>");
    archive.file("_rels/.rels", &format!("{HEAD}<Relationships xmlns=\"{RELATIONS}\">{relation}</Relationships>"))?;
    let (mut sheets, mut relations) = (String::new(), String::new());
    for (number, name) in (1..).zip(&names) {
        put(&mut sheets, format_args!("<sheet name=\"{}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>", escaped(name)));
        let target = format!("worksheets/sheet{number}.xml");
        put(
            &mut relations,
            format_args!("<Relationship Id=\"rId{number}\" Type=\"{OFFICE}/worksheet\" Target=\"{target}\"/>"),
        );
    }
    let book = format!("{HEAD}<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{sheets}</sheets></workbook>");
    archive.file("xl/workbook.xml", &book)?;
    let relations = format!("{HEAD}<Relationships xmlns=\"{RELATIONS}\">{relations}</Relationships>");
    archive.file("xl/_rels/workbook.xml.rels", &relations)?;
    let tables = document.parts.iter().map(table).chain([about(document)]);
    for (number, rows) in (1..).zip(tables) {
        let sheet = format!("{HEAD}<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>");
        archive.file(&format!("xl/worksheets/sheet{number}.xml"), &sheet)?;
    }
    Ok(archive.finish())
}

fn content_types(sheets: usize) -> String {
    let one = |part: &str, kind: &str| format!("<Override PartName=\"{part}\" ContentType=\"{SHEET}.{kind}+xml\"/>");
    let all: String =
        (1..=sheets).map(|number| one(&format!("/xl/worksheets/sheet{number}.xml"), "worksheet")).collect();
    format!(
        "{HEAD}<Types xmlns=\"{TYPES}\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>{}{all}</Types>",
        one("/xl/workbook.xml", "sheet.main")
    )
}

fn table(part: &Part) -> String {
    let mut rows = String::from("<row>");
    for column in &part.columns {
        text(&column.name, &mut rows);
        if matches!(column.kind, Kind::Decimal(_)) {
            text(&format!("{} (number)", column.name), &mut rows);
        }
    }
    rows.push_str("</row>");
    for cells in &part.rows {
        rows.push_str("<row>");
        for (column, cell) in part.columns.iter().zip(cells) {
            put_cell(cell, column.kind, &mut rows);
        }
        rows.push_str("</row>");
    }
    rows
}

fn about(document: &Document) -> String {
    let mut rows = String::from("<row>");
    text(&document.title, &mut rows);
    rows.push_str("</row>");
    for (name, value) in &document.facts {
        rows.push_str("<row>");
        text(name, &mut rows);
        text(&fact(value), &mut rows);
        rows.push_str("</row>");
    }
    rows
}

fn put_cell(cell: &Cell, kind: Kind, out: &mut String) {
    let is_exact = matches!(kind, Kind::Decimal(_));
    match (cell, cell.shown()) {
        (_, None) => out.push_str(if is_exact { "<c/><c/>" } else { "<c/>" }),
        (Cell::Decimal(..), Some(shown)) => {
            text(&shown, out);
            number(&shown, out);
        }
        (Cell::Whole(whole), Some(shown)) if whole.unsigned_abs() < SAFE => number(&shown, out),
        (Cell::Number(value), Some(shown)) if value.is_finite() => number(&shown, out),
        (_, Some(shown)) => text(&shown, out),
    }
}

fn number(digits: &str, out: &mut String) {
    put(out, format_args!("<c><v>{digits}</v></c>"));
}

fn text(text: &str, out: &mut String) {
    put(out, format_args!("<c t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>", escaped(text)));
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = out.write_fmt(what);
}

/// Text of XML, which has no place for control characters.
fn escaped(text: &str) -> String {
    let plain: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    super::html::escaped(&plain)
}
