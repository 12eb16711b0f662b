//! An organisation's own prices. Text comes in (`overrides.toml`), typed entries and one message per bad entry go out.
//!
//! Several entries may match a call: of those, the last in the file that names a meter fixes its price, and the last that
//! gives a discount for it multiplies. A fixed price is discounted too when a discount matches; the list price never changes.
//! An entry without a service tier discounts every tier, but its fixed prices are those of the standard tier: a price that was agreed for
//! ordinary calls must not make batch calls dearer. `*` is every tier.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::instant;
use super::ratio::Ratio;
use super::row;
use crate::meter;

/// As `service_tier`: each of them.
pub(super) const ALL_TIERS: &str = "*";

/// One entry: for whom and what it holds, and what it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Override {
    /// Where it begins in `overrides.toml`.
    pub line: usize,
    pub id: String,
    organization: String,
    billing_account: Option<String>,
    provider: String,
    model: String,
    service_tier: Option<String>,
    region: Option<String>,
    pub effective_from: Option<i64>,
    pub effective_until: Option<i64>,
    /// What remains of a price: 7/8 for a discount of 12.5 %.
    pub factor: Option<Ratio>,
    /// The meters that the discount holds for; empty: all.
    pub discounted: Vec<String>,
    pub prices: Vec<FixedPrice>,
}

/// A negotiated price of one meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FixedPrice {
    pub meter: Arc<str>,
    pub price: Ratio,
    /// `None`: that of the list price.
    pub currency: Option<Arc<str>>,
    pub tier_min_tokens: i64,
}

/// What an entry is matched with, in the book's words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub organization: Option<&'a str>,
    pub billing_account: Option<&'a str>,
    pub provider: &'a str,
    pub model: &'a str,
    pub service_tier: &'a str,
    pub region: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "override")]
    entries: Vec<toml::Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Option<String>,
    organization: String,
    billing_account: Option<String>,
    #[serde(default = "any")]
    provider: String,
    #[serde(default = "any")]
    model: String,
    service_tier: Option<String>,
    region: Option<String>,
    effective_from: Option<String>,
    effective_until: Option<String>,
    discount_percent: Option<String>,
    #[serde(default)]
    meters: Vec<String>,
    #[serde(default)]
    price: Vec<Price>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    meter: String,
    #[serde(rename = "price")]
    figure: String,
    #[serde(default = "million")]
    per: u32,
    currency: Option<String>,
    #[serde(default)]
    tier_min_tokens: u32,
}

fn any() -> String {
    "*".to_owned()
}

fn million() -> u32 {
    1_000_000
}

/// Reads an `overrides.toml`; every bad entry is named in the errors. An empty text has no entries.
pub(super) fn parse(text: &str, errors: &mut Vec<String>) -> Vec<Override> {
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            errors.push(format!("overrides.toml:{line}: {}", error.message().replace('\n', " ")));
            return Vec::new();
        }
    };
    let mut overrides = Vec::new();
    for (position, entry) in file.entries.into_iter().enumerate() {
        let line = line_of(text, entry.span().start);
        match entry.into_inner().check(position + 1, line) {
            Ok(entry) => overrides.push(entry),
            Err(error) => errors.push(format!("overrides.toml:{line}: {error}")),
        }
    }
    overrides
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

impl Entry {
    fn check(self, position: usize, line: usize) -> Result<Override, String> {
        let instant = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => instant::parse(text)
                .map(Some)
                .ok_or_else(|| format!("{name} '{text}' is neither a date nor an RFC 3339 time")),
        };
        let factor = self.discount_percent.as_deref().map(factor).transpose()?;
        if factor.is_none() && self.price.is_empty() {
            return Err("neither discount_percent nor a price; an entry must change something".to_owned());
        }
        if let Some(meter) = self.meters.iter().find(|meter| !meter::is_known(meter)) {
            return Err(format!("meter '{meter}' is not in the vocabulary"));
        }
        Ok(Override {
            line,
            id: self.id.unwrap_or_else(|| format!("override-{position}")),
            effective_from: instant("effective_from", &self.effective_from)?,
            effective_until: instant("effective_until", &self.effective_until)?,
            organization: self.organization,
            billing_account: self.billing_account,
            provider: self.provider.to_lowercase(),
            model: self.model.to_lowercase(),
            service_tier: self.service_tier,
            region: self.region,
            factor,
            discounted: self.meters,
            prices: self.price.into_iter().map(Price::check).collect::<Result<_, _>>()?,
        })
    }
}

impl Price {
    fn check(self) -> Result<FixedPrice, String> {
        if !meter::is_known(&self.meter) {
            return Err(format!("meter '{}' is not in the vocabulary", self.meter));
        }
        let per = row::unit(&self.per.to_string())?;
        let price =
            Ratio::of(row::price(&self.figure)?, per).ok_or_else(|| format!("price '{}' is too fine", self.figure))?;
        let currency = self.currency.as_deref().map(row::currency).transpose()?.map(Arc::from);
        Ok(FixedPrice { meter: self.meter.into(), price, currency, tier_min_tokens: i64::from(self.tier_min_tokens) })
    }
}

/// What remains after a discount, exactly.
fn factor(text: &str) -> Result<Ratio, String> {
    let percent = Decimal::from_str_exact(text).ok().filter(|percent| percent.abs() <= Decimal::ONE_HUNDRED);
    percent
        .and_then(|percent| Ratio::of(Decimal::ONE_HUNDRED - percent, 1))
        .and_then(|rest| rest.times(Ratio { numerator: 1, denominator: 100 }))
        .ok_or_else(|| format!("discount_percent '{text}' is not a decimal from -100 to 100 (negative: a surcharge)"))
}

