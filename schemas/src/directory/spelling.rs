//! One spelling for what people write in several: values come in, the form that they are compared by goes out.

use std::collections::HashMap;

use crate::budget::ScopeKey;
use crate::dimension::Text;

/// How a directory spells the teams, departments and users that it names. Teams and departments of events are respelled by it as they
/// come in; whoever compares what people write elsewhere, or what was written before, with them has to go by it too. Users are
/// kept as they were sent, and are one in sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spellings {
    teams: HashMap<String, String>,
    departments: HashMap<String, String>,
    users: HashMap<String, String>,
}

impl Spellings {
    /// Whether the spelling of some values of a dimension is the directory's.
    #[must_use]
    pub fn concern(&self, key: &ScopeKey) -> bool {
        self.of_key(key).is_some_and(|known| !known.is_empty())
    }

    /// The directory's spelling of a value; `None` where it does not know it.
    #[must_use]
    pub fn of(&self, key: &ScopeKey, value: &str) -> Option<&str> {
        self.of_key(key)?.get(&normal(key, value)).map(String::as_str)
    }

    /// The first spelling of a name stays.
    pub(super) fn add(&mut self, key: &ScopeKey, value: &str) {
        let known = match key {
            ScopeKey::Text(Text::Team) => &mut self.teams,
            ScopeKey::Text(Text::Department) => &mut self.departments,
            ScopeKey::Text(Text::UserId) => &mut self.users,
            _ => return,
        };
        known.entry(normal(key, value)).or_insert_with(|| value.to_owned());
    }

    fn of_key(&self, key: &ScopeKey) -> Option<&HashMap<String, String>> {
        match key {
            ScopeKey::Text(Text::Team) => Some(&self.teams),
            ScopeKey::Text(Text::Department) => Some(&self.departments),
            ScopeKey::Text(Text::UserId) => Some(&self.users),
            _ => None,
        }
    }
}

/// The form under which values of a dimension are the same. Names of teams, projects and the like are the same whatever
/// their case and separators (`Search-Team`, `search_team`); of users whatever their case; keys and accounts as they are.
#[must_use]
pub fn normal(key: &ScopeKey, value: &str) -> String {
    let value = value.trim();
    match key {
        ScopeKey::Text(Text::ApiKeyId | Text::BillingAccount) => value.to_owned(),
        ScopeKey::Text(Text::UserId) => value.to_lowercase(),
        _ => words(&value.to_lowercase()),
    }
}

/// Runs of blanks, hyphens and underscores become one blank.
fn words(text: &str) -> String {
    let separator = |c: char| c.is_whitespace() || c == '-' || c == '_';
    text.split(separator).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn the_same_name_in_many_spellings() {
        let check = |key: &str, value: &str, expected: &str| {
            assert_eq!(normal(&key.parse().unwrap(), value), expected, "{key} {value}");
        };
        for text in ["search team", "Search-Team", " SEARCH__team ", "search - team"] {
            check("team", text, "search team");
        }
        check("user", "Ann-Lee@Example.org ", "ann-lee@example.org");
        check("api_key_id", "Key-1", "Key-1");
        check("tags.env", "PROD", "prod");
        check("team", "ÖKO", "öko");
    }
}
