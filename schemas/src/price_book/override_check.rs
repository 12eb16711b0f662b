//! What is odd about an organisation's own prices. In: its entries and the book they are for; out: findings with their line. Nothing
//! is changed, and no entry is refused: a price may be agreed before the model is in the book.

use std::collections::BTreeSet;

use super::catalog::{Catalog, Provider};
use super::check::{Finding, Severity};
use super::overrides::{ALL_TIERS, Override};
use super::row::{PriceRow, STANDARD};

/// Everything to say about overrides, in their order.
pub(super) fn findings(overrides: &[Override], rows: &[PriceRow], catalog: &Catalog) -> Vec<Finding> {
    let tiers: BTreeSet<&str> =
        rows.iter().map(|row| &*row.service_tier).filter(|tier| !tier.is_empty()).chain([STANDARD]).collect();
    let mut findings = Vec::new();
    for entry in overrides {
        let covered: Vec<&PriceRow> = rows.iter().filter(|row| covers(entry, row, catalog)).collect();
        let texts =
            [unmatched(entry, &covered), unknown_tier(entry, &tiers, catalog), left_to_the_list(entry, &covered)];
        findings.extend(texts.into_iter().flatten().map(|text| Finding {
            severity: Severity::Warning,
            file: "overrides.toml",
            line: entry.line,
            text: format!("'{}': {text}", entry.id),
        }));
    }
    findings
}

/// Whether calls of the row's model come under the entry: asked of its provider, or of one that shares its prices.
fn covers(entry: &Override, row: &PriceRow, catalog: &Catalog) -> bool {
    let inherits = |provider: &Provider| provider.inherits.iter().any(|id| id.as_str() == &*row.provider);
    let sellers = catalog.providers.iter().filter(|(_, provider)| inherits(provider)).map(|(id, _)| id.as_str());
    [&*row.provider].into_iter().chain(sellers).any(|seller| entry.is_for(seller, &row.model))
}

fn unmatched(entry: &Override, covered: &[&PriceRow]) -> Option<String> {
    let (provider, model) = entry.patterns();
    covered.is_empty().then(|| {
        format!(
            "no model of the book is provider '{provider}', model '{model}', so it changes nothing; write the ids that `spendstream prices \
             list` shows, not their other names"
        )
    })
}

fn unknown_tier(entry: &Override, tiers: &BTreeSet<&str>, catalog: &Catalog) -> Option<String> {
    let tier = entry.service_tier()?;
    if tier == ALL_TIERS || tiers.contains(tier) {
        return None;
    }
    let word = catalog.tier(Some(tier));
    let advice = if tiers.contains(word.as_str()) {
        format!("the book calls it '{word}'")
    } else {
        format!("the book has {}", tiers.iter().copied().collect::<Vec<_>>().join(", "))
    };
    Some(format!("no call has service_tier '{tier}', so it changes nothing; {advice}"))
}

/// Tiers whose calls pay the list price of a meter that the entry fixes for the standard tier.
fn left_to_the_list(entry: &Override, covered: &[&PriceRow]) -> Option<String> {
    if entry.service_tier().is_some() {
        return None;
    }
    let fixed = |row: &PriceRow| entry.prices.iter().any(|price| price.meter == row.meter);
    let left: BTreeSet<&str> = covered
        .iter()
        .filter(|row| !row.service_tier.is_empty() && row.effective_until.is_none() && fixed(row))
        .map(|row| &*row.service_tier)
        .collect();
    (!left.is_empty()).then(|| {
        let left = left.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "its prices are those of the standard tier, and calls in {left} pay the list price; name a service_tier, or \"*\" for all of \
             them"
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::price_book::{BookFiles, PriceBook};

    const PRICES: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,schedule,source,source_ref\n\
        p,m,input,2,1000000,USD,,,,,,,,\np,m,input,1,1000000,USD,,,,batch,,,,\np,m,input,1,1000000,USD,,2026-01-01,,flex,,,,\n\
        p,m,output,8,1000000,USD,,,,,,,,\np,plain,input,1,1000000,USD,,,,,,,,\n";
    const CATALOG: &str = "date = \"2026-11-22\"\n[service_tiers]\nstandard = [\"default\"]\nbatch = [\"batches\"]\n[provider.p]\naliases = []\n[provider.q]\ninherits = [\"p\"]\n";

    fn findings(entry: &str) -> Vec<String> {
        let overrides = format!("[[override]]\nid = \"x\"\norganization = \"acme\"\n{entry}");
        let files = BookFiles {
            prices: PRICES,
            catalog: CATALOG,
            overrides: &overrides,
            currency: "USD",
            ..BookFiles::default()
        };
        PriceBook::load(&files).unwrap().findings().iter().map(ToString::to_string).collect()
    }

    const INPUT: &str = "[[override.price]]\nmeter = \"input\"\nprice = \"1.5\"\n";

    #[test]
    fn a_price_for_no_tier_says_which_tiers_it_leaves_to_the_list() {
        let text = "overrides.toml:1: 'x': its prices are those of the standard tier, and calls in batch pay the list price; name a \
                    service_tier, or \"*\" for all of them";
        assert_eq!(findings(INPUT), [text]);
        assert_eq!(findings(&format!("provider = \"q\"\nmodel = \"m*\"\n{INPUT}")), [text]);
        for clear in [
            format!("service_tier = \"*\"\n{INPUT}"),
            format!("service_tier = \"standard\"\n{INPUT}"),
            format!("model = \"plain\"\n{INPUT}"),
            INPUT.replace("input", "output"),
            "discount_percent = \"10\"\n".to_owned(),
        ] {
            assert_eq!(findings(&clear), Vec::<String>::new(), "{clear}");
        }
    }

    #[test]
    fn an_entry_that_no_call_comes_under_is_named() {
        let discount = |line: &str| findings(&format!("{line}\ndiscount_percent = \"10\"\n"));
        assert_eq!(
            discount("model = \"mm\""),
            [
                "overrides.toml:1: 'x': no model of the book is provider '*', model 'mm', so it changes nothing; write the ids that \
                 `spendstream prices list` shows, not their other names"
            ]
        );
        assert_eq!(discount("provider = \"r\"").len(), 1);
        assert_eq!(
            discount("service_tier = \"batches\""),
            [
                "overrides.toml:1: 'x': no call has service_tier 'batches', so it changes nothing; the book calls it 'batch'"
            ]
        );
        assert_eq!(
            discount("service_tier = \"fast\""),
            [
                "overrides.toml:1: 'x': no call has service_tier 'fast', so it changes nothing; the book has batch, flex, standard"
            ]
        );
        assert_eq!(discount("provider = \"q\"\nmodel = \"M\""), Vec::<String>::new());
    }
}
