//! What is odd about an organisation's own prices. In: its entries and the book they are for; out: findings with their line. Nothing
//! is changed, and no entry is refused: a price may be agreed before the model is in the book.

use std::collections::BTreeSet;

use super::catalog::{Catalog, Provider};
use super::check::{Finding, Severity};
use super::overrides::{ALL_TIERS, Override};
use super::rates::APART;
use super::row::{PriceRow, STANDARD};
use crate::meter::Token;

/// Everything to say about overrides, in their order.
pub(super) fn findings(overrides: &[Override], rows: &[PriceRow], catalog: &Catalog) -> Vec<Finding> {
    let tiers: BTreeSet<&str> =
        rows.iter().map(|row| &*row.service_tier).filter(|tier| !tier.is_empty()).chain([STANDARD]).collect();
    let mut findings = Vec::new();
    for (position, entry) in overrides.iter().enumerate() {
        let covered: Vec<&PriceRow> = rows.iter().filter(|row| covers(entry, row, catalog)).collect();
        let later = overrides.get(position + 1..).unwrap_or_default();
        let texts = [
            unmatched(entry, &covered),
            unknown_tier(entry, &tiers, catalog),
            left_to_the_list(entry, &covered),
            left_without_price(entry, overrides, rows, catalog),
        ];
        let texts = texts.into_iter().flatten().chain(shadowed(entry, later, &covered, catalog));
        findings.extend(texts.map(|text| Finding {
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

/// Meters that have a list price and none in the currency that the entry fixes others in: a figure in one cannot be added to one
/// in the other, so a token meter costs what its parent does there, and anything else makes the call unpriced.
fn left_without_price(
    entry: &Override,
    overrides: &[Override],
    rows: &[PriceRow],
    catalog: &Catalog,
) -> Option<String> {
    let currency = entry.prices.iter().find_map(|price| price.currency.as_ref())?;
    let in_currency = |other: &Override, meter: &str| {
        other.prices.iter().any(|price| *price.meter == *meter && price.currency.as_ref() == Some(currency))
    };
    let in_tier = |row: &PriceRow| {
        let tier = entry.service_tier();
        row.service_tier.is_empty() || tier.is_some_and(|tier| tier == ALL_TIERS || *tier == *row.service_tier)
    };
    let open = |row: &&PriceRow| row.effective_until.is_none() && row.currency != *currency && in_tier(row);
    let covered: Vec<&PriceRow> = rows.iter().filter(open).filter(|row| covers(entry, row, catalog)).collect();
    // What a provider charges on each of its models is charged on these too.
    let sellers: BTreeSet<&str> = covered.iter().map(|row| &*row.provider).collect();
    let tools = rows.iter().filter(open).filter(|row| &*row.model == "*" && sellers.contains(&*row.provider));
    let (mut as_parent, mut unpriced) = (BTreeSet::new(), BTreeSet::new());
    for row in covered.iter().copied().chain(tools) {
        let is_tool = &*row.model == "*";
        let agrees = |other: &&Override| {
            let models = if is_tool { &covered[..] } else { std::slice::from_ref(&row) };
            other.shares_payer(entry) && models.iter().any(|row| covers(other, row, catalog))
        };
        let others: Vec<&Override> = overrides.iter().filter(agrees).collect();
        let fixed = |meter: &str| others.iter().any(|other| in_currency(other, meter));
        if fixed(&row.meter) {
            continue;
        }
        match stand_in(&row.meter, &fixed, &catalog.alike(&row.provider, &row.model)) {
            Some(parent) => as_parent.insert(format!("{} as {parent}", row.meter)),
            None => unpriced.insert(row.meter.to_string()),
        };
    }
    let list = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if !as_parent.is_empty() {
        parts.push(format!("it charges {}", list(as_parent)));
    }
    if !unpriced.is_empty() {
        let every =
            if unpriced.contains("input") || unpriced.contains("output") { "nearly every call, as " } else { "" };
        parts.push(format!("it leaves {every}calls with {} unpriced", list(unpriced)));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "in {currency}, where it has no price of a meter, {}; add their prices in {currency}",
            parts.join(", and ")
        )
    })
}

/// The fixed price that a token meter is charged at for want of its own.
fn stand_in(meter: &str, fixed: &dyn Fn(&str) -> bool, alike: &[Token]) -> Option<&'static str> {
    let mut token = Token::from_name(meter)?;
    loop {
        let parent = token.parent();
        if parent == token || APART.contains(&token) && !alike.contains(&token) {
            return None;
        }
        if fixed(parent.name()) {
            return Some(parent.name());
        }
        token = parent;
    }
}

/// Entries for every organisation that come later and so take the place of what this one agrees with one.
fn shadowed(entry: &Override, later: &[Override], covered: &[&PriceRow], catalog: &Catalog) -> Vec<String> {
    let wider = later.iter().filter(|other| other.is_for_everyone_under(entry));
    let wider = wider.filter(|other| covered.iter().any(|row| covers(other, row, catalog)));
    let mut texts = Vec::new();
    for other in wider {
        let fixes = |meter: &str| other.prices.iter().any(|price| *price.meter == *meter);
        let fixed: BTreeSet<&str> =
            entry.prices.iter().map(|price| &*price.meter).filter(|meter| fixes(meter)).collect();
        let where_from = format!("'{}' (line {}) is for every organization and comes later", other.id, other.line);
        if !fixed.is_empty() && other.shares_tier(entry, false) {
            let fixed = fixed.into_iter().collect::<Vec<_>>().join(", ");
            texts.push(format!("{where_from}: its price of {fixed} holds instead of this one; put it before"));
        }
        let both = entry.factor.is_some() && other.factor.is_some() && other.shares_tier(entry, true);
        let (one, two) = (&entry.discounted, &other.discounted);
        if both && (one.is_empty() || two.is_empty() || one.iter().any(|meter| two.contains(meter))) {
            texts.push(format!("{where_from}: its discount holds instead of this one; put it before"));
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use crate::price_book::{BookFiles, PriceBook};

    const PRICES: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,schedule,source,source_ref\n\
        p,m,input,2,1000000,USD,,,,,,,,\np,m,input,1,1000000,USD,,,,batch,,,,\np,m,input,1,1000000,USD,,2026-01-01,,flex,,,,\n\
        p,m,output,8,1000000,USD,,,,,,,,\np,m,cache_read,0.2,1000000,USD,,,,,,,,\n\
        p,m,audio_in,40,1000000,USD,,,,,,,,\np,*,web_search,10,1000,USD,,,,,,,,\np,plain,input,1,1000000,USD,,,,,,,,\n";
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

    #[test]
    fn meters_without_a_price_in_the_entrys_currency_are_named_with_what_happens() {
        let euro =
            |meter: &str| format!("[[override.price]]\nmeter = \"{meter}\"\nprice = \"1.5\"\ncurrency = \"EUR\"\n");
        let entry = |meters: &[&str]| {
            let prices: String = meters.iter().map(|meter| euro(meter)).collect();
            findings(&format!("model = \"m\"\nservice_tier = \"*\"\n{prices}"))
        };
        assert_eq!(
            entry(&["input", "output"]),
            [
                "overrides.toml:1: 'x': in EUR, where it has no price of a meter, it charges cache_read as input, and it leaves calls with \
                 audio_in, web_search unpriced; add their prices in EUR"
            ]
        );
        assert_eq!(
            entry(&["input", "cache_read", "audio_in", "web_search"]),
            [
                "overrides.toml:1: 'x': in EUR, where it has no price of a meter, it leaves nearly every call, as calls with output \
                 unpriced; add their prices in EUR"
            ]
        );
        assert_eq!(entry(&["input", "output", "cache_read", "audio_in", "web_search"]), Vec::<String>::new());
        // Two entries of one organization agree on it together.
        let rest = ["output", "cache_read", "audio_in", "web_search"].map(euro).join("");
        let both = format!(
            "model = \"m\"\nservice_tier = \"*\"\n{}[[override]]\norganization = \"Acme\"\nservice_tier = \"*\"\nmodel = \"m\"\n{rest}",
            euro("input")
        );
        assert_eq!(findings(&both), Vec::<String>::new());
    }

    #[test]
    fn what_a_later_entry_for_everyone_takes_over_is_named() {
        let own = format!("model = \"plain\"\ndiscount_percent = \"10\"\n{INPUT}");
        let everyone = |rest: &str| format!("{own}[[override]]\nid = \"all\"\norganization = \"*\"\n{rest}");
        let text = "overrides.toml:1: 'x': 'all' (line 9) is for every organization and comes later: its";
        assert_eq!(
            findings(&everyone(&format!("model = \"*\"\nservice_tier = \"*\"\n{INPUT}"))),
            [format!("{text} price of input holds instead of this one; put it before")]
        );
        assert_eq!(
            findings(&everyone("discount_percent = \"5\"\n")),
            [format!("{text} discount holds instead of this one; put it before")]
        );
        for apart in [
            "model = \"m\"\ndiscount_percent = \"5\"\n",
            "discount_percent = \"5\"\nmeters = [\"output\"]\n",
            "discount_percent = \"5\"\nbilling_account = \"b\"\n",
        ] {
            let found = findings(&everyone(apart));
            assert_eq!(found.len(), usize::from(apart.contains("output")), "{apart}");
        }
    }
}
