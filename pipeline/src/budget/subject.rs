//! Who asks, in the words that budgets are written in. In: a request and what the price book calls its provider and model; out: the
//! value of any dimension. Pure.

use chrono::{DateTime, Utc};
use spendstream_schemas::budget::{Scope, ScopeKey, ScopeValue};
use spendstream_schemas::decision::Request;
use spendstream_schemas::dimension::Text;

use super::holds::HoldId;

/// A request as budgets, stops and rates see it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub request: &'a Request<'a>,
    /// The price book's id, or as sent where the book does not know it: what the lake's column `provider` says.
    pub provider: Option<&'a str>,
    /// The price book's id of the model, where it has one.
    pub model_id: Option<&'a str>,
    pub now: DateTime<Utc>,
}

impl<'a> Subject<'a> {
    /// The value of a dimension.
    #[must_use]
    pub fn value(&self, key: &ScopeKey) -> Option<&'a str> {
        match key {
            ScopeKey::Text(Text::ProviderSent) => self.provider,
            ScopeKey::Text(text) => self.request.texts.get(*text),
            ScopeKey::CostCenter => self.request.texts.get(Text::CostCenter),
            ScopeKey::Tag(name) => self.request.tag(name),
        }
    }

    /// Whether a scope covers it: each named value is equal, each "one per value" is present.
    #[must_use]
    pub fn is_within(&self, scope: &Scope) -> bool {
        scope.iter().all(|(key, wanted)| match (wanted, self.value(key)) {
            (ScopeValue::Is(wanted), Some(value)) => {
                wanted == value || (*key == ScopeKey::Text(Text::Model) && self.model_id == Some(wanted.as_str()))
            }
            (ScopeValue::Each, value) => value.is_some(),
            (ScopeValue::Is(_), None) => false,
        })
    }

    /// Whose hold its estimate is; `None` for a request without an id, which cannot be held.
    #[must_use]
    pub fn hold_id(&self) -> Option<HoldId> {
        let text = |text| self.request.texts.get(text);
        Some(HoldId::of(text(Text::Organization), text(Text::EventSource), text(Text::EventId)?))
    }
}
