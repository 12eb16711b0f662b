//! Reads the directory's CSV: text comes in, entries go out, or every problem with its file and line.
//!
//! ```csv
//! kind,name,team,department,cost_center,contact,attributes,valid_from,valid_until
//! key,key-7,search,,,,,,
//! user,ann@example.org,search,,,ann@example.org,plan=pro,2026-01-01,
//! team,search,,Product,4711,search-leads@example.org,,,
//! ```

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use csv::StringRecord;

use super::entry::Entry;
use crate::budget::ScopeKey;
use crate::price_book::instant;

/// Columns with a meaning; others may be named `attributes.NAME`.
const COLUMNS: [&str; 9] =
    ["kind", "name", "team", "department", "cost_center", "contact", "attributes", "valid_from", "valid_until"];

/// Reads a directory. `file` names it in problems; days mean midnight UTC.
///
/// # Errors
/// Every problem: `FILE:LINE: what is wrong`. Lines that say different things of the same thing at the same time are one.
pub fn read(text: &str, file: &str) -> Result<Vec<Entry>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| vec![format!("{file}:1: {error}")])?.clone();
    let mut problems = columns(&header, file);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        match record {
            Err(error) => problems.push(format!("{file}: {error}")),
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match entry(&header, &record) {
                    Ok(entry) => lines.push((line, entry)),
                    Err(all) => problems.extend(all.into_iter().map(|problem| format!("{file}:{line}: {problem}"))),
                }
            }
        }
    }
    problems.extend(contradictions(&lines, file));
    if problems.is_empty() { Ok(lines.into_iter().map(|(_, entry)| entry).collect()) } else { Err(problems) }
}

fn columns(header: &StringRecord, file: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for needed in ["kind", "name"] {
        if !header.iter().any(|column| column == needed) {
            problems.push(format!("{file}:1: has no column '{needed}'; there are {}", COLUMNS.join(", ")));
        }
    }
    for (position, column) in header.iter().enumerate() {
        if header.iter().take(position).any(|other| other == column) {
            problems.push(format!("{file}:1: has column '{column}' twice"));
        } else if !COLUMNS.contains(&column) && column.strip_prefix("attributes.").is_none_or(str::is_empty) {
            problems.push(format!("{file}:1: column '{column}' is not read; attributes are named attributes.NAME"));
        }
    }
    problems
}

fn entry(header: &StringRecord, record: &StringRecord) -> Result<Entry, Vec<String>> {
    let mut problems = Vec::new();
    if record.len() != header.len() {
        return Err(vec![format!("has {} fields, the header {}", record.len(), header.len())]);
    }
    let field = |name: &str| {
        let position = header.iter().position(|column| column == name)?;
        record.get(position).filter(|text| !text.is_empty())
    };
    let key = field("kind").ok_or_else(|| "has no kind".to_owned()).and_then(kind);
    let key = key.map_err(|problem| problems.push(problem)).ok();
    let value = field("name").unwrap_or_default().to_owned();
    if value.is_empty() {
        problems.push("has no name".to_owned());
    }
    let (valid_from, valid_until) = dates(field).unwrap_or_else(|mut all| {
        problems.append(&mut all);
        (None, None)
    });
    let attributes = attributes(header, record, field("attributes")).unwrap_or_else(|problem| {
        problems.push(problem);
        BTreeMap::new()
    });
    let text = |name: &str| field(name).map(str::to_owned);
    match key {
        Some(key) if problems.is_empty() => Ok(Entry {
            key,
            value,
            team: text("team"),
            department: text("department"),
            cost_center: text("cost_center"),
            contact: text("contact"),
            attributes,
            valid_from,
            valid_until,
        }),
        _ => Err(problems),
    }
}

/// From when until when, each where given.
type Validity = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

fn dates<'r>(field: impl Fn(&str) -> Option<&'r str>) -> Result<Validity, Vec<String>> {
    let mut problems = Vec::new();
    let mut time = |name: &str| {
        let text = field(name)?;
        let time = time(text);
        if time.is_none() {
            problems.push(format!("{name} is '{text}'; write 2026-01-31"));
        }
        time
    };
    let (from, until) = (time("valid_from"), time("valid_until"));
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        problems.push("valid_until is not after valid_from".to_owned());
    }
    if problems.is_empty() { Ok((from, until)) } else { Err(problems) }
}

/// A dimension's name, or a short one.
fn kind(word: &str) -> Result<ScopeKey, String> {
    let name = match word.to_lowercase().as_str() {
        "key" => "api_key_id".to_owned(),
        "account" => "billing_account".to_owned(),
        // A tag's name keeps its case.
        lower if lower.starts_with("tags.") => format!("tags.{}", word.get(5..).unwrap_or_default()),
        lower => lower.to_owned(),
    };
    name.parse().map_err(|error| format!("kind is wrong: {error}"))
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(instant::parse(text)?)
}

