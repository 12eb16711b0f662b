//! Reads the directory's CSV: text comes in, entries go out, or every problem with its file and line.
//!
//! ```csv
//! kind,name,team,department,cost_center,contact,attributes,valid_from,valid_until
//! key,key-7,search,,,,,,
//! user,ann@example.org,search,,,ann@example.org,plan=pro;seats=4,2026-01-01,
//! team,search,,Product,4711,search-leads@example.org,,,
//! ```
//!
//! A line that can never do anything is refused; one that does nothing under the settings of now, or less than it seems to, is doubted
//! ([`doubts`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use csv::StringRecord;

use super::entry::Entry;
use super::resolve::Precedence;
use super::spelling::normal;
use crate::budget::ScopeKey;
use crate::budget::scope::kept;
use crate::dimension::Text;
use crate::price_book::instant;

/// Columns with a meaning; others may be named `attributes.NAME`.
const COLUMNS: [&str; 9] =
    ["kind", "name", "team", "department", "cost_center", "contact", "attributes", "valid_from", "valid_until"];

/// Reads a directory. `file` names it in problems; days mean midnight UTC.
///
/// # Errors
/// Every problem: `FILE:LINE: what is wrong`. Lines that say different things of the same thing at the same time are one.
pub fn read(text: &str, file: &str) -> Result<Vec<Entry>, Vec<String>> {
    Ok(lines(text, file)?.into_iter().map(|(_, entry)| entry).collect())
}

/// What lines say that has no effect, or less than it seems to, where owners are asked for in this order: `FILE:LINE: what`. Nothing of a
/// text that [`read`] refuses.
#[must_use]
pub fn doubts(text: &str, file: &str, precedence: &Precedence) -> Vec<String> {
    let lines = lines(text, file).unwrap_or_default();
    let doubts = lines.iter().flat_map(|(line, entry)| doubts_of(entry, precedence).map(move |doubt| (line, doubt)));
    doubts.map(|(line, doubt)| format!("{file}:{line}: {doubt}")).collect()
}

/// Entries with the numbers of their lines.
fn lines(text: &str, file: &str) -> Result<Vec<(u64, Entry)>, Vec<String>> {
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
    if problems.is_empty() { Ok(lines) } else { Err(problems) }
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
    let Some(key) = key.filter(|_| problems.is_empty()) else { return Err(problems) };
    let Some(value) = kept(&key, &value).map(Cow::into_owned) else {
        return Err(vec![format!(
            "the name of its {key} looks like an API key, which is never kept; name it as an api_key_id"
        )]);
    };
    let entry = Entry {
        key,
        value,
        team: text("team"),
        department: text("department"),
        cost_center: text("cost_center"),
        contact: text("contact"),
        attributes,
        valid_from,
        valid_until,
    };
    pointless(&entry).map_or(Ok(entry), |problem| Err(vec![problem]))
}

/// Why a line says something that nothing is ever made of.
fn pointless(entry: &Entry) -> Option<String> {
    let Entry { key, value, team, department, .. } = entry;
    let other = |named: Option<&String>| named.filter(|named| normal(key, named) != normal(key, value)).cloned();
    match key {
        ScopeKey::Text(Text::Team) => {
            let other = other(team.as_ref())?;
            Some(format!(
                "team '{value}' has '{other}' for a team, but a team belongs to none; leave that column empty"
            ))
        }
        ScopeKey::Text(Text::Department) => {
            let above = team.clone().map(|team| ("team", team));
            let (column, other) = above.or_else(|| Some(("department", other(department.as_ref())?)))?;
            let rule = "a department belongs to none; leave that column empty";
            Some(format!("department '{value}' has '{other}' for a {column}, but {rule}"))
        }
        ScopeKey::CostCenter if names_owner(entry) => {
            let rule = "nobody is looked up by a cost_center; only attributes can be said of one";
            Some(format!("cost_center '{value}' has a team, department, cost_center or contact, but {rule}"))
        }
        ScopeKey::Text(Text::UserId) => None,
        _ if !names_owner(entry) && entry.attributes.is_empty() => {
            let missing = "give it a team, department, cost_center, contact or attributes, or leave the line out";
            Some(format!("says nothing of {key} '{value}'; {missing}"))
        }
        _ => None,
    }
}

/// Whether it says whose something is, or who is told.
fn names_owner(entry: &Entry) -> bool {
    [&entry.team, &entry.department, &entry.cost_center, &entry.contact].into_iter().any(Option::is_some)
}

