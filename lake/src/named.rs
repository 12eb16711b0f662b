//! Which tiers have tables of their own. In: what the hot table's property [`crate::tags::TIERS_PROPERTY`] says, and the places that were opened.
//! Out: the order in which they are read, or which one is missing. Pure.
//!
//! Whoever moves the first day to a tier writes the property before, so that a reader with another configuration never takes a part of the lake for
//! the whole.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use crate::tags::TIERS_PROPERTY;

/// A tier with a table of its own.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct NamedTier {
    pub name: String,
    /// As `Lake::url` of the place has it.
    pub uri: String,
}

/// Why a lake cannot be read as a whole.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PartOnly {
    #[error(
        "the property {TIERS_PROPERTY} of the table usage is '{0}', which this version of spendstream does not know"
    )]
    Unknown(String),
    #[error(
        "events of tier '{name}' lie at {uri}, which is not open here: set lake.tiers.{name}.uri = \"{uri}\"; without it a part of the lake would \
         be taken for the whole"
    )]
    Missing { name: String, uri: String },
}

/// What the property says; nothing when there is none.
///
/// # Errors
/// When it is no list of tiers.
pub fn read(property: Option<&str>) -> Result<Vec<NamedTier>, PartOnly> {
    let Some(property) = property else { return Ok(Vec::new()) };
    serde_json::from_str(property).map_err(|_| PartOnly::Unknown(property.to_owned()))
}

/// The property's text.
#[must_use]
pub fn write(tiers: &[NamedTier]) -> String {
    let tiers = tiers.iter().map(|tier| serde_json::json!({ "name": tier.name, "uri": tier.uri }));
    serde_json::Value::Array(tiers.collect()).to_string()
}

/// The places in the order in which their tables are read, by their numbers: the lake's own, which is the first, then those that the property
/// names in its order, and last those that it does not know yet.
///
/// # Errors
/// When it names one that is not among them.
pub fn reading_order(property: Option<&str>, places: &[&Url]) -> Result<Vec<usize>, PartOnly> {
    let mut order = vec![0];
    for tier in read(property)? {
        let is_it = |place: &&Url| address(place.as_str()) == address(&tier.uri);
        match places.iter().skip(1).position(is_it) {
            Some(at) => order.push(at + 1),
            None => return Err(PartOnly::Missing { name: tier.name, uri: tier.uri }),
        }
    }
    let unnamed: Vec<usize> = (1..places.len()).filter(|at| !order.contains(at)).collect();
    order.extend(unnamed);
    Ok(order)
}

/// However its end is spelled.
fn address(uri: &str) -> &str {
    uri.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{NamedTier, PartOnly, read, reading_order, write};

    fn check(property: Option<&str>, expected: Result<&[usize], &str>) {
        let urls = ["file:///lake", "s3://warm/x", "s3://cold/x"].map(|url| Url::parse(url).unwrap());
        let found = reading_order(property, &urls.each_ref());
        match expected {
            Ok(order) => assert_eq!(found.unwrap(), order),
            Err(said) => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains(said), "{error}");
            }
        }
    }

    #[test]
    fn the_property_decides_what_is_read_and_in_which_order() {
        check(None, Ok(&[0, 1, 2]));
        check(Some("[]"), Ok(&[0, 1, 2]));
        check(Some(r#"[{"name":"cold","uri":"s3://cold/x/"}]"#), Ok(&[0, 2, 1]));
        check(Some(r#"[{"name":"a","uri":"s3://warm/x"},{"name":"b","uri":"s3://cold/x"}]"#), Ok(&[0, 1, 2]));
        check(Some(r#"[{"name":"old","uri":"s3://old"}]"#), Err("set lake.tiers.old.uri = \"s3://old\""));
        // The hot place is no other tier's.
        check(Some(r#"[{"name":"old","uri":"file:///lake"}]"#), Err("events of tier 'old' lie at file:///lake"));
        check(Some("yes"), Err("is 'yes', which this version"));
    }

    #[test]
    fn what_is_written_is_read() {
        let tiers = vec![NamedTier { name: "cold".into(), uri: "s3://b/x".into() }];
        assert_eq!(write(&tiers), r#"[{"name":"cold","uri":"s3://b/x"}]"#);
        assert_eq!(read(Some(&write(&tiers))), Ok(tiers));
        assert_eq!(read(None), Ok(Vec::new()));
        assert_eq!(read(Some("{}")), Err(PartOnly::Unknown("{}".into())));
    }
}
