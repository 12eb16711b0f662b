//! Texts of real clients, and any text at all.

use proptest::prelude::*;

use super::{Statement, split, statement};

#[test]
fn statements_end_where_a_semicolon_is_one() {
    for (sql, expected) in [
        ("", vec![]),
        (" ; ;\n-- nothing;\n/* a; /* b; */ */;", vec![]),
        ("SELECT 1", vec!["SELECT 1"]),
        ("BEGIN; SELECT ';''', E'\\';', \"a;b\" ;COMMIT", vec!["BEGIN", " SELECT ';''', E'\\';', \"a;b\" ", "COMMIT"]),
        ("SELECT $a$;$a$, $$;$$, $1; x", vec!["SELECT $a$;$a$, $$;$$, $1", " x"]),
        ("SELECT 'open; SELECT 2", vec!["SELECT 'open; SELECT 2"]),
    ] {
        assert_eq!(split(sql), expected, "{sql}");
    }
}

#[test]
fn what_is_of_the_session_is_known() {
    let set = |name: &str, value: Option<&str>| Statement::Set { name: name.into(), value: value.map(str::to_owned) };
    for (sql, expected) in [
        ("/* hi */ begin read only", Statement::Begin),
        ("START TRANSACTION ISOLATION LEVEL READ COMMITTED", Statement::Begin),
        ("commit work", Statement::Commit),
        ("ROLLBACK TO SAVEPOINT a", Statement::Nothing("ROLLBACK")),
        ("ABORT", Statement::Rollback),
        ("SET extra_float_digits = 3", set("extra_float_digits", Some("3"))),
        ("SET SESSION datestyle TO 'ISO'", set("datestyle", Some("ISO"))),
        ("SET TIME ZONE 'Europe/Berlin'", set("TimeZone", Some("Europe/Berlin"))),
        ("SET search_path TO a, b", set("search_path", Some("a, b"))),
        ("SET NAMES 'utf8'", set("client_encoding", Some("utf8"))),
        ("RESET timezone", set("timezone", None)),
        ("SET statement_timeout TO DEFAULT", set("statement_timeout", None)),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Statement::Nothing("SET")),
        ("SHOW server_version", Statement::Show("server_version".into())),
        ("SHOW TRANSACTION ISOLATION LEVEL", Statement::Show("transaction_isolation".into())),
        ("SHOW TABLES", Statement::Query),
        ("DEALLOCATE PREPARE \"_pg3_0\"", Statement::Deallocate(Some("_pg3_0".into()))),
        ("DEALLOCATE ALL", Statement::Deallocate(None)),
        ("DISCARD ALL", Statement::DiscardAll),
        ("DELETE FROM usage", Statement::Query),
        ("SELECT 1", Statement::Query),
    ] {
        assert_eq!(statement(sql), expected, "{sql}");
    }
}

proptest! {
    #[test]
    fn every_text_is_split_into_parts_of_itself(sql in "[a-zE'\"$;*/ ü\\\\-]{0,60}") {
        let parts = split(&sql);
        prop_assert!(parts.iter().map(|part| part.len()).sum::<usize>() <= sql.len());
        for part in parts {
            prop_assert!(sql.contains(part));
            let _ = statement(part);
        }
    }
}