fn doubts_of(entry: &Entry, precedence: &Precedence) -> impl Iterator<Item = String> + use<> {
    let Entry { key, value, contact, .. } = entry;
    // These are looked up whatever the order; the directory also says how they are spelled.
    let is_name = matches!(key, ScopeKey::Text(Text::Team | Text::Department));
    let is_unasked = !is_name && names_owner(entry) && !precedence.asks(key);
    let unasked = is_unasked.then(|| {
        format!(
            "{key} '{value}' gives no owner, for directory.precedence does not name {key}; only its attributes are read"
        )
    });
    let is_spelled = is_name || *key == ScopeKey::Text(Text::UserId);
    let is_bare = is_spelled && !names_owner(entry) && entry.attributes.is_empty();
    let bare = is_bare.then(|| format!("says of {key} '{value}' only how the name is spelled"));
    let unreachable = contact.as_deref().filter(|contact| !is_mail(contact));
    let unreachable = unreachable.map(|contact| {
        format!("contact '{contact}' is no mail address (user@example.org): alerts show it, nobody is written to by it")
    });
    [unasked, bare, unreachable].into_iter().flatten()
}

/// `user@example.org` or `Name <user@example.org>`.
fn is_mail(text: &str) -> bool {
    let bare = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    let parts = bare.trim().split_once('@');
    parts.is_some_and(|(user, host)| {
        let is_word = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '@');
        is_word(user) && is_word(host)
    })
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

/// `plan=pro;tier=gold`, and columns of their own, whose values may have any characters.
fn attributes(
    header: &StringRecord,
    record: &StringRecord,
    list: Option<&str>,
) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    for pair in list.unwrap_or_default().split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let halves = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let (name, value) = halves
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
            .ok_or_else(|| format!("attributes has '{pair}'; write NAME=VALUE"))?;
        // It would be one attribute whose value no budget names.
        if value.split_once(',').is_some_and(|(_, next)| next.contains('=')) {
            return Err(format!(
                "attributes has '{pair}'; write ';' between attributes, or give each a column attributes.NAME"
            ));
        }
        if attributes.insert(name.to_owned(), value.to_owned()).is_some_and(|before| before != value) {
            return Err(format!("attribute '{name}' is there twice, with different values"));
        }
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
    use super::super::resolve::Precedence;
    use super::{doubts, read};

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
    fn lines_that_can_do_nothing_are_refused() {
        problems(
            "team,Eta,Lab,,,,,,,\nteam,eta,ETA,Ops,,,,,,\ndepartment,Ops,Lab,,,,,,,\ndepartment,Ops,,Sales,,,,,,\n\
             cost_center,4711,search,,,,,,,\nkey,k,,,,,,,,\nuser,a,,,,,=x,,,\nuser,b,,,,,plan=,,,\n\
             user,c,,,,,\"plan=basic,seats=4\",,,\nuser,d,,,,,plan=a;plan=b,,,\n",
            &[
                "d.csv:2: team 'Eta' has 'Lab' for a team, but a team belongs to none; leave that column empty",
                "d.csv:4: department 'Ops' has 'Lab' for a team, but a department belongs to none; leave that column empty",
                "d.csv:5: department 'Ops' has 'Sales' for a department, but a department belongs to none; leave that column empty",
                "d.csv:6: cost_center '4711' has a team, department, cost_center or contact, but nobody is looked up by a \
                 cost_center; only attributes can be said of one",
                "d.csv:7: says nothing of api_key_id 'k'; give it a team, department, cost_center, contact or attributes, or \
                 leave the line out",
                "d.csv:8: attributes has '=x'; write NAME=VALUE",
                "d.csv:9: attributes has 'plan='; write NAME=VALUE",
                "d.csv:10: attributes has 'plan=basic,seats=4'; write ';' between attributes, or give each a column attributes.NAME",
                "d.csv:11: attribute 'plan' is there twice, with different values",
            ],
        );
        problems("cost_center,4711,,,,,plan=a,,,\nuser,a,,,,,\"note=a, b\",,,\n", &[]);
    }

    #[test]
    fn lines_that_do_less_than_they_seem_to_are_doubted() {
        let text = format!(
            "{HEADER}customer,acme,search,,,,,,,\ncustomer,bolt,,,,,,,,gold\nuser,a,,,,,,,,\nteam,Search,,,,not-a-mail,,,,\n\
             user,b,search,,,Bob <bob@example.org>,,,,\ntags.env,lab,search,,,,,,,\n"
        );
        let of = |words: &[&str]| doubts(&text, "d.csv", &Precedence::new(words.iter().copied()).unwrap());
        let customer = "d.csv:2: customer 'acme' gives no owner, for directory.precedence does not name customer; only its attributes \
                        are read";
        let always = [
            "d.csv:4: says of user 'a' only how the name is spelled",
            "d.csv:5: contact 'not-a-mail' is no mail address (user@example.org): alerts show it, nobody is written to by it",
        ];
        assert_eq!(of(&["user", "tag"]), [customer, always[0], always[1]]);
        assert_eq!(of(&["user", "tags.env", "customer"]), always);
        assert_eq!(doubts("kind,name\nteem,x\n", "d.csv", &Precedence::default()), [""; 0], "that is refused");
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
