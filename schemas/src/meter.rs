//! The vocabulary of meters: what a price book can price and an event can count. Names only, no figures.
//!
//! A meter is one billed quantity of one call. Counted columns ([`crate::count`]) have a meter each; every other meter is
//! counted in `quantities` under its own name. Names here are the column `meter` of a price book and the keys of
//! `quantities`; another spelling is brought to them by [`canonical`].

/// Tokens of text (or of any modality that has no price of its own).
pub const INPUT: &str = "input";
pub const OUTPUT: &str = "output";
pub const CACHE_READ: &str = "cache_read";
/// Cache writes with the provider's default lifetime (Anthropic: 5 minutes, OpenAI: 30 minutes).
pub const CACHE_WRITE: &str = "cache_write";
pub const CACHE_WRITE_1H: &str = "cache_write_1h";
/// Tokens written to a 12 hour cache: a part of `cache_write`.
pub const CACHE_WRITE_12H: &str = "cache_write_12h";
pub const REASONING: &str = "reasoning";
pub const AUDIO_IN: &str = "audio_in";
pub const AUDIO_OUT: &str = "audio_out";
pub const IMAGE_IN: &str = "image_in";
pub const IMAGE_OUT: &str = "image_out";
pub const VIDEO_IN: &str = "video_in";
pub const VIDEO_OUT: &str = "video_out";
/// Tokens that are a part of both the cached and the audio (image, video) input.
pub const CACHE_READ_AUDIO: &str = "cache_read_audio";
pub const CACHE_READ_IMAGE: &str = "cache_read_image";
pub const CACHE_READ_VIDEO: &str = "cache_read_video";
pub const CACHE_WRITE_AUDIO: &str = "cache_write_audio";
pub const CACHE_WRITE_IMAGE: &str = "cache_write_image";
pub const WEB_SEARCH: &str = "web_search";
pub const FILE_SEARCH: &str = "file_search";
/// One call. Counted as 1 where an event with any usage does not say otherwise.
pub const REQUEST: &str = "request";
