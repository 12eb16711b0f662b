//! Rules that move spend to whom it belongs, as people write them in a TOML file. In: the file's text. Out: rules that say of a call which labels it should have.
//! Pure. No rule can name what a price depends on (`organization`, `billing_account`, …), so none of them changes a price.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::budget::ScopeKey;
use crate::dimension::Text;
use crate::price_book::{glob, parse_instant};

/// Labels that a rule may set.
pub const SETTABLE: [Text; 7] =
    [Text::Team, Text::Department, Text::CostCenter, Text::Project, Text::App, Text::Feature, Text::Environment];
/// Bytes of a value that a rule sets.
const MOST_BYTES: usize = 256;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// For messages; `rule 1`, … where it has none.
    pub name: String,
    /// Event time, microseconds: from, and up to and without.
    pub span: (i64, i64),
    /// All of them have to hold. `*` stands for any run of characters; an empty text for a call without a value.
    pub when: Vec<(ScopeKey, String)>,
    pub set: Vec<(Text, String)>,
}

/// A file of rules; of those that a call matches the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Typed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    name: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    when: BTreeMap<String, String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
}

impl Rules {
    /// Reads a file.
    ///
    /// # Errors
    /// Every fault, one line each: which rule, what is wrong, what to do.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let message = error.message().replace('\n', " ");
            vec![format!("line {line}: {message}; a rule has name, from, to, when = {{ team = \"…\" }} and set = {{ team = \"…\" }}, tags in quotes (\"tags.owner\")")]
        })?;
        let mut faults = Vec::new();
        if file.rule.is_empty() {
            faults.push("there is no [[rule]] in it".to_owned());
        }
        let rules = file.rule.into_iter().enumerate().map(|(at, typed)| rule(at, typed, &mut faults)).collect();
        if faults.is_empty() { Ok(Self(rules)) } else { Err(faults) }
    }

    /// The rules in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// The time that any rule is about.
    #[must_use]
    pub fn span(&self) -> (i64, i64) {
        let froms = self.0.iter().map(|rule| rule.span.0);
        let tos = self.0.iter().map(|rule| rule.span.1);
        (froms.min().unwrap_or(i64::MAX), tos.max().unwrap_or(i64::MIN))
    }

    /// The rule that counts for a call.
    pub fn of<'v>(&self, micros: i64, value_of: impl Fn(&ScopeKey) -> Option<&'v str>) -> Option<&Rule> {
        let holds = |(key, pattern): &(ScopeKey, String)| match value_of(key).filter(|value| !value.is_empty()) {
            None => pattern.is_empty(),
            Some(value) => !pattern.is_empty() && glob(pattern, value),
        };
        self.0.iter().find(|rule| rule.span.0 <= micros && micros < rule.span.1 && rule.when.iter().all(holds))
    }
}

fn rule(at: usize, typed: Typed, faults: &mut Vec<String>) -> Rule {
    let name = typed.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| format!("rule {}", at + 1));
    let mut fault = |what: String| faults.push(format!("{name}: {what}"));
    let mut instant = |key: &str, text: Option<String>, open: i64| match text {
        None => open,
        Some(text) => parse_instant(&text).unwrap_or_else(|| {
            fault(format!("{key} '{text}' is neither a date (2026-11-22) nor a time (2026-11-22T16:00:00Z)"));
            open
        }),
    };
    let span = (instant("from", typed.from, i64::MIN), instant("to", typed.to, i64::MAX));
    if span.0 >= span.1 {
        fault("to is not after from; to is the first moment that is not meant".to_owned());
    }
    if typed.when.is_empty() {
        fault("when is missing: say which calls are meant, such as when = { team = \"core\" }".to_owned());
    }
    if typed.set.is_empty() {
        fault("set is missing: say whose they are, such as set = { team = \"search\" }".to_owned());
    }
    let mut when = Vec::new();
    for (key, pattern) in typed.when {
        match key.parse::<ScopeKey>() {
            Ok(key) => when.push((key, pattern)),
            Err(error) => fault(format!("when: {error}")),
        }
    }
    let mut set = Vec::new();
    for (key, value) in typed.set {
        match SETTABLE.into_iter().find(|text| text.column() == key) {
            _ if value.trim().is_empty() || value.len() > MOST_BYTES || value.chars().any(char::is_control) => {
                fault(format!("set: {key} must be a text of 1 to {MOST_BYTES} bytes without control characters"));
            }
            Some(text) => set.push((text, value)),
            None => {
                let names = SETTABLE.map(Text::column).join(", ");
                fault(format!("set: '{key}' cannot be set; a rule sets {names}"));
            }
        }
    }
    Rule { name, span, when, set }
}

#[cfg(test)]
mod tests {
    use super::Rules;
    use crate::budget::ScopeKey;
    use crate::dimension::Text;

    const FILE: &str = r#"
[[rule]]
name = "the bot is search's"
from = "2026-10-01"
to = "2026-11-01"
when = { team = "core", "tags.product" = "bot-*" }
set = { team = "search", cost_center = "4711" }

[[rule]]
when = { team = "" }
set = { team = "platform" }
"#;

    #[test]
    fn the_first_rule_that_holds_counts() {
        let rules = Rules::parse(FILE).unwrap();
        let october = 1_791_000_000_000_000; // 2026-10-03
        let of = |micros: i64, team: Option<&'static str>, product: Option<&'static str>| {
            let value = |key: &ScopeKey| match key {
                ScopeKey::Text(Text::Team) => team,
                ScopeKey::Tag(name) if name == "product" => product,
                _ => None,
            };
            rules.of(micros, value).map(|rule| rule.name.clone())
        };
        assert_eq!(of(october, Some("core"), Some("bot-7")).as_deref(), Some("the bot is search's"));
        assert_eq!(of(october, Some("core"), Some("web")), None);
        assert_eq!(of(october + 40 * 86_400_000_000, Some("core"), Some("bot-7")), None, "after the rule's time");
        assert_eq!(of(october, None, Some("bot-7")).as_deref(), Some("rule 2"));
        assert_eq!(of(october, Some(""), None).as_deref(), Some("rule 2"), "an empty value is none");
    }

    #[test]
    fn every_fault_is_told_with_its_rule() {
        let faults = |text: &str| Rules::parse(text).unwrap_err().join("\n");
        for (text, expected) in [
            ("", "there is no [[rule]]"),
            ("[[rule]]\nwhen = { team = \"a\" }", "rule 1: set is missing"),
            ("[[rule]]\nset = { team = \"a\" }", "rule 1: when is missing"),
            ("[[rule]]\nwhen = { teem = \"a\" }\nset = { team = \"b\" }", "did you mean 'team'"),
            ("[[rule]]\nwhen = { team = \"a\" }\nset = { organization = \"b\" }", "'organization' cannot be set"),
            ("[[rule]]\nwhen = { team = \"a\" }\nset = { team = \"\" }", "must be a text"),
            ("[[rule]]\nfrom = \"x\"\nwhen = { team = \"a\" }\nset = { team = \"b\" }", "neither a date"),
            (
                "[[rule]]\nfrom = \"2026-02-01\"\nto = \"2026-01-01\"\nwhen = { team = \"a\" }\nset = { team = \"b\" }",
                "to is not after from",
            ),
            ("[[rule]]\nwho = 1", "unknown field `who`"),
        ] {
            assert!(faults(text).contains(expected), "{text}: {}", faults(text));
        }
    }
}
