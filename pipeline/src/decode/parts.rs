//! What a usage body counted, before it is believed: [`Parts`] in, disjoint [`Counts`] and quantities out, or the reason why not.
//!
//! A token is paid once: parts that overlap (an audio token that was also read from the cache) are named as overlaps, and
//! a body whose parts cannot all be true is refused. Nothing is ever clamped.

use std::borrow::Cow;

use rust_decimal::Decimal;
use smallvec::SmallVec;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::meter::Token;
use spendstream_schemas::note::{CostQuality, Note, Notes};
use spendstream_schemas::usage_event::Quantity;

use super::reject::{Fault, Reason};

/// Counts as a provider's shape was read: totals include their parts. `None` in a total: the body does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parts<'a> {
    /// All input, cache reads and writes included.
    pub input: Option<i64>,
    /// All output, reasoning included.
    pub output: Option<i64>,
    pub cache_read: i64,
    /// Writes with the default lifetime, 12 hour ones included.
    pub cache_write: i64,
    pub cache_write_1h: i64,
    /// Of `cache_write`.
    pub cache_write_12h: i64,
    pub audio_in: i64,
    pub image_in: i64,
    pub video_in: i64,
    /// Cached tokens by modality: audio, image, video. `None`: not told.
    pub cached: Option<[i64; 3]>,
    pub reasoning: i64,
    pub audio_out: i64,
    pub image_out: i64,
    pub video_out: i64,
    pub web_searches: i64,
    /// The provider's own sum of input and output, where it sends one.
    pub total: Option<i64>,
    /// Everything else, by meter.
    pub quantities: SmallVec<[Quantity<'a>; 2]>,
}

/// What passed the checks.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    pub counts: Counts,
    pub quantities: SmallVec<[Quantity<'a>; 2]>,
    pub notes: Notes,
    pub quality: CostQuality,
}

fn exceeds(detail: String) -> Fault {
    Fault::new(Reason::PartExceedsTotal, detail)
}

/// Cache writes with the default lifetime: what a split by lifetime leaves of all writes belongs to it.
///
/// # Errors
/// [`Reason::PartExceedsTotal`] when the split is more than the whole.
pub(super) fn default_writes(all: Option<i64>, short: i64, one_hour: i64) -> Result<i64, Fault> {
    let Some(all) = all else { return Ok(short) };
    if sum([short, one_hour])? > all {
        return Err(exceeds(format!(
            "5 min cache writes {short} + 1 h cache writes {one_hour} exceed cache writes {all}"
        )));
    }
    Ok(all - one_hour)
}

impl<'a> Parts<'a> {
    /// Adds a quantity; zero is the same as absent, a repeated name is summed.
    pub fn add_quantity(&mut self, meter: impl Into<Cow<'a, str>>, amount: Decimal) {
        if amount.is_zero() {
            return;
        }
        let meter = meter.into();
        match self.quantities.iter_mut().find(|(name, _)| *name == meter) {
            Some((_, sum)) => *sum += amount,
            None => self.quantities.push((meter, amount)),
        }
    }

    pub fn add_tokens(&mut self, token: Token, amount: i64) {
        self.add_quantity(token.name(), Decimal::from(amount));
    }

    /// A copy that borrows from nothing.
    pub fn into_owned<'o>(self) -> Parts<'o> {
        let quantities =
            self.quantities.into_iter().map(|(meter, amount)| (Cow::Owned(meter.into_owned()), amount)).collect();
        Parts { quantities, ..Parts { quantities: SmallVec::new(), ..self } }
    }

    /// True when the body said nothing that can be counted.
    pub fn says_nothing(&self) -> bool {
        self.input.is_none() && self.output.is_none() && self.quantities.is_empty() && self.web_searches == 0
    }

