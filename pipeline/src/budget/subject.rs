//! Who asks, in the words that budgets are written in. In: a request and what the price book calls its provider and model; out: the
//! value of any dimension. Pure.

use chrono::{DateTime, Utc};
use spendstream_schemas::budget::{Scope, ScopeKey, ScopeValue};
use spendstream_schemas::decision::Request;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::Filled;

use super::holds::HoldId;

/// The value of a dimension as the request has it.
#[must_use]
pub fn sent<'a>(request: &'a Request<'_>, key: &ScopeKey) -> Option<&'a str> {
    match key {
        ScopeKey::Text(text) => request.texts.get(*text),
        ScopeKey::CostCenter => request.texts.get(Text::CostCenter),
        ScopeKey::Tag(name) => request.tag(name),
    }
}

/// A request as budgets, stops and rates see it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub request: &'a Request<'a>,
    /// The price book's id, or as sent where the book does not know it: what the lake's column `provider` says.
    pub provider: Option<&'a str>,
    /// The price book's id of the model, where it has one.
    pub model_id: Option<&'a str>,
    /// Service tier and region that it would be priced by, where the model is known: what the lake's columns will say.
    pub place: Option<(&'a str, Option<&'a str>)>,
    /// The user as the directory spells it, where it knows it.
    pub user: Option<&'a str>,
    /// Whose call it is, as the directory fills it in: what the lake's columns will say.
    pub owner: Filled<'a>,
    pub now: DateTime<Utc>,
}

impl<'a> Subject<'a> {
    /// The value of a dimension.
    #[must_use]
    pub fn value(&self, key: &ScopeKey) -> Option<&'a str> {
        match key {
            ScopeKey::Text(Text::ProviderSent) => self.provider,
            ScopeKey::Text(Text::Model) if self.model_id.is_some() => self.model_id,
            ScopeKey::Text(Text::Team) => self.owner.team,
            ScopeKey::Text(Text::Department) => self.owner.department,
            ScopeKey::CostCenter => self.owner.cost_center,
            ScopeKey::Text(Text::UserId) if self.user.is_some() => self.user,
            ScopeKey::Text(Text::ServiceTier) if self.place.is_some() => self.place.map(|(tier, _)| tier),
            ScopeKey::Text(Text::Region) if self.place.is_some() => self.place.and_then(|(_, region)| region),
            key => sent(self.request, key),
        }
    }

    /// A text of it for the table `decisions`, by the lake's column.
    #[must_use]
    pub fn text(&self, text: Text) -> Option<&'a str> {
        match text {
            Text::Team => self.owner.team,
            Text::Department => self.owner.department,
            Text::CostCenter => self.owner.cost_center,
            text => self.request.texts.get(text),
        }
    }

    /// Whether a scope covers it: each named value is equal, each "one per value" is present.
    #[must_use]
    pub fn is_within(&self, scope: &Scope) -> bool {
        scope.iter().all(|(key, wanted)| match (wanted, self.value(key)) {
            (ScopeValue::Is(wanted), Some(value)) => {
                // A model is also known by the name that was sent.
                wanted == value
                    || (*key == ScopeKey::Text(Text::Model) && sent(self.request, key) == Some(wanted.as_str()))
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

    /// The hold of the run that the call is a part of, should there be one.
    #[must_use]
    pub fn run_id(&self) -> Option<HoldId> {
        let text = |text| self.request.texts.get(text);
        let run = text(Text::RunId).filter(|_| !self.request.is_run())?;
        Some(HoldId::of(text(Text::Organization), text(Text::EventSource), run))
    }
}
