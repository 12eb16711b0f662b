//! The book itself: made from texts, asked by [`PriceBook::resolve`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use rust_decimal::Decimal;
use thiserror::Error;

use super::archive;
use super::catalog::Catalog;
use super::check::{self, Finding};
use super::exchange::{Exchange, Rate};
use super::index::{self, Models};
use super::override_check;
use super::overrides::{self, Override, Subject};
use super::plan::Timetable;
use super::question::{Plan, Question, Unpriced};
use super::ratio::{self, Ratio};
use super::row::{self, PriceRow, STANDARD};
use super::spelling::{self, Spellings};
use super::tariff::{self, Selection};
use crate::money::Amount;
use crate::note::{Note, Notes};

/// The texts a book is made of. An empty text is an empty table; [`BookFiles::builtin`] has the ones that ship.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookFiles<'a> {
    /// `prices.csv`: one price per line.
    pub prices: &'a str,
    /// `catalog.toml`: date of the book, providers and their aliases, words for service tiers.
    pub catalog: &'a str,
    /// `aliases.csv`: other spellings of models.
    pub aliases: &'a str,
    /// `rates.csv`: dated exchange rates.
    pub rates: &'a str,
    /// `overrides.toml`: organisations' own prices and discounts.
    pub overrides: &'a str,
    /// The lake's currency, ISO 4217.
    pub currency: &'a str,
}

impl BookFiles<'static> {
    /// The texts that ship in the binary, for a lake in USD. Replace single fields to add overrides or own rates.
    #[must_use]
    pub fn builtin() -> Self {
        Self {
            prices: include_str!("../../price_book/prices.csv"),
            catalog: include_str!("../../price_book/catalog.toml"),
            aliases: include_str!("../../price_book/aliases.csv"),
            rates: include_str!("../../price_book/rates.csv"),
            overrides: "",
            currency: "USD",
        }
    }
}

/// The service tier under which a book has the prices of answers with thinking, where a provider charges them by others.
const THINKING: &str = "thinking";

/// Everything wrong with a book's texts, one line each: file, line, what, what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the price book is not usable: {}", brief(.0))]
pub struct BookError(pub Vec<String>);

/// The first few of many: an error is one line that a person reads.
fn brief(errors: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = errors.len().saturating_sub(SHOWN);
    let rest =
        if more > 0 { format!("; and {more} more, `spendstream prices check` lists all") } else { String::new() };
    errors.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ") + &rest
}

/// Prices, aliases, rates and overrides; immutable.
#[derive(Debug)]
pub struct PriceBook {
    version: String,
    currency: Arc<str>,
    /// Sorted by (provider, model).
    rows: Vec<PriceRow>,
    catalog: Catalog,
    /// Provider → model or alias in lower case → its rows.
    models: Models,
    /// Service tiers and regions that any price names.
    words: BTreeSet<Arc<str>>,
    overrides: Vec<Override>,
    exchange: Arc<Exchange>,
    texts: archive::Texts,
}

impl PriceBook {
    /// The book that ships in the binary, for a lake in USD; read once per process.
    ///
    /// # Errors
    /// Never for a released binary: a test loads it.
    pub fn builtin() -> Result<Arc<PriceBook>, BookError> {
        static BUILTIN: OnceLock<Result<Arc<PriceBook>, BookError>> = OnceLock::new();
        BUILTIN.get_or_init(|| Self::load(&BookFiles::builtin()).map(Arc::new)).clone()
    }

    /// # Errors
    /// Names every bad line of every text.
    pub fn load(files: &BookFiles<'_>) -> Result<PriceBook, BookError> {
        let mut errors = Vec::new();
        let mut rows = row::parse(files.prices, &mut errors);
        rows.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        let mut catalog = Catalog::parse(files.catalog, &mut errors);
        let exchange = Exchange::parse(files.rates, catalog.exchange_max_age_days, &mut errors);
        let overrides = overrides::parse(files.overrides, &mut errors);
        if let Err(error) = row::currency(files.currency) {
            errors.push(format!("lake.currency: {error}"));
        }
        errors.extend(check::ambiguities(&rows).into_iter().map(|finding| finding.to_string()));
        let mut models = index::index(&rows, &mut catalog, &mut errors);
        index::add_aliases(files.aliases, &catalog, &mut models, &mut errors);
        if !errors.is_empty() {
            return Err(BookError(errors));
        }
        index::add_vendor_names(&catalog, &mut models);
        let words = rows.iter().flat_map(|row| [&row.service_tier, &row.region]).cloned().collect();
        let texts = archive::Texts::new(files);
        Ok(Self {
            version: texts.version(),
            currency: Arc::from(files.currency),
            rows,
            catalog,
            models,
            words,
            overrides,
            exchange: Arc::new(exchange),
            texts,
        })
    }