impl Override {
    /// Whether the entry is for this subject, at some time.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let same =
            |wanted: &Option<String>, has: Option<&str>| wanted.as_deref().is_none_or(|wanted| Some(wanted) == has);
        // Contracts are written by hand: `Acme` there is the `acme` of the events.
        let same_organization =
            subject.organization.is_some_and(|has| has.to_lowercase() == self.organization.to_lowercase());
        (self.organization == "*" || same_organization)
            && same(&self.billing_account, subject.billing_account)
            && self.is_for(subject.provider, subject.model)
            && (self.is_for_all_tiers() || same(&self.service_tier, Some(subject.service_tier)))
            && same(&self.region, subject.region)
    }

    /// Whether it is for a model of a provider, by the book's ids.
    pub fn is_for(&self, provider: &str, model: &str) -> bool {
        glob(&self.provider, &provider.to_lowercase()) && glob(&self.model, &model.to_lowercase())
    }

    /// What it says of provider and model; `*` is a wildcard.
    pub fn patterns(&self) -> (&str, &str) {
        (&self.provider, &self.model)
    }

    /// The tier that it names.
    pub fn service_tier(&self) -> Option<&str> {
        self.service_tier.as_deref()
    }

    /// Whether a call of this entry may be one of the other's too, by who pays for it.
    pub fn shares_payer(&self, other: &Override) -> bool {
        let any = |entry: &Override| entry.organization == "*";
        any(self) || any(other) || self.organization.to_lowercase() == other.organization.to_lowercase()
    }

    /// Whether it is for every organisation, and so for each call of an entry that is for one of them; provider, model and tier aside.
    pub fn is_for_everyone_under(&self, other: &Override) -> bool {
        let wider = |wide: &Option<String>, narrow: &Option<String>| wide.is_none() || wide == narrow;
        let ends =
            |until: Option<i64>, from: Option<i64>| until.is_some_and(|until| from.is_some_and(|from| until <= from));
        self.organization == "*"
            && other.organization != "*"
            && wider(&self.billing_account, &other.billing_account)
            && wider(&self.region, &other.region)
            && !ends(self.effective_until, other.effective_from)
            && !ends(other.effective_until, self.effective_from)
    }

    /// Whether it has a price or, for `discount`, a discount in a tier in which the other has.
    pub fn shares_tier(&self, other: &Override, discount: bool) -> bool {
        // A price without a tier is one of the standard tier, a discount one of each.
        let tier = |entry: &Override| match entry.service_tier.as_deref() {
            None if discount => ALL_TIERS.to_owned(),
            tier => tier.unwrap_or(row::STANDARD).to_owned(),
        };
        let (one, two) = (tier(self), tier(other));
        one == two || [one, two].iter().any(|tier| tier == ALL_TIERS)
    }

    fn is_for_all_tiers(&self) -> bool {
        self.service_tier.as_deref() == Some(ALL_TIERS)
    }

    /// The fixed prices for a tier that the call is priced by, empty for standard.
    pub fn prices_for(&self, tier: &str) -> &[FixedPrice] {
        if self.service_tier.is_some() || tier.is_empty() { &self.prices } else { &[] }
    }

    pub fn in_force(&self, micros: i64) -> bool {
        self.effective_from.is_none_or(|from| from <= micros) && self.effective_until.is_none_or(|until| micros < until)
    }

    pub fn discounts(&self, meter: &str) -> bool {
        self.discounted.is_empty() || self.discounted.iter().any(|name| name == meter)
    }
}

/// `*` stands for any run of characters, everything else for itself.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    rest.is_empty() || (0..=text.len()).any(|at| text.is_char_boundary(at) && glob(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::{Subject, glob, parse};

    #[test]
    fn an_organization_matches_in_any_case_and_only_as_a_whole() {
        let text = "[[override]]\nid = \"x\"\norganization = \"Acme Über\"\ndiscount_percent = \"1\"\n";
        let entries = parse(text, &mut Vec::new());
        for (organization, expected) in
            [(Some("acme über"), true), (Some("ACME ÜBER"), true), (Some("acme"), false), (None, false)]
        {
            let subject = Subject {
                organization,
                billing_account: None,
                provider: "openai",
                model: "gpt-4o",
                service_tier: "",
                region: None,
            };
            assert_eq!(entries[0].matches(&subject), expected, "{organization:?}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("*claude*4-5*", "anthropic.claude-sonnet-4-5-v1", true),
            ("*-mini", "gpt-4o", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn bad_entries_are_named_with_their_line() {
        for (text, expected) in [
            ("[[override]]\norganization = \"a\"\n", ":1: neither discount_percent nor a price"),
            ("\n[[override]]\norganization = \"a\"\ndiscount_percent = \"101\"\n", ":2: discount_percent '101'"),
            ("[[override]]\norganization = \"a\"\ndiscount_percent = 10.5\n", ":3: invalid type: floating point"),
            ("[[override]]\norganisation = \"a\"\n", "unknown field `organisation`"),
            (
                "[[override]]\norganization = \"a\"\n[[override.price]]\nmeter = \"tokens\"\nprice = \"1\"\n",
                "meter 'tokens'",
            ),
            (
                "[[override]]\norganization = \"a\"\n[[override.price]]\nmeter = \"input\"\nprice = \"0.18000000000000002\"\n",
                "noise",
            ),
            (
                "[[override]]\norganization = \"a\"\neffective_from = \"soon\"\ndiscount_percent = \"1\"\n",
                "effective_from 'soon'",
            ),
        ] {
            let mut errors = Vec::new();
            assert_eq!(parse(text, &mut errors), Vec::new());
            assert_eq!(errors.len(), 1, "{text}");
            assert!(errors[0].starts_with("overrides.toml:") && errors[0].contains(expected), "{}", errors[0]);
        }
    }
}
