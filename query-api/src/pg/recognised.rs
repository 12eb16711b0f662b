//! Which statements look something up, and the few of psql that are known by their words. In: text; out: whether, and what is run instead. Pure.

use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::sql::dialect::ReadDialect;

/// Words that only a statement about tables, types and settings has; beside every `pg_…` and `reg…` name.
const WORDS: [&str; 9] = [
    "information_schema",
    "current_setting",
    "current_schema",
    "current_schemas",
    "current_database",
    "current_catalog",
    "session_user",
    "current_user",
    "format_type",
];
const REG: [&str; 5] = ["regclass", "regtype", "regproc", "regnamespace", "regrole"];

/// Whether a statement names something of `pg_catalog`; what stands within quotes or comments does not count.
#[must_use]
pub fn is_lookup(sql: &str) -> bool {
    let Ok(tokens) = Tokenizer::new(&ReadDialect, sql).tokenize() else { return false };
    tokens.iter().any(|token| {
        let Token::Word(word) = token else { return false };
        let name = word.value.to_ascii_lowercase();
        name.starts_with("pg_") || REG.contains(&name.as_str()) || WORDS.contains(&name.as_str())
    })
}

/// What psql asks of every table and the query engine cannot plan, by how it begins: here no table has any of it.
const EMPTY: [(&str, &str); 4] = [
    (
        "SELECT pol.polname, pol.polpermissive,",
        "SELECT '' AS polname, '' AS polpermissive, '' AS roles, '' AS qual, '' AS with_check, '' AS cmd WHERE false",
    ),
    (
        "SELECT oid, stxrelid::pg_catalog.regclass,",
        "SELECT 0 AS oid, '' AS stxrelid, '' AS nsp, '' AS stxname, '' AS columns, false AS ndist_enabled, false AS deps_enabled, \
         false AS mcv_enabled, '' AS stxstattarget WHERE false",
    ),
    (
        "SELECT pubname , NULL , NULL FROM pg_catalog.pg_publication",
        "SELECT '' AS pubname, '' AS a, '' AS b WHERE false",
    ),
    ("SELECT pubname FROM pg_catalog.pg_publication", "SELECT '' AS pubname WHERE false"),
];

/// What is run instead of a statement that is known by its first words.
#[must_use]
pub fn stand_in(sql: &str) -> Option<&'static str> {
    let mut words = sql.split_whitespace();
    // Long enough for the longest of them.
    let start = words.by_ref().take(12).collect::<Vec<_>>().join(" ");
    EMPTY.iter().find(|(known, _)| start.starts_with(known)).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::{is_lookup, stand_in};

    #[test]
    fn only_names_outside_of_quotes_make_a_look_up() {
        for (sql, expected) in [
            ("SELECT sum(cost) FROM usage", false),
            ("SELECT count(*) FROM usage WHERE team = 'pg_catalog' -- pg_class", false),
            ("SELECT relname FROM pg_class", true),
            ("SELECT 'usage'::regclass", true),
            ("SELECT * FROM information_schema.tables", true),
        ] {
            assert_eq!(is_lookup(sql), expected, "{sql}");
        }
        assert!(stand_in("SELECT pol.polname, pol.polpermissive,\n  CASE WHEN").is_some());
        assert!(stand_in("SELECT 1").is_none());
    }
}
