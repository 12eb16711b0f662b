//! The request of decide. In: a JSON object with an event's own field names; out: a [`Request`] that borrows from it where it
//! can. Unknown fields are ignored, as in events; a wrong type is an error that names the field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::Priority;
use crate::count::{Count, Counts};
use crate::dimension::Text;
use crate::usage_event::Texts;

/// Items of one evaluation run.
const MAX_ITEMS: i64 = 1_000_000_000;
/// Misspelt fields that are told.
const MAX_MISSPELT: usize = 3;
/// How many unread fields are compared at all: a caller may send very many.
const MAX_COMPARED: usize = 64;
/// Bytes of a dimension's value, and of a tag's key and value: as of a scope. What is kept of a question is so bounded.
const MAX_VALUE: usize = crate::budget::scope::MAX_VALUE;
/// Tags of one question.
const MAX_TAGS: usize = 64;
/// Metrics of one evaluation run.
const MAX_METRICS: usize = 1_000;

/// Why a body is no request: one line for who sent it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct RequestError(pub String);

/// What is asked: a call, or with `items` and `metrics` a whole evaluation run.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// Dimensions, provider, model, tier, region, operation, `id` and `source`, by their event names.
    pub texts: Texts<'a>,
    /// Of the object `tags`, and of fields `tags.NAME`.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub priority: Priority,
    /// All input tokens; counted from `text` when absent.
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub max_output_tokens: Option<i64>,
    /// Cached, audio, image and reasoning parts of the totals, where known.
    pub parts: Counts,
    /// The prompt; it is counted and forgotten.
    pub text: Option<Cow<'a, str>>,
    /// Items of an evaluation run.
    pub items: Option<i64>,
    /// Metrics of an evaluation run.
    pub metrics: Vec<Cow<'a, str>>,
    /// Fields that are not read and look like one that is: what was sent, and what was probably meant.
    pub misspelt: Vec<(String, &'static str)>,
    /// How long to hold the estimate; the configured time when absent.
    pub hold_seconds: Option<i64>,
    /// How many unread fields were compared with those that are.
    compared: usize,
}

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// One line: what is wrong with which field, and what to write.
    pub fn parse(body: &'a [u8]) -> Result<Self, RequestError> {
        let request: Request<'a> = serde_json::from_slice(body).map_err(|error| {
            RequestError(match error.classify() {
                serde_json::error::Category::Data => plain(&error.to_string()),
                _ => format!("the body is not JSON: {error}"),
            })
        })?;
        request.check()?;
        Ok(request)
    }

    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Whether it asks about an evaluation run.
    #[must_use]
    pub fn is_run(&self) -> bool {
        self.items.is_some()
    }

    fn check(&self) -> Result<(), RequestError> {
        let fault = |line: String| Err(RequestError(line));
        for (name, value, most) in [
            ("input_tokens", self.input_tokens, i64::MAX),
            ("output_tokens", self.output_tokens, i64::MAX),
            ("max_output_tokens", self.max_output_tokens, i64::MAX),
            ("items", self.items, MAX_ITEMS),
            ("hold_seconds", self.hold_seconds, i64::MAX),
        ] {
            if let Some(value) = value.filter(|value| *value < 0 || *value > most) {
                return fault(format!("'{name}' is {value}; write 0 or more, at most {most}"));
            }
        }
        for count in Count::ALL {
            let value = self.parts.get(count);
            if value < 0 {
                return fault(format!("'{}' is {value}; write 0 or more", count.column()));
            }
        }
        let too_long = |name: &str, text: &str| {
            let length = text.len();
            (length > MAX_VALUE).then(|| format!("'{name}' has {length} bytes; write at most {MAX_VALUE}"))
        };
        let texts = self.texts.iter().filter_map(|(text, value)| too_long(text.event_name(), value?));
        let parts = self.tags.iter().flat_map(|(key, value)| [key, value]).chain(&self.metrics);
        if let Some(line) = texts.chain(parts.filter_map(|part| too_long("tags or metrics", part))).next() {
            return fault(line);
        }
        if self.tags.len() > MAX_TAGS {
            return fault(format!("there are {} tags; send at most {MAX_TAGS}", self.tags.len()));
        }
        if self.is_run() {
            if self.metrics.is_empty() || self.metrics.len() > MAX_METRICS {
                return fault(format!("'items' needs 'metrics': a list of 1 to {MAX_METRICS} names"));
            }
            return Ok(());
        }
        if !self.metrics.is_empty() {
            return fault("'metrics' needs 'items': how many items the run has".into());
        }
        if self.texts.get(Text::Model).is_none() {
            return fault("'model' is missing".into());
        }
        if self.input_tokens.is_none() && self.text.is_none() {
            return fault("give 'input_tokens' or 'text'".into());
        }
        Ok(())
    }
}

/// serde's words without the position, which is of no use in a line of an API.
fn plain(error: &str) -> String {
    error.rsplit_once(" at line ").map_or(error, |(line, _)| line).to_owned()
}

/// Counts that a request may give besides the two totals.
const PARTS: [Count; 8] = [
    Count::CacheRead,
    Count::CacheWrite,
    Count::CacheWrite1h,
    Count::AudioInput,
    Count::ImageInput,
    Count::Reasoning,
    Count::AudioOutput,
    Count::WebSearches,
];

