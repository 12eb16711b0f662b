//! The counted columns of a usage event, and the invariant that makes them payable: a token is counted once.
//!
//! `input = uncached + cache_read + cache_write + cache_write_1h` always holds. Audio and image input are parts of the
//! input (and may overlap its cached part; the overlap is then a quantity such as `cache_read_audio`); reasoning and
//! audio output are parts of the output.

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident, $column:literal;)*) => {
        /// A count column (bigint) of the table `usage`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Count { $($(#[$doc])* $name,)* }

        impl Count {
            /// Every count, in the order of the lake's schema.
            pub const ALL: [Count; [$(Count::$name),*].len()] = [$(Count::$name),*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The column's name in the table `usage`; plain usage names in events are the same.
            #[must_use]
            pub const fn column(self) -> &'static str {
                match self { $(Count::$name => $column,)* }
            }
        }
    };
}

counts! {
    /// All input tokens, cached ones included.
    Input, "input_tokens";
    /// Input − cache reads − cache writes.
    UncachedInput, "uncached_input_tokens";
    CacheRead, "cache_read_tokens";
    /// Cache writes with the provider's default (5 minute) lifetime.
    CacheWrite, "cache_write_tokens";
    /// Cache writes with a lifetime of one hour.
    CacheWrite1h, "cache_write_1h_tokens";
    AudioInput, "audio_input_tokens";
    ImageInput, "image_input_tokens";
    /// All output tokens, reasoning and audio included.
    Output, "output_tokens";
    Reasoning, "reasoning_tokens";
    AudioOutput, "audio_output_tokens";
    WebSearches, "web_searches";
}

/// One value per [`Count`]; zero where the event says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([i64; Count::COUNT]);

impl Counts {
    /// The values in the order of [`Count::ALL`].
    #[must_use]
    pub fn from_array(values: [i64; Count::COUNT]) -> Self {
        Self(values)
    }

    /// The values in the order of [`Count::ALL`].
    #[inline]
    #[must_use]
    pub fn as_array(&self) -> &[i64; Count::COUNT] {
        &self.0
    }

    #[inline]
    #[must_use]
    pub fn get(&self, count: Count) -> i64 {
        self.0[count as usize]
    }

    #[inline]
    pub fn set(&mut self, count: Count, value: i64) {
        self.0[count as usize] = value;
    }

    /// True when nothing was counted at all.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|value| *value == 0)
    }
}