/// `plan=pro;tier=gold`, and columns of their own.
fn attributes(
    header: &StringRecord,
    record: &StringRecord,
    list: Option<&str>,
) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    for pair in list.unwrap_or_default().split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("attributes has '{pair}'; write NAME=VALUE"))?;
        attributes.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    for (column, value) in header.iter().zip(record).filter(|(_, value)| !value.is_empty()) {
        if let Some(name) = column.strip_prefix("attributes.")
            && attributes.insert(name.to_owned(), value.to_owned()).is_some_and(|before| before != value)
        {
            return Err(format!("attribute '{name}' is there twice, with different values"));
        }
    }
    Ok(attributes)
}

/// Lines that say different things of the same at the same time.
fn contradictions(lines: &[(u64, Entry)], file: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut by_subject: HashMap<_, Vec<&(u64, Entry)>> = HashMap::new();
    for line in lines {
        let earlier = by_subject.entry(line.1.subject()).or_default();
        let other = earlier.iter().find(|other| other.1.overlaps(&line.1) && !other.1.agrees(&line.1));
        if let Some((before, _)) = other {
            let (number, Entry { key, value, .. }) = line;
            problems.push(format!("{file}:{number}: {key} '{value}' contradicts line {before} at the same time"));
        }
        earlier.push(line);
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::read;

    const HEADER: &str =
        "kind,name,team,department,cost_center,contact,attributes,valid_from,valid_until,attributes.plan\n";

    fn problems(lines: &str, expected: &[&str]) {
        assert_eq!(read(&format!("{HEADER}{lines}"), "d.csv").err().unwrap_or_default(), expected);
    }

    #[test]
    fn lines_become_entries() {
        let text = format!(
            "{HEADER}key,key-7,search,,,,,,,\nUser, ann@example.org ,search,,,a@x,tier=gold; seats=3,2026-01-01,\
             2026-02-01T12:00:00Z,pro\ntags.Env,prod,,Ops,,,,,,\n"
        );
        let entries = read(&text, "d.csv").unwrap();
        assert_eq!(
            serde_json::to_value(&entries).unwrap(),
            serde_json::json!([
                {"key": "api_key_id", "value": "key-7", "team": "search", "department": null, "cost_center": null,
                 "contact": null, "attributes": {}, "valid_from": null, "valid_until": null},
                {"key": "user", "value": "ann@example.org", "team": "search", "department": null, "cost_center": null,
                 "contact": "a@x", "attributes": {"plan": "pro", "seats": "3", "tier": "gold"},
                 "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2026-02-01T12:00:00Z"},
                {"key": "tags.Env", "value": "prod", "team": null, "department": "Ops", "cost_center": null,
                 "contact": null, "attributes": {}, "valid_from": null, "valid_until": null}
            ])
        );
    }

    #[test]
    fn every_bad_line_is_named() {
        problems(
            "teem,x,,,,,,,,\nuser,,,,,,,,,\nuser,a,,,,,plan,,,\nuser,b,,,,,,soon,,\nuser,c,,,,,,2026-02-01,2026-02-01,\n\
             user,d\nuser,e,,,,,plan=a,,,b\n",
            &[
                "d.csv:2: kind is wrong: 'teem' is no dimension; did you mean 'team'?",
                "d.csv:3: has no name",
                "d.csv:4: attributes has 'plan'; write NAME=VALUE",
                "d.csv:5: valid_from is 'soon'; write 2026-01-31",
                "d.csv:6: valid_until is not after valid_from",
                "d.csv:7: has 2 fields, the header 10",
                "d.csv:8: attribute 'plan' is there twice, with different values",
            ],
        );
        assert_eq!(
            read("kind,team,cost\n", "d.csv").unwrap_err(),
            [
                "d.csv:1: has no column 'name'; there are kind, name, team, department, cost_center, contact, attributes, \
                 valid_from, valid_until",
                "d.csv:1: column 'cost' is not read; attributes are named attributes.NAME",
            ]
        );
    }

    #[test]
    fn contradictions_are_refused_and_successions_are_not() {
        problems(
            "user,ann,search,,,,,,2026-02-01,\nuser,ANN,ads,,,,,2026-01-31,,\n",
            &["d.csv:3: user 'ANN' contradicts line 2 at the same time"],
        );
        problems("user,ann,search,,,,,,2026-02-01,\nuser,ann,ads,,,,,2026-02-01,,\n", &[]);
        problems("user,ann,search,,,,,,,\nuser,ann,search,,,,,2026-02-01,,\n", &[]);
    }
}
