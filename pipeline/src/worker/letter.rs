//! A dead letter without those who are not to be named. In: a letter and the message it was made of; out: the letter as it may be kept. Pure.
//!
//! What was rejected was read by no rule, so persons are looked for by the names that fields of theirs have in any envelope, and the erased by
//! their values, wherever they stand. What is no JSON cannot be looked through, and is not kept.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use spendstream_schemas::config::MappingConfig;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::hex::hex;
use spendstream_schemas::pseudonym::cover::{Cover, Fate};
use spendstream_schemas::pseudonym::key::Purpose;
use spendstream_schemas::pseudonym::{Dimension, literals};

use crate::batch::DeadLetter;

/// What users are called beside `user` and `user_id`.
const USERS: [&str; 9] = [
    "_user",
    "userId",
    "user.id",
    "enduser.id",
    "gen_ai.user",
    "llm.user",
    "traceloop.association.properties.user_id",
    "user_api_key_user_id",
    "arn",
];
/// What customers are called beside `customer`.
const CUSTOMERS: [&str; 8] = [
    "customer.id",
    "customer_id",
    "traceloop.association.properties.customer_id",
    "end_user",
    "user_api_key_end_user_id",
    "external_subscription_id",
    "username",
    "subject",
];
/// A `CloudEvent`'s header with what its `subject` has.
const SUBJECT: &str = "ce_subject";
/// Stands for a payload that is not kept: none at all would delete the letter from a compacted topic.
const WITHHELD: &[u8] = b"{}";
/// Members of an OTLP attribute: its name.
const ATTRIBUTE: &str = "key";

/// What fields are called that name a person.
pub(super) struct Names(Vec<(Dimension, Vec<String>)>);

impl Names {
    /// Of every dimension that is covered; mappings may read it from fields of any name.
    pub(super) fn new(cover: &Cover, mappings: &[MappingConfig]) -> Self {
        let names = cover.dimensions().iter().map(|dimension| {
            let (event, column) = (dimension.scope_key().to_string(), dimension.to_string());
            let others: &[&str] = match dimension.column() {
                Some(Text::UserId) => &USERS,
                Some(Text::Customer) => &CUSTOMERS,
                _ => &[],
            };
            let mapped = mappings.iter().filter_map(|mapping| mapping.fields.get(&event));
            let mapped = mapped.map(|path| path.rsplit('.').next().unwrap_or(path));
            let tag = dimension.tag();
            let all = others.iter().copied().chain(mapped).chain(tag).map(str::to_owned);
            (dimension.clone(), all.chain([event.clone(), column]).collect())
        });
        Self(names.collect())
    }

    /// The dimensions that a field of that name may be.
    fn of<'n>(&'n self, name: &str) -> impl Iterator<Item = &'n Dimension> {
        self.0.iter().filter(move |(_, names)| names.iter().any(|known| known == name)).map(|(dimension, _)| dimension)
    }
}

/// See the module.
pub(super) fn covered(letter: DeadLetter, message: &[u8], cover: &Cover, names: &Names) -> DeadLetter {
    let mut found = Found { cover, names, fates: Vec::new() };
    for text in [message, &letter.payload] {
        found.look(text);
    }
    let texts = letter.key.iter().chain(letter.headers.iter().map(|(_, value)| value));
    texts.filter_map(|bytes| std::str::from_utf8(bytes).ok()).for_each(|text| found.is_erased(text));
    if let Some((_, subject)) = letter.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(SUBJECT)) {
        names.of("subject").for_each(|dimension| found.add(dimension, &String::from_utf8_lossy(subject)));
    }
    let (payload, sha256, more) = if let Some(payload) = found.payload(&letter.payload) {
        (payload, letter.truncated_sha256, "")
    } else {
        let sha256 = letter.truncated_sha256.unwrap_or_else(|| hex(&Sha256::digest(&letter.payload)));
        (
            WITHHELD.to_vec(),
            Some(sha256),
            "; it is no JSON, so whom it names is not known, and it is not kept (privacy)",
        )
    };
    let key = letter.key.map(|key| found.key(&key, &payload));
    let headers = letter.headers.into_iter().map(|(name, value)| (name, found.bytes(&value))).collect();
    let detail = found.text(&letter.detail).unwrap_or_else(|| letter.detail.clone()) + more;
    DeadLetter { key, headers, payload, detail, truncated_sha256: sha256, ..letter }
}

/// Who is named by a letter.
struct Found<'a> {
    cover: &'a Cover,
    names: &'a Names,
    fates: Vec<Fate>,
}