    /// Checks the invariants and brings the parts to columns.
    ///
    /// # Errors
    /// [`Reason::PartExceedsTotal`] when the parts cannot all be true, [`Reason::NegativeCount`] when one came out below zero.
    pub fn check(mut self) -> Result<Checked<'a>, Fault> {
        self.check_signs()?;
        let input = self.input.unwrap_or(0);
        let output = self.output.unwrap_or(0);
        let uncached = self.check_input(input)?;
        self.check_output(output)?;
        let (mut notes, mut quality) = (Notes::NONE, CostQuality::Exact);
        if let Some(total) = self.total {
            let sum = sum([input, output])?;
            if sum > total {
                return Err(exceeds(format!("input {input} + output {output} exceed the body's own total {total}")));
            }
            // The provider counted tokens that no field names.
            if sum < total {
                notes.insert(Note::TokensUnexplained);
                quality = CostQuality::Estimated;
            }
        }
        let overlaps = self.overlaps(uncached)?;
        if overlaps != CostQuality::Exact {
            notes.insert(Note::CachedPartsAssumed);
        }
        quality = quality.max(overlaps);
        self.named_parts();
        let mut counts = Counts::default();
        for (count, value) in [
            (Count::Input, input),
            (Count::UncachedInput, uncached),
            (Count::CacheRead, self.cache_read),
            (Count::CacheWrite, self.cache_write),
            (Count::CacheWrite1h, self.cache_write_1h),
            (Count::AudioInput, self.audio_in),
            (Count::ImageInput, self.image_in),
            (Count::Output, output),
            (Count::Reasoning, self.reasoning),
            (Count::AudioOutput, self.audio_out),
            (Count::WebSearches, self.web_searches),
        ] {
            counts.set(count, value);
        }
        Ok(Checked { counts, quantities: self.quantities, notes, quality })
    }

    /// Says that a count is larger than `most`; parts are no larger than what they are of.
    ///
    /// # Errors
    /// [`Reason::WrongType`], with the first such count.
    pub fn within(&self, most: i64) -> Result<(), Fault> {
        let counts = [
            ("input_tokens", self.input.unwrap_or(0)),
            ("output_tokens", self.output.unwrap_or(0)),
            ("web_searches", self.web_searches),
        ];
        match counts.into_iter().find(|(_, value)| *value > most) {
            Some((name, value)) => {
                let detail = format!("'{name}' is {value}, more than decode.max_count = {most}");
                Err(Fault::new(Reason::WrongType, detail))
            }
            None => Ok(()),
        }
    }

    /// Shapes subtract; what comes out below zero was never true.
    fn check_signs(&self) -> Result<(), Fault> {
        for (name, value) in [
            ("input_tokens", self.input.unwrap_or(0)),
            ("output_tokens", self.output.unwrap_or(0)),
            ("cache_read_tokens", self.cache_read),
            ("cache_write_tokens", self.cache_write),
            ("cache_write_1h_tokens", self.cache_write_1h),
            ("reasoning_tokens", self.reasoning),
        ] {
            if value < 0 {
                let detail =
                    format!("'{name}' comes to {value} after its parts were taken out; the body contradicts itself");
                return Err(Fault::new(Reason::NegativeCount, detail));
            }
        }
        Ok(())
    }

    fn check_input(&self, input: i64) -> Result<i64, Fault> {
        let Self { cache_read: read, cache_write: write, cache_write_1h: write_1h, cache_write_12h: write_12h, .. } =
            self;
        let cached = sum([*read, *write, *write_1h])?;
        if cached > input {
            return Err(exceeds(format!(
                "cache reads {read} + cache writes {write} + 1 h cache writes {write_1h} exceed input_tokens {input}"
            )));
        }
        if *write_12h > *write {
            return Err(exceeds(format!("12 h cache writes {write_12h} exceed cache writes {write}")));
        }
        let (audio, image, video) = (self.audio_in, self.image_in, self.video_in);
        if sum([audio, image, video])? > input {
            return Err(exceeds(format!(
                "audio {audio} + image {image} + video {video} input exceed input_tokens {input}"
            )));
        }
        Ok(input - cached)
    }

    fn check_output(&self, output: i64) -> Result<(), Fault> {
        let Self { reasoning, audio_out: audio, image_out: image, video_out: video, .. } = self;
        if sum([*reasoning, *audio, *image, *video])? > output {
            return Err(exceeds(format!(
                "reasoning {reasoning} + audio {audio} + image {image} + video {video} output exceed output_tokens {output}"
            )));
        }
        Ok(())
    }

    /// Names the tokens that are both cached and of a modality. What the body does not tell, but its sums require, is estimated.
    fn overlaps(&mut self, uncached: i64) -> Result<CostQuality, Fault> {
        let modal = [self.audio_in, self.image_in, self.video_in];
        let all: i64 = modal.iter().sum();
        let mut quality = CostQuality::Exact;
        let cached = match self.cached {
            Some(cached) => {
                let known: i64 = sum(cached)?;
                if cached.iter().zip(modal).any(|(part, whole)| *part > whole) || known > self.cache_read {
                    let read = self.cache_read;
                    return Err(exceeds(format!(
                        "cached audio, image, video {cached:?} exceed input {modal:?} or cache reads {read}"
                    )));
                }
                if all - known > uncached + self.cache_write + self.cache_write_1h {
                    return Err(exceeds(format!(
                        "audio, image, video input {modal:?} without the cached {cached:?} exceed the uncached input {uncached}"
                    )));
                }
                cached
            }
            // More tokens of a modality than uncached ones: the rest must have been cached.
            None if all > uncached => {
                quality = CostQuality::Estimated;
                let mut rest = (all - uncached).min(self.cache_read);
                modal.map(|part| {
                    let share = part.min(rest);
                    rest -= share;
                    share
                })
            }
            None => return Ok(quality),
        };
        for (token, amount) in
            [Token::CacheReadAudio, Token::CacheReadImage, Token::CacheReadVideo].into_iter().zip(cached)
        {
            self.add_tokens(token, amount);
        }
        Ok(quality)
    }

    /// Parts that have no column.
    fn named_parts(&mut self) {
        for (token, amount) in [
            (Token::CacheWrite12h, self.cache_write_12h),
            (Token::VideoIn, self.video_in),
            (Token::ImageOut, self.image_out),
            (Token::VideoOut, self.video_out),
        ] {
            self.add_tokens(token, amount);
        }
    }
}