    /// Content hash over prices, catalogue, aliases, rates, overrides and currency: 32 hex digits.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The lake's currency, which amounts are in.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The day the prices were collected (`2026-11-22`).
    #[must_use]
    pub fn date(&self) -> &str {
        &self.catalog.date
    }

    /// Every price, sorted by (provider, model).
    #[must_use]
    pub fn rows(&self) -> &[PriceRow] {
        &self.rows
    }

    /// What is odd in its prices and overrides.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = check::check(&self.rows);
        findings.extend(override_check::findings(&self.overrides, &self.rows, &self.catalog));
        findings
    }

    /// The book's id of a provider by any of its names.
    #[must_use]
    pub fn provider_id(&self, name: &str) -> Option<&str> {
        self.catalog.provider(name)
    }

    /// The book's id of a model by any of its names, at this provider; where none is named, that by which most providers have it. `None` where
    /// nobody has it.
    #[must_use]
    pub fn model_id(&self, provider: Option<&str>, name: &str) -> Option<&str> {
        let name = name.trim();
        let head = name.split_once('/').and_then(|(head, _)| self.catalog.provider(head));
        let spellings = spelling::spellings(name, &|head| self.catalog.provider(head).is_some());
        let at = |provider: &str| Some(&*self.find(provider, &spellings)?.0.first()?.model);
        if let Some(provider) = provider.and_then(|provider| self.catalog.provider(provider)) {
            return at(provider);
        }
        if let Some(id) = head.and_then(at) {
            return Some(id);
        }
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for id in self.catalog.providers.keys().filter_map(|provider| at(provider)) {
            *found.entry(id).or_default() += 1;
        }
        found.into_iter().max_by_key(|(id, count)| (*count, std::cmp::Reverse(*id))).map(|(id, _)| id)
    }

    /// Everything needed to price again, compressed: kept under the lake as [`crate::lake_path::price_book`] says. Equal books
    /// give equal bytes.
    #[must_use]
    pub fn to_archive(&self) -> Vec<u8> {
        self.texts.compress()
    }

    /// Reads what [`PriceBook::to_archive`] wrote; it has the same version.
    ///
    /// # Errors
    /// When the bytes are no archive of a book.
    pub fn from_archive(bytes: &[u8]) -> Result<PriceBook, BookError> {
        let texts = archive::Texts::expand(bytes).map_err(|error| BookError(vec![error]))?;
        Self::load(&texts.files())
    }

    /// Units of the lake's currency per unit of another by the rate in force at `time_micros`; `None` when there is none.
    #[must_use]
    pub fn rate(&self, currency: &str, time_micros: i64) -> Option<Rate> {
        self.exchange.rate(currency, &self.currency, time_micros)
    }

    /// An amount in the lake's currency by the rate in force at `time_micros`, which is not rounded before the product is; `None` when there is no
    /// rate or it does not fit.
    #[must_use]
    pub fn convert(&self, amount: Decimal, currency: &str, time_micros: i64) -> Option<Amount> {
        let exact = Ratio::of(amount, 1)?.times(self.exchange.exact(currency, &self.currency, time_micros)?)?;
        ratio::amount(exact.numerator, exact.denominator).ok()
    }

    /// The other way round: an amount of the lake's currency in another, by the same rate.
    #[must_use]
    pub fn convert_back(&self, amount: Amount, currency: &str, time_micros: i64) -> Option<Amount> {
        let units = Ratio::new(amount.units(), Amount::from_decimal(Decimal::ONE).ok()?.units())?;
        let exact = units.times(self.exchange.exact(&self.currency, currency, time_micros)?)?;
        ratio::amount(exact.numerator, exact.denominator).ok()
    }

    /// The same as [`PriceBook::convert`] by the rate as a row keeps it ([`PriceBook::rate`]), and whether that is of more than a month before.
    #[must_use]
    pub fn convert_dated(&self, amount: Decimal, currency: &str, time_micros: i64) -> Option<(Amount, bool)> {
        let Rate { value: rate, is_old, .. } = self.rate(currency, time_micros)?;
        let exact = Ratio::of(amount, 1)?.times(Ratio::of(rate, 1)?)?;
        Some((ratio::amount(exact.numerator, exact.denominator).ok()?, is_old))
    }

    /// Finds the prices for a question. Does not depend on time or counts, so the answer can be kept per distinct question.
    ///
    /// # Errors
    /// When provider or model is not in the book.
    pub fn resolve(&self, question: &Question<'_>) -> Result<Plan, Unpriced> {
        let model = question.model.unwrap_or_default().trim();
        let provider = self.provider(question.provider, model)?;
        let spelled = |model: &str| spelling::spellings(model, &|head| self.catalog.provider(head).is_some());
        let mut notes = Notes::NONE;
        let mut spellings = spelled(model);
        let mut found = self.find(provider, &spellings);
        if let Some(theirs) = question.model_answered.map(spelled)
            && let Some(answer) = self.find(provider, &theirs)
            && goes_first(provider, model, found, answer)
        {
            found = Some(answer);
            // Where it runs is what the name that was sent says.
            spellings.all = theirs.all;
            spellings.regions.extend(theirs.regions);
            notes.insert(Note::ModelOfAnswer);
        }
        let (rows, suffix_dropped) =
            found.ok_or_else(|| Unpriced::UnknownModel { provider: provider.to_owned(), model: model.to_owned() })?;
        if suffix_dropped {
            notes.insert(Note::ModelSuffixDropped);
        }
        let (service_tier, price_tier) = self.tier(question.service_tier, rows, &mut notes);
        let owner = rows.first().map_or(provider, |row| &row.provider);
        let default = self.catalog.providers.get(provider).and_then(|provider| provider.default_region.as_deref());
        let other = self.catalog.providers.get(owner).and_then(|provider| provider.other_region.as_deref());
        let (region, price_region) = region(question.region, &spellings.regions, (default, other), rows, &mut notes);
        let model_id = rows.first().map_or(model, |row| &row.model).to_owned();
        let subject = Subject {
            organization: question.organization,
            billing_account: question.billing_account,
            provider,
            model: &model_id,
            service_tier: &service_tier,
            region: region.as_deref(),
        };
        let overrides: Vec<&Override> = self.overrides.iter().filter(|entry| entry.matches(&subject)).collect();
        let selection = Selection {
            name: &format!("{owner}/{model_id}"),
            tier: &price_tier,
            region: &price_region,
            free_meters: &self.catalog.free_meters,
            alike: &self.catalog.alike(owner, &model_id),
        };
        let currency = rows.first().map(|row| &row.currency);
        let wildcard = self.wildcard(owner).iter().filter(|row| Some(&row.currency) == currency);
        let all: Vec<&PriceRow> = rows.iter().chain(wildcard).collect();
        let segments = tariff::segments(&all, &overrides, &selection).ok_or(Unpriced::AmountTooLarge)?;
        let thinks = price_tier.is_empty() && rows.iter().any(|row| &*row.service_tier == THINKING);
        let thinking = thinks
            .then(|| tariff::segments(&all, &overrides, &Selection { tier: THINKING, ..selection }))
            .map(|segments| segments.ok_or(Unpriced::AmountTooLarge))
            .transpose()?;
        let pricing_inputs = inputs(question, &service_tier, region.as_deref());
        Ok(Plan {
            provider_id: provider.to_owned(),
            model_id,
            service_tier,
            region,
            notes,
            pricing_inputs,
            timetable: Timetable {
                segments,
                thinking,
                exchange: Arc::clone(&self.exchange),
                currency: Arc::clone(&self.currency),
            },
        })
    }

    /// The provider that was sent; where it is none of the book's, the one that the model names (`openai/gpt-4o`).
    fn provider(&self, sent: Option<&str>, model: &str) -> Result<&str, Unpriced> {
        let by_model = || model.split_once('/').and_then(|(head, _)| self.catalog.provider(head));
        match sent {
            None => by_model().ok_or(Unpriced::NoProvider),
            Some(name) => self
                .catalog
                .provider(name)
                .or_else(by_model)
                .ok_or_else(|| Unpriced::UnknownProvider { provider: name.to_owned() }),
        }
    }

    /// The rows of the first spelling that the provider, or one whose prices it shares, has a price for.
    fn find(&self, provider: &str, spellings: &Spellings) -> Option<(&[PriceRow], bool)> {
        let inherits = self.catalog.providers.get(provider).map_or(&[][..], |provider| &provider.inherits);
        let sources: Vec<_> = [provider]
            .into_iter()
            .chain(inherits.iter().map(String::as_str))
            .filter_map(|id| self.models.get(id))
            .collect();
        let exact_first =
            |dropped: bool| spellings.all.iter().filter(move |spelling| spelling.suffix_dropped == dropped);
        [false, true].into_iter().find_map(|dropped| {
            sources.iter().find_map(|models| {
                let range = exact_first(dropped).find_map(|spelling| models.get(&spelling.text))?;
                Some((&self.rows[range.clone()], dropped))
            })
        })
    }

    /// Refuses a service tier that nobody has prices for, where a person named it.
    ///
    /// # Errors
    /// The word, and those that there are.
    pub fn check_tier(&self, sent: Option<&str>) -> Result<(), String> {
        let word = self.catalog.tier(sent);
        let known: BTreeSet<&str> =
            self.rows.iter().map(|row| &*row.service_tier).filter(|tier| !tier.is_empty()).chain([STANDARD]).collect();
        if known.contains(&*word) {
            return Ok(());
        }
        let known: Vec<&str> = known.into_iter().collect();
        Err(format!(
            "service tier '{}' is not in the price book; it has {}",
            sent.unwrap_or_default(),
            known.join(", ")
        ))
    }

    /// Prices that a provider has for each of its models (`*`).
    fn wildcard(&self, provider: &str) -> &[PriceRow] {
        self.models.get(provider).and_then(|models| models.get("*")).map_or(&[], |range| &self.rows[range.clone()])
    }

    /// The word for the row and the tier to price by (empty for standard).
    fn tier(&self, sent: Option<&str>, rows: &[PriceRow], notes: &mut Notes) -> (String, String) {
        let word = self.catalog.tier(sent);
        if word == STANDARD {
            return (word, String::new());
        }
        if rows.iter().any(|row| *row.service_tier == *word) {
            return (word.clone(), word);
        }
        notes.insert(Note::TierAssumed);
        let known = self.words.contains(word.as_str());
        (if known { word } else { STANDARD.to_owned() }, String::new())
    }
}