impl<'de: 'a, 'a> Deserialize<'de> for Request<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(std::marker::PhantomData))
    }
}

struct Fields<'a>(std::marker::PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
    type Value = Request<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object with the fields of an event")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Request<'a>, M::Error> {
        let mut request = Request::default();
        while let Some(Word(name)) = map.next_key::<Word<'de>>()? {
            request.field(&name, &mut map)?;
        }
        Ok(request)
    }
}

impl<'a> Request<'a> {
    fn field<'de: 'a, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<(), M::Error> {
        let count = |map: &mut M| map.next_value_seed(Named(name, "a whole number", Value::<i64>::new()));
        match name {
            "input_tokens" => self.input_tokens = count(map)?,
            "output_tokens" => self.output_tokens = count(map)?,
            "max_output_tokens" => self.max_output_tokens = count(map)?,
            "items" => self.items = count(map)?,
            "hold_seconds" => self.hold_seconds = count(map)?,
            "text" => self.text = text(name, map)?,
            "priority" => self.priority = priority(text(name, map)?)?,
            "metrics" => {
                let metrics = map.next_value_seed(Named(name, "a list of texts", Value::<Vec<Word<'de>>>::new()))?;
                self.metrics = metrics.unwrap_or_default().into_iter().map(|Word(metric)| metric).collect();
            }
            "tags" => {
                let tags = map.next_value_seed(Named(name, "an object of texts", Value::<Pairs<'de>>::new()))?;
                // Before those that were written by themselves: where both name one, this one counts, whatever came first.
                let alone = std::mem::replace(&mut self.tags, tags.unwrap_or_default().0);
                self.tags.extend(alone);
            }
            _ => {
                if let Some(part) = PARTS.into_iter().find(|part| part.column() == name) {
                    self.parts.set(part, count(map)?.unwrap_or(0));
                } else if let Some(column) = column(name) {
                    self.texts.set_if_some(column, text(name, map)?);
                } else if let Some(tag) = name.strip_prefix("tags.").filter(|tag| !tag.is_empty()) {
                    // As scopes spell it: not read, it would pass an emergency stop on that tag.
                    if let Some(value) = text(name, map)? {
                        self.tags.push((Cow::Owned(tag.to_owned()), value));
                    }
                } else {
                    map.next_value::<IgnoredAny>()?;
                    // Not an error: callers send fields of their own. But a budget that is not found for a letter must not go unsaid.
                    self.compared += 1;
                    if self.misspelt.len() < MAX_MISSPELT
                        && self.compared <= MAX_COMPARED
                        && let Some(meant) = meant(name)
                    {
                        self.misspelt.push((name.to_owned(), meant));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The field that was probably meant, if any: the lake has some under other names than events, and others differ by one letter.
fn meant(name: &str) -> Option<&'static str> {
    let of_lake = Text::ALL.into_iter().find(|text| text.column() == name && !text.event_name().is_empty());
    if let Some(text) = of_lake {
        return Some(text.event_name());
    }
    if name == "model_id" {
        return Some(Text::Model.event_name());
    }
    let near = |known: &&'static str| {
        known.len() > 3 && known.len().abs_diff(name.len()) <= 1 && strsim::damerau_levenshtein(name, known) == 1
    };
    Text::ALL
        .into_iter()
        .map(Text::event_name)
        .chain(["cost_center", "tenant", "input_tokens", "output_tokens"])
        .find(near)
}

/// The column of an event's field; `cost_center` is not in events, but budgets name it.
fn column(name: &str) -> Option<Text> {
    match name {
        "" => None,
        "tenant" => Some(Text::Organization),
        "cost_center" => Some(Text::CostCenter),
        _ => Text::ALL.into_iter().find(|text| text.event_name() == name),
    }
}

fn text<'de, M: MapAccess<'de>>(name: &str, map: &mut M) -> Result<Option<Cow<'de, str>>, M::Error> {
    let word = map.next_value_seed(Named(name, "a text", Value::<Word<'de>>::new()))?;
    Ok(word.map(|Word(text)| text))
}

fn priority<E: de::Error>(word: Option<Cow<'_, str>>) -> Result<Priority, E> {
    let Some(word) = word else { return Ok(Priority::default()) };
    Priority::from_word(&word)
        .ok_or_else(|| E::custom(format!("'priority' is '{word}'; write low, normal, high or critical")))
}

/// A text that is borrowed from the body unless it has escapes.
#[derive(Debug)]
struct Word<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Word<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Texts)
    }
}

/// An object of texts.
#[derive(Debug, Default)]
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of texts")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut pairs = Vec::new();
                while let Some((Word(name), Word(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A value or null.
struct Value<T>(std::marker::PhantomData<T>);

impl<T> Value<T> {
    fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// Says which field has the wrong type.
struct Named<'n, T>(&'n str, &'static str, Value<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Named<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        let Named(name, expected, Value(_)) = self;
        Option::<T>::deserialize(deserializer)
            .map_err(|error| de::Error::custom(format!("'{name}' must be {expected} ({})", plain(&error.to_string()))))
    }
}
