//! Names, matching and the cells that events fall into.

use super::{Scope, ScopeKey};

fn scope(json: &str) -> Scope {
    serde_json::from_str(json).unwrap()
}

fn values<'v>(pairs: &'v [(&str, &'v str)]) -> impl Fn(&ScopeKey) -> Option<&'v str> {
    |key| pairs.iter().find(|(name, _)| *name == key.to_string()).map(|(_, value)| *value)
}

#[test]
fn reads_and_writes_what_people_write() {
    let json = r#"{"team":"search","user":"*","cost_center":"4711","tags.env":"prod"}"#;
    let read = scope(json);
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    assert_eq!(read.to_string(), "team=search, user=*, cost_center=4711, tags.env=prod");
    assert!(read.is_template());
    assert_eq!(scope("{}").to_string(), "everything");
    assert_eq!(scope(r#"{"tenant":"acme"}"#), scope(r#"{"organization":"acme"}"#));
}

#[test]
fn every_problem_is_named() {
    let errors = Scope::new([
        ("teem", "a"),
        ("user_id", "a"),
        ("costcentre", "a"),
        ("zzz", "a"),
        ("prompt_hash", "a"),
        ("tags.", "a"),
        ("team", ""),
        ("app", &"x".repeat(1025)),
    ]);
    let lines: Vec<_> = errors.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "'teem' is no dimension; did you mean 'team'?",
            "'user_id' is no dimension; did you mean 'user'?",
            "'costcentre' is no dimension; did you mean 'cost_center'?",
            "'zzz' is no dimension; use the event's names, cost_center or tags.NAME",
            "'prompt_hash' differs in every call and cannot be watched",
            "'tags.' names no tag; write tags.NAME",
            "'team' has an empty value; leave the dimension out, or write \"*\" for one budget per value",
            "'app' has a value longer than 1024 bytes",
        ]
    );
}

/// Events have a key's hash where calls are told apart by it, and nothing elsewhere.
#[test]
fn of_a_key_its_hash_is_kept() {
    const KEY: &str = "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56";
    let masked = crate::secret::masked(KEY);
    assert!(masked.starts_with("sha256:") && masked.len() == 23, "{masked}");
    let of_key = Scope::new([("api_key_id", KEY)]).unwrap();
    assert_eq!(of_key.to_string(), format!("api_key_id={masked}"));
    assert_eq!(Scope::new([("api_key_id", masked.as_str())]).unwrap(), of_key);
    let errors = Scope::new([("team", KEY), ("tags.k", KEY)]).unwrap_err();
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("'team' looks like an API key") && lines.len() == 2, "{lines:?}");
    assert!(!lines.concat().contains("sk-proj"), "{lines:?}");
    assert_eq!(scope(&format!(r#"{{"team":"{KEY}"}}"#)).to_string(), "team=[removed]", "stored before");
}

#[test]
fn a_conjunction_wants_all_and_a_star_wants_a_value() {
    let both = scope(r#"{"team":"search","user":"*"}"#);
    let ann = [("team", "search"), ("user", "ann"), ("app", "x")];
    let nobody = [("team", "search")];
    let other = [("team", "ads"), ("user", "ann")];
    assert_eq!(both.resolve(false, values(&ann)).unwrap().to_string(), "team=search, user=ann");
    assert_eq!(both.resolve(false, values(&nobody)), None);
    assert_eq!(both.resolve(true, values(&nobody)).unwrap().to_string(), "team=search, user=(none)");
    assert_eq!(both.resolve(true, values(&other)), None);
    assert_eq!(scope("{}").resolve(false, values(&other)).unwrap().to_string(), "everything");
}

#[test]
fn a_cell_reads_back() {
    let cell = scope(r#"{"team":"search","user":"*"}"#).resolve(true, values(&[("team", "search")])).unwrap();
    let json = serde_json::to_string(&cell).unwrap();
    assert_eq!(json, r#"{"team":"search","user":null}"#);
    assert_eq!(serde_json::from_str::<super::ResolvedScope>(&json).unwrap(), cell);
}

#[test]
fn only_a_named_value_narrows_a_template() {
    let check = |narrow: &str, template: &str, expected: bool| {
        assert_eq!(scope(narrow).narrows(&scope(template)), expected, "{narrow} {template}");
    };
    check(r#"{"user":"ann"}"#, r#"{"user":"*"}"#, true);
    check(r#"{"team":"search","user":"*"}"#, r#"{"team":"*","user":"*"}"#, true);
    check(r#"{"team":"search","user":"ann"}"#, r#"{"team":"search","user":"*"}"#, true);
    check(r#"{"user":"*"}"#, r#"{"user":"*"}"#, false);
    check(r#"{"user":"*"}"#, r#"{"user":"ann"}"#, false);
    check(r#"{"team":"ads","user":"ann"}"#, r#"{"team":"search","user":"*"}"#, false);
    check(r#"{"team":"search","user":"ann"}"#, r#"{"user":"*"}"#, false);
    check("{}", "{}", false);
}