impl Found<'_> {
    fn add(&mut self, dimension: &Dimension, value: &str) {
        if self.fates.iter().all(|fate| fate.text(value) == value) {
            let fate = self.cover.fate(dimension, value);
            if !matches!(fate, Fate::Kept) {
                self.fates.push(fate);
            }
        }
    }

    fn is_erased(&mut self, text: &str) {
        let erased = self.cover.erased();
        let dimensions: Vec<_> = erased.dimensions().filter(|of| erased.is_erased(of, text)).cloned().collect();
        for dimension in &dimensions {
            self.add(dimension, text);
        }
    }

    /// Looks through JSON, one text or several line by line.
    fn look(&mut self, json: &[u8]) {
        let Ok(json) = std::str::from_utf8(json) else { return };
        let names = self.names;
        let (mut wanted, mut is_attribute) = (Vec::<&Dimension>::new(), false);
        for scalar in scalars(json) {
            match scalar {
                Scalar::Name(name) => {
                    // An attribute's value is in members of its own.
                    wanted = Some(names.of(&name).collect()).filter(|own: &Vec<_>| !own.is_empty()).unwrap_or(wanted);
                    is_attribute = name == ATTRIBUTE;
                }
                Scalar::Text(name) if is_attribute => (wanted, is_attribute) = (names.of(&name).collect(), false),
                Scalar::Text(text) => {
                    for dimension in std::mem::take(&mut wanted) {
                        self.add(dimension, &text);
                    }
                    self.is_erased(&text);
                    if let Some(inner) = decoded(&text) {
                        self.look(&inner);
                    }
                }
                Scalar::Bare(from, to) => {
                    for dimension in std::mem::take(&mut wanted) {
                        self.add(dimension, &json[from..to]);
                    }
                }
            }
        }
    }

    /// `None`: it cannot be looked through.
    fn payload(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(payload).ok()?;
        let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        if !is_json(text) && !text.lines().all(|line| line.is_empty() || is_json(line)) {
            return None;
        }
        let numbers = self.numbers(text);
        let text = literals::replaced(&numbers, |text| match decoded(text) {
            Some(inner) => {
                let covered = self.payload(&inner).unwrap_or_default();
                (covered != inner).then(|| STANDARD.encode(covered))
            }
            None => self.text(text),
        });
        Some(text.into_owned().into_bytes())
    }

    /// A person whose value is a number, where a field of a person has it: elsewhere it counts something.
    fn numbers<'t>(&self, json: &'t str) -> Cow<'t, str> {
        let (mut out, mut copied, mut is_person) = (String::new(), 0, false);
        for scalar in scalars(json) {
            match scalar {
                Scalar::Name(name) => is_person = self.names.of(&name).next().is_some(),
                Scalar::Bare(from, to) if is_person => {
                    let Some(instead) = self.text(&json[from..to]) else { continue };
                    out.push_str(&json[copied..from]);
                    out.push_str(&serde_json::Value::String(instead).to_string());
                    copied = to;
                }
                _ => {}
            }
        }
        if copied == 0 { Cow::Borrowed(json) } else { Cow::Owned(out + &json[copied..]) }
    }

    fn text(&self, text: &str) -> Option<String> {
        let covered = self.fates.iter().fold(Cow::Borrowed(text), |text, fate| match fate.text(&text) {
            Cow::Owned(text) => Cow::Owned(text),
            Cow::Borrowed(same) if same == &*text => text,
            Cow::Borrowed(other) => Cow::Owned(other.to_owned()),
        });
        (covered != text).then(|| covered.into_owned())
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(bytes);
        self.text(&text).map_or_else(|| bytes.to_vec(), String::into_bytes)
    }

    /// A key that the payload does not have may be anybody's name: by a keyed hash of it repeats meet in one partition all the same.
    fn key(&self, key: &[u8], payload: &[u8]) -> Vec<u8> {
        let covered = self.bytes(key);
        let is_kept = payload.windows(covered.len().max(1)).any(|window| window == covered);
        match self.cover.pseudonyms().key() {
            Some(secret) if !is_kept => {
                secret.digits(Purpose::Text, &Dimension::USER, &String::from_utf8_lossy(&covered)).into_bytes()
            }
            _ => covered,
        }
    }
}

/// JSON that is packed into a text.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| matches!(bytes.first(), Some(b'{' | b'[')))?;
    serde_json::from_slice::<IgnoredAny>(&bytes).is_ok().then_some(bytes)
}

#[derive(Debug, PartialEq, Eq)]
enum Scalar<'j> {
    /// Of a member.
    Name(Cow<'j, str>),
    Text(Cow<'j, str>),
    /// The value of the member before, where that is no text: its place.
    Bare(usize, usize),
}

/// Names, texts and what stands beside a name without quotes, in their order.
fn scalars(json: &str) -> impl Iterator<Item = Scalar<'_>> {
    literals::places(json)
        .flat_map(|(from, to)| {
            let text = literals::read(&json[from..to]);
            let rest = json[to..].trim_start();
            let Some(value) = rest.strip_prefix(':').map(str::trim_start) else {
                return [Some(Scalar::Text(text)), None];
            };
            let start = json.len() - value.len();
            let length = value.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(value.len());
            [Some(Scalar::Name(text)), (length > 0).then_some(Scalar::Bare(start, start + length))]
        })
        .flatten()
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
