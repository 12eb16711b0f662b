//! Which values are asked for. In: dimensions with a value each, as somebody wrote them; out: whether a budget, a cell or an alert has them, by any
//! name that the price book has for a provider or a model and in any spelling of the others. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use spendstream_schemas::budget::scope::kept;
use spendstream_schemas::budget::{Budget, ScopeKey, ScopeValue};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::{Spellings, normal};
use spendstream_schemas::price_book::PriceBook;

use super::standing::known;

const PROVIDER: ScopeKey = ScopeKey::Text(Text::ProviderSent);

/// See the module.
#[derive(Clone)]
pub struct Wanted {
    pairs: Vec<(ScopeKey, String)>,
    book: Arc<PriceBook>,
    spellings: Arc<Spellings>,
}

impl Wanted {
    #[must_use]
    pub fn new(pairs: Vec<(ScopeKey, String)>, book: Arc<PriceBook>, spellings: Arc<Spellings>) -> Self {
        // Of a key its hash is known.
        let hashed = |(key, value): (ScopeKey, String)| {
            let value = kept(&key, &value).map_or_else(|| value.clone(), Cow::into_owned);
            (key, value)
        };
        Self { pairs: pairs.into_iter().map(hashed).collect(), book, spellings }
    }

    /// Whether what has these values has those that are asked for.
    pub fn takes<'v>(&self, value_of: impl Fn(&ScopeKey) -> Option<&'v str>) -> bool {
        let asked = || self.pairs.iter().find(|(key, _)| *key == PROVIDER).map(|(_, provider)| provider.as_str());
        let provider = value_of(&PROVIDER).filter(|provider| *provider != "*").or_else(asked);
        self.pairs.iter().all(|(key, wanted)| {
            value_of(key).is_some_and(|value| value == wanted || self.is_same(key, provider, (value, wanted.as_str())))
        })
    }

    /// The same of a budget: what its scope names.
    #[must_use]
    pub fn takes_budget(&self, budget: &Budget) -> bool {
        self.takes(|key| budget.scope.iter().find(|(named, _)| *named == key).map(|(_, value)| written(value)))
    }

    fn is_same(&self, key: &ScopeKey, provider: Option<&str>, (value, wanted): (&str, &str)) -> bool {
        let spell = |text: &str| {
            let known = known((key, text), provider, &self.book, &self.spellings);
            normal(key, known.as_deref().unwrap_or(text))
        };
        spell(value) == spell(wanted)
    }
}

/// A value of a scope as a filter writes it.
#[must_use]
pub fn written(value: &ScopeValue) -> &str {
    match value {
        ScopeValue::Is(value) => value,
        ScopeValue::Each => "*",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spendstream_schemas::budget::ResolvedScope;
    use spendstream_schemas::price_book::PriceBook;

    use super::Wanted;

    fn takes(wanted: &[(&str, &str)], there: &[(&str, &str)]) -> bool {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
            pairs.iter().map(|(key, value)| (key.parse().unwrap(), (*value).to_owned())).collect()
        };
        let scope = ResolvedScope::new(pairs(there).into_iter().map(|(key, value)| (key, Some(value))));
        let wanted = Wanted::new(pairs(wanted), PriceBook::builtin().unwrap(), Arc::default());
        wanted.takes(|key| scope.get(key))
    }

    #[test]
    fn any_name_and_spelling_will_do() {
        for (wanted, there, expected) in [
            (("provider", "aws"), ("provider", "aws_bedrock"), true),
            (("provider", "AWS Bedrock"), ("provider", "aws"), true),
            (("provider", "openai"), ("provider", "aws"), false),
            (("model", "claude-sonnet-4-5-20250929"), ("model", "claude-sonnet-4-5"), true),
            (("model", "home-grown"), ("model", "Home-Grown"), true),
            (("team", "sea_rch"), ("team", "Sea Rch"), true),
            (("team", "search"), ("team", "sea-rch"), false),
            (("team", "search"), ("team", "*"), false),
            (("team", "*"), ("team", "*"), true),
            (("team", "*"), ("team", "search"), false),
            (("team", "search"), ("user", "search"), false),
            (
                ("api_key_id", "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56"),
                ("api_key_id", "sha256:d3164adaa22dcba8"),
                true,
            ),
        ] {
            assert_eq!(takes(&[wanted], &[there]), expected, "{wanted:?} {there:?}");
        }
        // A model has another id at each provider.
        let there = [("provider", "aws_bedrock"), ("model", "anthropic.claude-sonnet-4-5-20250929")];
        let model = ("model", "anthropic.claude-sonnet-4-5-20250929-v1:0");
        assert!(takes(&[("provider", "bedrock"), model], &there));
        assert!(takes(&[model], &there));
        assert!(!takes(&[("provider", "anthropic"), model], &there));
        assert!(takes(&[], &there));
    }
}
