//! The vocabulary of meters: what a price book can price and an event can count. Names only, no figures.
//!
//! A meter is one billed quantity of one call. Counted columns ([`crate::count`]) have a meter each; every other meter is
//! counted in `quantities` under its own name. Names here are the column `meter` of a price book and the keys of
//! `quantities`. Token meters are parts of one another ([`Token::parent`]); all other meters stand alone.

/// Web searches; counted in the column `web_searches`.
pub const WEB_SEARCH: &str = "web_search";
/// One call. Counted as 1 where an event with any usage does not say otherwise.
pub const REQUEST: &str = "request";
pub const GOOGLE_MAPS_GROUNDING: &str = "google_maps_grounding";
pub const FILE_SEARCH: &str = "file_search";
pub const CODE_INTERPRETER_SESSION: &str = "code_interpreter_session";
/// Seconds of audio, whatever the direction.
pub const AUDIO_SECOND: &str = "audio_second";

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident, $text:literal, $parent:ident;)*) => {
        /// A meter that counts tokens.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Token { $($(#[$doc])* $name,)* }

        impl Token {
            pub const ALL: [Token; [$(Token::$name),*].len()] = [$(Token::$name),*];
            pub const COUNT: usize = Self::ALL.len();

            /// The word in price books and `quantities`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Token::$name => $text,)* }
            }

            /// The meter whose price applies where this one has none; itself for `input` and `output`.
            #[must_use]
            pub const fn parent(self) -> Token {
                match self { $(Token::$name => Token::$parent,)* }
            }
        }
    };
}

// A parent stands before its children, so that prices can be inherited in one pass.
tokens! {
    /// Text (and whatever has no price of its own) that was not cached.
    Input, "input", Input;
    Output, "output", Output;
    CacheRead, "cache_read", Input;
    /// Cache writes with the provider's default lifetime (Anthropic: 5 minutes, OpenAI: 30 minutes).
    CacheWrite, "cache_write", Input;
    CacheWrite1h, "cache_write_1h", CacheWrite;
    /// Of the cache writes, those with a lifetime of 12 hours.
    CacheWrite12h, "cache_write_12h", CacheWrite;
    Reasoning, "reasoning", Output;
    AudioIn, "audio_in", Input;
    AudioOut, "audio_out", Output;
    ImageIn, "image_in", Input;
    ImageOut, "image_out", Output;
    VideoIn, "video_in", Input;
    VideoOut, "video_out", Output;
    /// Both cached and audio: a part of `cache_read_tokens` and of `audio_input_tokens`. The four below likewise.
    CacheReadAudio, "cache_read_audio", CacheRead;
    CacheReadImage, "cache_read_image", CacheRead;
    CacheReadVideo, "cache_read_video", CacheRead;
    CacheWriteAudio, "cache_write_audio", CacheWrite;
    CacheWriteImage, "cache_write_image", CacheWrite;
}

impl Token {
    /// The token meter of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Token> {
        Token::ALL.into_iter().find(|token| token.name() == name)
    }
}

/// Meters that are not tokens, in the order of `docs`: everything a price book may name besides [`Token`].
pub const OTHERS: [&str; 30] = [
    WEB_SEARCH,
    // Where the search's context size changes its price: small and large; `web_search` is the medium one.
    "web_search_low",
    "web_search_high",
    REQUEST,
    FILE_SEARCH,
    CODE_INTERPRETER_SESSION,
    "web_fetch",
    "google_maps_grounding",
    "query",
    "citation",
    "text_message",
    "document_page",
    "annotated_document_page",
    AUDIO_SECOND,
    "audio_in_second",
    "audio_out_second",
    "video_in_second",
    "video_out_second",
    "input_second",
    "output_second",
    "input_char",
    "output_char",
    "image_in_each",
    "image_out_each",
    "input_pixel",
    "output_pixel",
    "cache_storage_token_hour",
    "code_execution_hour",
    "session",
    "provisioned_hour",
];

/// Names that older emitters and price lists use for a plain name of a usage object.
pub const PLAIN_ALIASES: [(&str, &str); 12] = [
    ("cache_read", "cache_read_tokens"),
    ("cache_write", "cache_write_tokens"),
    ("cache_write_5m", "cache_write_tokens"),
    ("cache_write_5m_tokens", "cache_write_tokens"),
    ("cache_write_1h", "cache_write_1h_tokens"),
    ("audio_in", "audio_input_tokens"),
    ("image_in", "image_input_tokens"),
    ("reasoning", "reasoning_tokens"),
    ("audio_out", "audio_output_tokens"),
    ("web_search", "web_searches"),
    ("requests", "request"),
    // Mistral's `usage_info` of a scanned document.
    ("pages_processed", "document_page"),
];

/// True for a word of the vocabulary.
#[must_use]
pub fn is_known(name: &str) -> bool {
    Token::from_name(name).is_some() || OTHERS.contains(&name)
}

/// The meters that a quantity's name can mean, in the order in which a model's price is looked for; empty: only itself.
///
/// Producers say `seconds` or `images`; price lists say seconds of what. A model is priced by one of them.
#[must_use]
pub fn alternatives(name: &str) -> &'static [&'static str] {
    match name {
        "requests" => &[REQUEST],
        "web_searches" | "web_search_requests" => &[WEB_SEARCH],
        "file_searches" => &[FILE_SEARCH],
        "queries" => &["query"],
        "searches" => &[WEB_SEARCH, "query", FILE_SEARCH],
        "pages" => &["document_page"],
        "characters" | "chars" => &["input_char", "output_char"],
        "seconds" => &[AUDIO_SECOND, "audio_in_second", "input_second", "output_second", "video_in_second"],
        AUDIO_SECOND | "audio_seconds" => &[AUDIO_SECOND, "audio_in_second", "input_second", "output_second"],
        "audio_in_second" => &["audio_in_second", AUDIO_SECOND, "input_second"],
        "input_second" => &["input_second", "audio_in_second", AUDIO_SECOND],
        "images" => &["image_out_each", "image_in_each"],
        "input_images" => &["image_in_each"],
        "output_images" => &["image_out_each"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::{OTHERS, Token, alternatives, is_known};

    #[test]
    fn a_parent_stands_before_its_children() {
        for token in Token::ALL {
            assert!(token.parent() <= token, "{token:?}");
            assert_eq!(Token::from_name(token.name()), Some(token));
        }
    }

    #[test]
    fn every_alternative_is_a_meter() {
        for name in ["requests", "seconds", "images", "pages", "characters", "searches", "audio_in_second"] {
            assert!(!alternatives(name).is_empty(), "{name}");
            assert!(alternatives(name).iter().all(|meter| is_known(meter)), "{name}");
        }
        assert!(OTHERS.iter().all(|meter| Token::from_name(meter).is_none()));
    }
}
