//! What reports can be grouped and filtered by: in comes a word, out comes how SQL names it. The words are those of scopes and a few more; no other text
//! ever becomes a name in a statement. Pure.

use spendstream_schemas::budget::ScopeKey;
use spendstream_schemas::pseudonym::Pseudonyms;

use super::statement::Source;
use crate::budgets::look::{column, literal};

/// Columns that no scope can name.
const MORE: [&str; 8] = [
    "price_status",
    "unpriced_reason",
    "cost_quality",
    "pricing_category",
    "price_book_version",
    "currency",
    "payload_kind",
    "cache_hit",
];
/// A column of `spend` alone.
const CHARGE_CATEGORY: &str = "charge_category";
/// Dimensions that one report has at most.
const MOST: usize = 8;

/// A dimension as it was written, and as SQL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    pub name: String,
    pub sql: String,
    key: Option<ScopeKey>,
}

impl Dimension {
    /// `team`, `tags.env`, …
    ///
    /// # Errors
    /// When it is no dimension of that source.
    pub fn new(word: &str, source: Source) -> Result<Self, String> {
        let plain = MORE.contains(&word) || (word == CHARGE_CATEGORY && source == Source::Spend);
        if plain {
            return Ok(Self { name: word.to_owned(), sql: word.to_owned(), key: None });
        }
        let key: ScopeKey = word.parse().map_err(|error| format!("{error} (or {})", MORE.join(", ")))?;
        Ok(Self { name: word.to_owned(), sql: column(&key), key: Some(key) })
    }

    /// `team,model`.
    ///
    /// # Errors
    /// When one is no dimension, is there twice, or there are too many.
    pub fn list(name: &str, words: &str, source: Source) -> Result<Vec<Self>, String> {
        let mut found: Vec<Self> = Vec::new();
        for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let one = Self::new(word, source).map_err(|error| format!("{name}={words} is wrong: {error}"))?;
            if found.iter().any(|known| known.sql == one.sql) {
                return Err(format!("{name}={words} names '{word}' twice"));
            }
            found.push(one);
        }
        if found.len() > MOST {
            return Err(format!("{name} names {} dimensions; at most {MOST}", found.len()));
        }
        Ok(found)
    }

    /// Its column in an answer.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }

    /// Rows that have this value; those that have none when it is empty. A person in clear is looked for by what stands for the person.
    #[must_use]
    pub fn is(&self, value: &str, pseudonyms: &Pseudonyms) -> String {
        if value.is_empty() {
            return format!("{} IS NULL", self.sql);
        }
        let pseudonym = self.key.as_ref().and_then(|key| pseudonyms.of_scope(key, value));
        let value = literal(pseudonym.as_deref().unwrap_or(value));
        match self.key {
            Some(_) => format!("{} = {value}", self.sql),
            None => format!("CAST({} AS VARCHAR) = {value}", self.sql),
        }
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::pseudonym::Pseudonyms;

    use super::Dimension;
    use crate::reports::statement::Source;

    #[test]
    fn only_known_words_become_names() {
        for (word, expected) in [
            ("team", Some("team")),
            ("tenant", Some("organization")),
            ("user", Some("user_id")),
            ("model", Some("coalesce(model_id, model)")),
            ("tags.o'neil", Some("tags['o''neil']")),
            ("price_status", Some("price_status")),
            ("charge_category", None),
            ("cost; DROP", None),
            ("", None),
        ] {
            let found = Dimension::new(word, Source::Usage).ok().map(|dimension| dimension.sql);
            assert_eq!(found.as_deref(), expected, "{word}");
        }
        assert!(Dimension::new("charge_category", Source::Spend).is_ok());
        assert!(Dimension::list("by", "team,tenant,organization", Source::Usage).unwrap_err().contains("twice"));
    }

    #[test]
    fn values_are_literals() {
        let is =
            |word: &str, value: &str| Dimension::new(word, Source::Usage).unwrap().is(value, &Pseudonyms::default());
        assert_eq!(is("team", "x' OR '1'='1"), "team = 'x'' OR ''1''=''1'");
        assert_eq!(is("team", ""), "team IS NULL");
        assert_eq!(is("cache_hit", "true"), "CAST(cache_hit AS VARCHAR) = 'true'");
        assert_eq!(Dimension::new("tags.a\"b", Source::Usage).unwrap().quoted(), "\"tags.a\"\"b\"");
    }
}