fn sum<const N: usize>(values: [i64; N]) -> Result<i64, Fault> {
    let sum = values.iter().try_fold(0_i64, |sum, value| sum.checked_add(*value));
    sum.ok_or_else(|| Fault::wrong_type("usage", "counts whose sum is beyond 2^63", "the counts of one call"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(parts: Parts<'_>) -> String {
        let fault = parts.check().unwrap_err();
        assert_eq!(fault.reason, Reason::PartExceedsTotal);
        fault.detail
    }

    #[test]
    fn parts_that_cannot_be_true_are_refused() {
        let base = Parts { input: Some(10), output: Some(5), ..Parts::default() };
        assert_eq!(
            refused(Parts { cache_read: 8, cache_write: 3, ..base.clone() }),
            "cache reads 8 + cache writes 3 + 1 h cache writes 0 exceed input_tokens 10"
        );
        assert_eq!(
            refused(Parts { reasoning: 4, audio_out: 2, ..base.clone() }),
            "reasoning 4 + audio 2 + image 0 + video 0 output exceed output_tokens 5"
        );
        assert_eq!(
            refused(Parts { total: Some(14), ..base.clone() }),
            "input 10 + output 5 exceed the body's own total 14"
        );
        assert_eq!(
            refused(Parts { audio_in: 11, ..base.clone() }),
            "audio 11 + image 0 + video 0 input exceed input_tokens 10"
        );
        assert_eq!(refused(Parts { cache_write_12h: 1, ..base }), "12 h cache writes 1 exceed cache writes 0");
    }

    #[test]
    fn tokens_that_no_field_names_are_told() {
        let parts = |total| Parts { input: Some(10), output: Some(5), total: Some(total), ..Parts::default() };
        let seen = |total| parts(total).check().map(|checked| (checked.notes, checked.quality)).unwrap();
        assert_eq!(seen(15), (Notes::NONE, CostQuality::Exact));
        assert_eq!(seen(16), (Notes::NONE.with(Note::TokensUnexplained), CostQuality::Estimated));
    }

    #[test]
    fn known_overlaps_are_subtracted_first() {
        let parts =
            Parts { input: Some(100), cache_read: 80, audio_in: 60, cached: Some([50, 0, 0]), ..Parts::default() };
        let checked = parts.check().unwrap();
        assert_eq!(checked.counts.get(Count::UncachedInput), 20);
        assert_eq!(checked.quantities.as_slice(), [("cache_read_audio".into(), Decimal::from(50))]);
        assert_eq!(checked.quality, CostQuality::Exact);
    }

    #[test]
    fn an_overlap_that_the_sums_require_is_estimated() {
        let parts = Parts { input: Some(100), cache_read: 80, audio_in: 60, ..Parts::default() };
        let checked = parts.check().unwrap();
        assert_eq!(checked.quantities.as_slice(), [("cache_read_audio".into(), Decimal::from(40))]);
        assert_eq!(checked.quality, CostQuality::Estimated);
        assert_eq!(checked.notes, Notes::NONE.with(Note::CachedPartsAssumed));
    }

    proptest! {
        #[test]
        fn accepted_counts_are_disjoint(values in proptest::array::uniform12(0_i64..50), input in 0_i64..200, output in 0_i64..100) {
            let [read, write, write_1h, write_12h, audio, image, video, reasoning, audio_out, image_out, searches, cached] = values;
            let parts = Parts {
                input: Some(input), output: Some(output), cache_read: read, cache_write: write, cache_write_1h: write_1h,
                cache_write_12h: write_12h, audio_in: audio, image_in: image, video_in: video,
                cached: (cached % 2 == 0).then_some([cached, 0, 0]),
                reasoning, audio_out, image_out, web_searches: searches, ..Parts::default()
            };
            if let Ok(checked) = parts.check() {
                let get = |count| checked.counts.get(count);
                prop_assert_eq!(
                    get(Count::Input),
                    get(Count::UncachedInput) + get(Count::CacheRead) + get(Count::CacheWrite) + get(Count::CacheWrite1h)
                );
                prop_assert!(checked.counts.as_array().iter().all(|value| *value >= 0));
                prop_assert!(get(Count::Reasoning) + get(Count::AudioOutput) <= get(Count::Output));
                prop_assert!(checked.quantities.iter().all(|(_, amount)| *amount > Decimal::ZERO));
            }
        }
    }
}
