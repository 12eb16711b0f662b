//! Which of many budgets count for one event: a budget that names a value stands in for the template of that value.

use chrono::{DateTime, Utc};

use super::definition::Budget;
use super::scope::{ResolvedScope, ScopeKey};

/// The budgets that count for an event with these values at `at`, each with the cell it falls into, in the order given.
///
/// A template does not count where another budget that is in force, matches too and is not additive names a value for it.
pub fn applicable<'b, 'v>(
    budgets: &'b [Budget],
    at: DateTime<Utc>,
    value_of: impl Fn(&ScopeKey) -> Option<&'v str>,
) -> Vec<(&'b Budget, ResolvedScope)> {
    let matching: Vec<_> = budgets
        .iter()
        .filter(|budget| budget.in_force(at) && budget.scope.matches(budget.include_missing, &value_of))
        .collect();
    matching
        .iter()
        .filter(|budget| !replaced(budget, &matching))
        .filter_map(|budget| Some((*budget, budget.scope.resolve(budget.include_missing, &value_of)?)))
        .collect()
}

/// Whether one of `matching` (in force, and fitting the same event) stands in for `budget`.
#[must_use]
pub fn replaced(budget: &Budget, matching: &[&Budget]) -> bool {
    budget.scope.is_template() && matching.iter().any(|other| !other.additive && other.scope.narrows(&budget.scope))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::json;

    use super::super::draft::{BudgetDraft, Context};
    use super::{Budget, applicable};

    fn budget(id: &str, more: &serde_json::Value) -> Budget {
        let mut draft = json!({"name": id, "period": "daily", "amount": "10"});
        draft.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let context = Context { id, currency: "USD", now: DateTime::UNIX_EPOCH };
        serde_json::from_value::<BudgetDraft>(draft).unwrap().check(None, &context).unwrap()
    }

    fn check(budgets: &[Budget], user: Option<&str>, expected: &[&str]) {
        let at: DateTime<Utc> = "2026-06-15T12:00:00Z".parse().unwrap();
        let counting = applicable(budgets, at, |key| if key.to_string() == "user" { user } else { None });
        let shown: Vec<_> = counting.iter().map(|(budget, cell)| format!("{} {cell}", budget.id)).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_named_value_replaces_the_template_unless_it_is_additive() {
        let all = budget("all", &json!({"scope": {}}));
        let each = budget("each", &json!({"scope": {"user": "*"}}));
        let ann = budget("ann", &json!({"scope": {"user": "ann"}, "period": "monthly"}));
        let bob = budget("bob", &json!({"scope": {"user": "bob"}, "additive": true}));
        let budgets = [all, each, ann, bob];
        check(&budgets, Some("ann"), &["all everything", "ann user=ann"]);
        check(&budgets, Some("bob"), &["all everything", "each user=bob", "bob user=bob"]);
        check(&budgets, Some("cyd"), &["all everything", "each user=cyd"]);
        check(&budgets, None, &["all everything"]);
    }

    #[test]
    fn one_that_is_not_in_force_replaces_nothing() {
        let each = budget("each", &json!({"scope": {"user": "*"}, "include_missing": true}));
        let off = budget("off", &json!({"scope": {"user": "ann"}, "active": false}));
        let past = budget("past", &json!({"scope": {"user": "ann"}, "valid_until": "2026-06-15T12:00:00Z"}));
        let later = budget("later", &json!({"scope": {"user": "ann"}, "valid_from": "2026-06-15T12:00:01Z"}));
        let budgets = [off, past, later, each];
        check(&budgets, Some("ann"), &["each user=ann"]);
        check(&budgets, None, &["each user=(none)"]);
    }
}
