//! One decoded call, on its way from a decoder into columns: borrowed where it can be, never stored as such.

use std::borrow::Cow;

use rust_decimal::Decimal;
use smallvec::SmallVec;

use crate::count::Counts;
use crate::dimension::Text;
use crate::note::{CostQuality, Notes};

/// Text values by column; `None` where the event has none.
#[derive(Clone, Debug)]
pub struct Texts<'a>([Option<Cow<'a, str>>; Text::COUNT]);

impl Default for Texts<'_> {
    fn default() -> Self {
        Self([const { None }; Text::COUNT])
    }
}

impl<'a> Texts<'a> {
    #[inline]
    #[must_use]
    pub fn get(&self, text: Text) -> Option<&str> {
        self.0[text as usize].as_deref()
    }

    /// Sets a value; an empty string counts as absent.
    pub fn set(&mut self, text: Text, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        self.0[text as usize] = (!value.is_empty()).then_some(value);
    }

    /// Sets a value if there is one and it is not empty; otherwise leaves what is there.
    pub fn set_if_some(&mut self, text: Text, value: Option<impl Into<Cow<'a, str>>>) {
        if let Some(value) = value.map(Into::into)
            && !value.is_empty()
        {
            self.0[text as usize] = Some(value);
        }
    }

    /// The same values, borrowed from here.
    #[must_use]
    pub fn borrowed(&self) -> Texts<'_> {
        Texts(std::array::from_fn(|at| self.0[at].as_deref().map(Cow::Borrowed)))
    }

    /// Every column with its value, in the order of [`Text::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Text, Option<&str>)> {
        Text::ALL.into_iter().zip(self.0.iter().map(Option::as_deref))
    }
}

/// What the producer thinks the call cost; kept beside our own figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedCost<'a> {
    pub amount: Decimal,
    /// ISO 4217, upper case.
    pub currency: Cow<'a, str>,
}

/// A named quantity that has no column: (price-book meter, amount > 0).
pub type Quantity<'a> = (Cow<'a, str>, Decimal);

/// One call as a decoder understood it. Counts are disjoint as [`crate::count`] says; provider, tier and region are as sent.
#[derive(Clone, Debug, Default)]
pub struct UsageRow<'a> {
    /// Microseconds since the epoch, UTC: when the call ended.
    pub time_micros: i64,
    pub texts: Texts<'a>,
    /// The model that the answer names, where that is another than [`Text::Model`]; priced by where the book does not know that.
    pub model_answered: Option<Cow<'a, str>>,
    pub tags: SmallVec<[(Cow<'a, str>, Cow<'a, str>); 4]>,
    pub latency_ms: Option<i64>,
    /// Answered from the app's own response cache: the provider charged nothing.
    pub cache_hit: Option<bool>,
    pub counts: Counts,
    /// Every other priced quantity and modality overlap, by price-book meter (`cache_read_audio`, `video_in`, `request`, …). Names are unique.
    pub quantities: SmallVec<[Quantity<'a>; 2]>,
    pub reported_cost: Option<ReportedCost<'a>>,
    /// Runs on capacity paid for otherwise (provisioned throughput, reserved, scale tier): costs 0, listed at on-demand.
    pub committed: bool,
    pub notes: Notes,
    pub quality: CostQuality,
}
