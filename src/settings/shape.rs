//! Which keys there are: the tree of the default configuration, and the nearest key to one that does not exist.
//!
//! A table that is empty by default (`kafka.client`, `lake.options`) takes any key.

use spendstream_schemas::config::Config;
use toml::{Table, Value};

/// The keys of the configuration with their default values.
pub struct Shape(Table);

impl Shape {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(Table::try_from(Config::default())?))
    }

    /// The default value at a path; `None` when there is no such key or it lies in a free table.
    pub fn get(&self, path: &[String]) -> Option<&Value> {
        let (last, sections) = path.split_last()?;
        let mut table = &self.0;
        for section in sections {
            table = table.get(section)?.as_table()?;
        }
        table.get(last)
    }

    /// The first key of `table` that the configuration does not have, dotted.
    pub fn unknown(&self, table: &Table) -> Option<String> {
        unknown(&self.0, table, "")
    }

    /// `; did you mean 'kafka.brokers'?` or nothing.
    pub fn suggestion(&self, key: &str) -> Option<String> {
        let mut known = Vec::new();
        keys(&self.0, "", &mut known);
        let name = key.rsplit('.').next().unwrap_or(key);
        let likeness = |candidate: &String| {
            let same_name = candidate.rsplit('.').next() == Some(name);
            if same_name { 0.99 } else { strsim::normalized_damerau_levenshtein(candidate, key) }
        };
        let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(best) >= 0.6).then(|| best.clone())
    }
}

fn unknown(shape: &Table, table: &Table, prefix: &str) -> Option<String> {
    if shape.is_empty() && !prefix.is_empty() {
        return None;
    }
    table.iter().find_map(|(key, value)| match (shape.get(key), value) {
        (None, _) => Some(format!("{prefix}{key}")),
        (Some(Value::Table(shape)), Value::Table(table)) => unknown(shape, table, &format!("{prefix}{key}.")),
        _ => None,
    })
}

fn keys(table: &Table, prefix: &str, into: &mut Vec<String>) {
    for (key, value) in table {
        into.push(format!("{prefix}{key}"));
        if let Value::Table(inner) = value {
            keys(inner, &format!("{prefix}{key}."), into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn the_nearest_key_is_suggested() {
        let shape = Shape::new().unwrap();
        for (key, expected) in [
            ("kafka.broker", Some("kafka.brokers")),
            ("brokers", Some("kafka.brokers")),
            ("lake.commit_intervall", Some("lake.commit_interval")),
            ("kafak", Some("kafka")),
            ("zzz", None),
        ] {
            assert_eq!(shape.suggestion(key).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn free_tables_take_any_key() {
        let shape = Shape::new().unwrap();
        let unknown = |text: &str| shape.unknown(&text.parse().unwrap());
        assert_eq!(unknown("[kafka.client]\n\"session.timeout.ms\" = 1"), None);
        assert_eq!(unknown("[lake.options]\naws_region = 'x'"), None);
        assert_eq!(unknown("[lake]\noption = 1"), Some("lake.option".into()));
    }
}
