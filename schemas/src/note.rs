//! What had to be assumed about a row, as a small set; the column `price_notes` is its list of names.

/// An assumption or shortcoming worth telling whoever reads the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Note {
    /// The event named no region (or one the book has no price for); the book's default was used.
    RegionAssumed,
    /// Another tier's price was used: the event named a service tier the book does not know, or one (or a region) that has no
    /// price for a prompt of that size.
    TierAssumed,
    /// This emitter never sends cached counts, so the cost is an upper bound.
    CacheUnknown,
    /// The row stands for many calls.
    Aggregate,
    /// The cache lifetime was not sent; the default lifetime was used.
    CacheTtlAssumed,
    /// A specific meter has no price of its own and was charged as its parent (reasoning as output, …).
    MeterFallback,
    /// The model was matched by dropping a date or version suffix.
    ModelSuffixDropped,
    /// The emitter reported input without its cached part although its convention says otherwise; it was corrected.
    InputConventionCorrected,
    /// The counts come from a stream that ended early.
    StreamAborted,
    /// The answer came from the application's own response cache: the provider charged nothing.
    ResponseCacheHit,
    /// The call failed without any counted token.
    NoUsage,
    /// The emitter's own total is more than the parts it named, or it names a count that nobody knows: those tokens are not in the cost.
    TokensUnexplained,
    /// The model charges a request by how much of the web it may read, and the event does not say how much.
    SearchSizeAssumed,
    /// The amount was converted with a rate of more than a month before the call.
    ExchangeRateOld,
    /// The book does not know the model that was sent (the name of a deployment); the one that the answer names was used.
    ModelOfAnswer,
    /// The model thought, and its provider charges an answer with thinking by prices of its own.
    ThinkingPrice,
    /// A gateway passed the call on with the caller's own key: the provider bills it, at the gateway's price or another.
    BilledUpstream,
    /// A session that serves several calls was charged to this one; another call may have paid for it already.
    SessionAssumed,
    /// How many of the cached tokens were sound or pictures was not sent; the sums allow a range.
    CachedPartsAssumed,
}

impl Note {
    pub const ALL: [Note; 19] = [
        Note::RegionAssumed,
        Note::TierAssumed,
        Note::CacheUnknown,
        Note::Aggregate,
        Note::CacheTtlAssumed,
        Note::MeterFallback,
        Note::ModelSuffixDropped,
        Note::InputConventionCorrected,
        Note::StreamAborted,
        Note::ResponseCacheHit,
        Note::NoUsage,
        Note::TokensUnexplained,
        Note::SearchSizeAssumed,
        Note::ExchangeRateOld,
        Note::ModelOfAnswer,
        Note::ThinkingPrice,
        Note::BilledUpstream,
        Note::SessionAssumed,
        Note::CachedPartsAssumed,
    ];

    /// The word in `price_notes`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Note::RegionAssumed => "region_assumed",
            Note::TierAssumed => "tier_assumed",
            Note::CacheUnknown => "cache_unknown",
            Note::Aggregate => "aggregate",
            Note::CacheTtlAssumed => "cache_ttl_assumed",
            Note::MeterFallback => "meter_fallback",
            Note::ModelSuffixDropped => "model_suffix_dropped",
            Note::InputConventionCorrected => "input_convention_corrected",
            Note::StreamAborted => "stream_aborted",
            Note::ResponseCacheHit => "response_cache_hit",
            Note::NoUsage => "no_usage",
            Note::TokensUnexplained => "tokens_unexplained",
            Note::SearchSizeAssumed => "search_size_assumed",
            Note::ExchangeRateOld => "exchange_rate_old",
            Note::ModelOfAnswer => "model_of_answer",
            Note::ThinkingPrice => "thinking_price",
            Note::BilledUpstream => "billed_upstream",
            Note::SessionAssumed => "session_assumed",
            Note::CachedPartsAssumed => "cached_parts_assumed",
        }
    }

    /// The note of a word in `price_notes`; `None` for one of a newer version.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|note| note.name() == name)
    }
}

/// A set of [`Note`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notes(u32);

impl Notes {
    pub const NONE: Notes = Notes(0);

    pub fn insert(&mut self, note: Note) {
        self.0 |= 1 << note as u8;
    }

    #[must_use]
    pub fn with(mut self, note: Note) -> Self {
        self.insert(note);
        self
    }

    #[must_use]
    pub fn union(self, other: Notes) -> Self {
        Notes(self.0 | other.0)
    }

    /// The set without some notes.
    #[must_use]
    pub fn without(self, notes: &[Note]) -> Self {
        Notes(notes.iter().fold(self.0, |set, note| set & !(1 << *note as u8)))
    }

    /// Whether any of some notes is in the set.
    #[must_use]
    pub fn has_any(self, notes: &[Note]) -> bool {
        notes.iter().any(|note| self.contains(*note))
    }

    #[must_use]
    pub fn contains(self, note: Note) -> bool {
        self.0 & (1 << note as u8) != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many notes are in the set.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The notes in the set, in the order of [`Note::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Note> {
        Note::ALL.into_iter().filter(move |note| self.contains(*note))
    }
}

/// The column `cost_quality`: how far the cost can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CostQuality {
    /// Counted by the provider and priced by a published price.
    #[default]
    Exact,
    /// The true cost is at most this (for example cached counts are not sent).
    UpperBound,
    /// Counts or price had to be estimated.
    Estimated,
}

impl CostQuality {
    /// The word in `cost_quality`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CostQuality::Exact => "exact",
            CostQuality::UpperBound => "upper_bound",
            CostQuality::Estimated => "estimated",
        }
    }

    /// The quality of a word in `cost_quality`; a word of a newer version is not to be trusted more than an estimate.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        [CostQuality::Exact, CostQuality::UpperBound]
            .into_iter()
            .find(|quality| quality.name() == name)
            .unwrap_or(CostQuality::Estimated)
    }
}
