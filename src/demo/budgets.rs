//! Two budgets for the demo's organisations, and what was told of them: a control store goes in, lines come out.

use spendstream_control::alerts::AlertFilter;
use spendstream_control::budgets::BudgetFilter;
use spendstream_control::{Act, Result, Store};
use spendstream_schemas::budget::BudgetDraft;

/// Small enough that a few seconds of traffic cross them.
const BUDGETS: [&str; 2] = [
    r#"{"name": "developer tools", "scope": {"team": "developer tools"}, "period": "daily", "amount": "40"}"#,
    r#"{"name": "each organisation", "scope": {"organization": "*"}, "period": "daily", "amount": "60", "hard_limit": true}"#,
];
/// Alerts that are shown, the newest.
const SHOWN: u32 = 8;

/// Makes the budgets that are not there yet.
///
/// # Errors
/// When the store cannot be written.
pub async fn prepare(store: &Store, act: &Act<'_>) -> Result<()> {
    let known = store.budgets().list(&BudgetFilter::default()).await?;
    for text in BUDGETS {
        // The texts above are drafts; a test reads them.
        let Ok(draft) = serde_json::from_str::<BudgetDraft>(text) else { continue };
        let name = draft.0.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        if known.iter().all(|budget| budget.name != name) {
            store.budgets().create(&draft, "USD", act).await?;
        }
    }
    Ok(())
}

/// What was told, the oldest first: `critical  developer tools: over 95 %, …`.
///
/// # Errors
/// When the store cannot be read.
pub async fn told(store: &Store) -> Result<Vec<String>> {
    let mut alerts = store.alerts().list(&AlertFilter::default(), SHOWN).await?.alerts;
    alerts.reverse();
    Ok(alerts.iter().map(|found| format!("{:<9}  {}", found.alert.level.word(), found.alert.title)).collect())
}

#[cfg(test)]
mod tests {
    use spendstream_control::{Act, Store};

    use super::{BUDGETS, prepare, told};

    #[tokio::test]
    async fn the_budgets_are_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("control.db").display())).await.unwrap();
        let act = Act { who: "demo", now: "2026-11-22T12:00:00Z".parse().unwrap() };
        for _ in 0..2 {
            prepare(&store, &act).await.unwrap();
            assert_eq!(
                store.budgets().list(&spendstream_control::budgets::BudgetFilter::default()).await.unwrap().len(),
                BUDGETS.len()
            );
        }
        assert!(told(&store).await.unwrap().is_empty());
    }
}