/// The word for the row and the region to price by (empty for the default, that of all others where the model prices them).
fn region(
    sent: Option<&str>,
    named: &[String],
    (default, other): (Option<&str>, Option<&str>),
    rows: &[PriceRow],
    notes: &mut Notes,
) -> (Option<String>, String) {
    let sent = sent.map(|region| region.trim().to_lowercase().replace(' ', ""));
    let sent = sent.filter(|region| !region.is_empty() && region != "not_available");
    let candidates: Vec<&String> = named.iter().chain(&sent).collect();
    let priced = |region: &str| rows.iter().any(|row| *row.region == *region);
    if let Some(word) = candidates.iter().find(|region| priced(region)) {
        return (Some((*word).clone()), (*word).clone());
    }
    let first = candidates.first().map(|region| region.as_str());
    if let Some((word, other)) = first.zip(other.filter(|other| priced(other))) {
        return (Some(word.to_owned()), other.to_owned());
    }
    let is_default = default.is_some() && first.or(default) == default;
    if !is_default && rows.iter().any(|row| !row.region.is_empty()) {
        notes.insert(Note::RegionAssumed);
    }
    (first.map(str::to_owned), String::new())
}

/// Words that were sent and are not on the row as they came.
fn inputs(question: &Question<'_>, tier: &str, region: Option<&str>) -> Vec<(String, String)> {
    let mut inputs = Vec::new();
    let mut add = |name: &str, sent: Option<&str>, kept: Option<&str>| {
        if let Some(sent) = sent.filter(|sent| Some(*sent) != kept) {
            inputs.push((name.to_owned(), sent.to_owned()));
        }
    };
    add("region_sent", question.region, region);
    add("service_tier_sent", question.service_tier, Some(tier));
    inputs
}

/// Whether the model that answered is asked for before the one that was sent: where that is nobody's, is the name of a deployment, stands for
/// another model from time to time, or was found only by leaving a part of it out.
fn goes_first(
    provider: &str,
    model: &str,
    sent: Option<(&[PriceRow], bool)>,
    (answer, is_guess): (&[PriceRow], bool),
) -> bool {
    let Some((rows, is_cut)) = sent else { return true };
    let name = |rows: &[PriceRow]| rows.first().map(|row| row.model.clone());
    let moves = model.to_ascii_lowercase().ends_with("-latest");
    !is_guess && (is_cut || moves || provider.starts_with("azure")) && name(rows) != name(answer)
}
