//! What a price book knows besides prices: its date, its providers with their other names, and the words for service tiers.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::overrides::glob;
use super::rates::APART;
use super::row::STANDARD;
use crate::meter::Token;

/// `catalog.toml`, as written.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
struct File {
    date: String,
    exchange_max_age_days: Option<u32>,
    free_meters: Vec<String>,
    service_tiers: BTreeMap<String, Vec<String>>,
    provider: BTreeMap<String, ProviderFile>,
    priced_alike: Vec<PricedAlikeFile>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct PricedAlikeFile {
    providers: Vec<String>,
    models: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    meters: Vec<String>,
}

/// Models whose sound or picture tokens cost what their text does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PricedAlike {
    /// The book's ids.
    providers: Vec<String>,
    /// In lower case; `*` is a wildcard.
    models: Vec<String>,
    /// Of these, the ones that are not meant; likewise.
    except: Vec<String>,
    meters: Vec<Token>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
struct ProviderFile {
    aliases: Vec<String>,
    inherits: Vec<String>,
    vendor_dot: bool,
    default_region: Option<String>,
    other_region: Option<String>,
}

/// A provider of the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Provider {
    /// Providers whose models are priced the same where this one has no price of its own, in order.
    pub inherits: Vec<String>,
    /// Model ids read `vendor.model` and may carry a region before that.
    pub vendor_dot: bool,
    /// Where a call runs that names no region, if the provider says so.
    pub default_region: Option<String>,
    /// The word under which a model has the prices of all regions that it names no price for.
    pub other_region: Option<String>,
}

/// The catalogue, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The day the prices were collected.
    pub date: String,
    pub(super) exchange_max_age_days: Option<u32>,
    /// Meters that cost nothing anywhere unless a price says otherwise.
    pub(super) free_meters: Vec<String>,
    pub(super) providers: BTreeMap<String, Provider>,
    aliases: HashMap<String, String>,
    tiers: HashMap<String, String>,
    alike: Vec<PricedAlike>,
}

impl Catalog {
    /// Reads a `catalog.toml`; what is wrong with it goes to the errors. Providers that only have prices are added by the book.
    #[must_use]
    pub fn parse(text: &str, errors: &mut Vec<String>) -> Self {
        let file: File = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                errors.push(format!("catalog.toml: {}", error.to_string().trim().replace('\n', " ")));
                return Self::default();
            }
        };
        let mut catalog = Self {
            date: file.date,
            exchange_max_age_days: file.exchange_max_age_days.filter(|days| *days > 0),
            free_meters: file.free_meters,
            ..Self::default()
        };
        catalog.alike = file.priced_alike.into_iter().map(|entry| entry.check(errors)).collect();
        for (tier, names) in file.service_tiers {
            for name in names.iter().chain([&tier]) {
                catalog.tiers.insert(spelling(name), tier.clone());
            }
        }
        for (id, provider) in file.provider {
            for alias in provider.aliases.iter().chain([&id]) {
                if let Some(other) = catalog.aliases.insert(spelling(alias), id.clone())
                    && other != id
                {
                    errors.push(format!("catalog.toml: '{alias}' is a name of both {other} and {id}"));
                }
            }
            let ProviderFile { inherits, vendor_dot, default_region, other_region, .. } = provider;
            catalog.providers.insert(id, Provider { inherits, vendor_dot, default_region, other_region });
        }
        catalog
    }

    /// The meters of a model, by the book's ids, that cost what their parent does where they have no price of their own.
    pub(super) fn alike(&self, provider: &str, model: &str) -> Vec<Token> {
        let model = model.to_lowercase();
        let any = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, &model));
        let entries = self.alike.iter().filter(|entry| {
            entry.providers.iter().any(|id| id == provider) && any(&entry.models) && !any(&entry.except)
        });
        entries.flat_map(|entry| entry.meters.iter().copied()).collect()
    }

    /// Makes a provider known that has prices but no entry.
    pub(super) fn add(&mut self, id: &str) {
        if !self.providers.contains_key(id) {
            self.providers.insert(id.to_owned(), Provider::default());
            self.aliases.entry(spelling(id)).or_insert_with(|| id.to_owned());
        }
    }

    /// The id of a provider by any of its names.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&str> {
        self.aliases.get(&spelling(name)).map(String::as_str)
    }

    /// The book's word for a service tier: its own for a known name, the spelling brought to lower case for any other.
    #[must_use]
    pub fn tier(&self, sent: Option<&str>) -> String {
        match sent.map(spelling).filter(|tier| !tier.is_empty()) {
            None => STANDARD.to_owned(),
            Some(tier) => self.tiers.get(&tier).cloned().unwrap_or(tier),
        }
    }
}

impl PricedAlikeFile {
    fn check(self, errors: &mut Vec<String>) -> PricedAlike {
        let mut meters = Vec::new();
        for name in self.meters {
            match Token::from_name(&name).filter(|token| APART.contains(token)) {
                Some(token) => meters.push(token),
                None => errors.push(format!(
                    "catalog.toml: priced_alike: meter '{name}' is not one of {}",
                    APART.map(Token::name).join(", ")
                )),
            }
        }
        let lower = |models: Vec<String>| models.into_iter().map(|model| model.to_lowercase()).collect();
        PricedAlike { providers: self.providers, models: lower(self.models), except: lower(self.except), meters }
    }
}

/// Names are compared in lower case, with every separator as `_`.
fn spelling(name: &str) -> String {
    name.trim().chars().map(|c| if matches!(c, '-' | '.' | ' ' | '/') { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::Catalog;

    #[test]
    fn every_spelling_of_a_provider_is_one() {
        let mut errors = Vec::new();
        let text = "[provider.aws_bedrock]\naliases = [\"aws\", \"amazon-bedrock\"]\n[service_tiers]\nstandard = [\"default\", \"auto\"]\nbatch = []\n";
        let catalog = Catalog::parse(text, &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        for name in ["aws", "AWS", "aws.bedrock", "aws_bedrock", "amazon-bedrock", "Amazon Bedrock"] {
            assert_eq!(catalog.provider(name), Some("aws_bedrock"), "{name}");
        }
        assert_eq!(catalog.provider("bedrock2"), None);
        for (sent, expected) in
            [(None, "standard"), (Some("Auto"), "standard"), (Some("BATCH"), "batch"), (Some("x-1"), "x_1")]
        {
            assert_eq!(catalog.tier(sent), expected);
        }
    }

    #[test]
    fn a_name_of_two_providers_is_refused() {
        let mut errors = Vec::new();
        let _ = Catalog::parse("[provider.a]\naliases = [\"x\"]\n[provider.b]\naliases = [\"x\"]\n", &mut errors);
        assert_eq!(errors, ["catalog.toml: 'x' is a name of both a and b"]);
    }
}
