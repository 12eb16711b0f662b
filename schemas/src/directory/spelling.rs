//! One spelling for what people write in several: values come in, the form that they are compared by goes out.

use crate::budget::ScopeKey;
use crate::dimension::Text;

/// The form under which values of a dimension are the same. Names of teams, projects and the like are the same whatever
/// their case and separators (`Search-Team`, `search_team`); of users whatever their case; keys and accounts as they are.
pub(super) fn normal(key: &ScopeKey, value: &str) -> String {
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
