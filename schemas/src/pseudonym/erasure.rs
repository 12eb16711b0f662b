//! What an erasure leaves of a row. In: a dimension and the value that names the person, and the texts of a row; out: the texts that stay.
//!
//! Counts, money, offsets and times are not touched: rows become anonymous one by one. A person is also known by the pseudonym that stands for
//! the value, so that a ledger with pseudonyms loses those as well.

use std::borrow::Cow;

use super::ERASED;
use super::dimension::{Dimension, is_covered, is_id};
use super::key::{PrivacyKey, Purpose};
use super::mention::Name;
use crate::dimension::Text;
use crate::hex::hex;

/// Columns that are left empty in the rows of an erased person, unless the person is named by them.
const EMPTIED: [Text; 2] = [Text::Customer, Text::PromptHash];

/// One erased person.
#[derive(Clone, Debug)]
pub struct Erasure {
    key: PrivacyKey,
    dimension: Dimension,
    pseudonym: String,
    /// The value, unless it is a pseudonym already.
    value: Name,
    known_as: Name,
}

impl Erasure {
    /// `value` as events had it, or its pseudonym.
    #[must_use]
    pub fn new(key: &PrivacyKey, dimension: Dimension, value: &str) -> Self {
        let pseudonym = key.pseudonym(&dimension, value);
        let value = Name::new(&dimension.normal(value), dimension.folds());
        let known_as = Name::new(&pseudonym, false);
        Self { key: key.clone(), dimension, pseudonym, value, known_as }
    }

    /// What the person is named by.
    #[must_use]
    pub const fn dimension(&self) -> &Dimension {
        &self.dimension
    }

    /// What finds the person in the list of the erased: 64 hexadecimal digits, the same for a value and for its pseudonym.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&self.key.hash(Purpose::Erased, &self.dimension, &self.pseudonym))
    }

    /// What an operator is shown: says which erasure, and not whose.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", self.dimension, &self.hash()[..8])
    }

    /// Whether a value of the dimension is this person.
    #[must_use]
    pub fn is(&self, value: &str) -> bool {
        value == self.pseudonym || self.key.pseudonym(&self.dimension, value) == self.pseudonym
    }

    /// Whether a text mentions the person.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.value.is_in(text) || self.known_as.is_in(text)
    }

    /// What stays of a column in a row of the person; `None`: nothing.
    #[must_use]
    pub fn column<'t>(&self, column: Text, text: &'t str) -> Option<Cow<'t, str>> {
        if self.dimension.column() == Some(column) || column == Text::UserId {
            return Some(ERASED.into());
        }
        if EMPTIED.contains(&column) {
            return None;
        }
        Some(self.mentioned(column, text))
    }

    /// What stays of a column in a row of somebody else, which may mention the person.
    #[must_use]
    pub fn mentioned<'t>(&self, column: Text, text: &'t str) -> Cow<'t, str> {
        if !is_covered(column) {
            return text.into();
        }
        if is_id(column) { self.id(text) } else { self.text(text) }
    }

    /// What stays of a tag's value, or of any other label: a text that is the person's name becomes [`ERASED`], one that mentions it becomes
    /// `erased-` and 32 digits of its keyed hash, so that equal ones stay equal.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.mentions(text) && self.is(text) { ERASED.into() } else { self.id(text) }
    }

    /// What stays of what tells things apart (an id, a tag's name): never the same for two.
    #[must_use]
    pub fn id<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.mentions(text) {
            return text.into();
        }
        // As it was kept where pseudonyms are: a repeat of then and one of now are the same.
        let kept = self.value.replaced(text, &self.pseudonym);
        format!("{ERASED}-{}", self.key.digits(Purpose::Text, &self.dimension, &kept)).into()
    }

    /// What stays of a text that people read: another word where the person is mentioned.
    #[must_use]
    pub fn prose<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.value.replaced(text, ERASED) {
            Cow::Borrowed(text) => self.known_as.replaced(text, ERASED),
            Cow::Owned(text) => Cow::Owned(self.known_as.replaced(&text, ERASED).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Erasure, PrivacyKey};
    use crate::dimension::Text;

    fn erasure(dimension: &str, value: &str) -> Erasure {
        let key = PrivacyKey::new("0123456789abcdef").unwrap();
        Erasure::new(&key, dimension.parse().unwrap(), value)
    }

    fn column(erasure: &Erasure, column: Text, text: &str) -> String {
        erasure.column(column, text).map_or("-".to_owned(), std::borrow::Cow::into_owned)
    }

    #[test]
    fn a_row_of_an_erased_user_names_nobody() {
        let ann = erasure("user_id", "Ann@Example.org");
        assert_eq!(column(&ann, Text::UserId, "ann@example.org"), "erased");
        assert_eq!(column(&ann, Text::Customer, "acme"), "-");
        assert_eq!(column(&ann, Text::PromptHash, "f00d"), "-");
        assert_eq!(column(&ann, Text::App, "chat"), "chat");
        assert_eq!(column(&ann, Text::App, "ANN@example.org"), "erased");
        let id = column(&ann, Text::EventId, "ann@example.org");
        assert!(id.starts_with("erased-") && id.len() == 39, "{id}");
        assert_ne!(
            column(&ann, Text::EventId, "call/ann@example.org/1"),
            column(&ann, Text::EventId, "call/ann@example.org/2")
        );
        assert!(ann.text("mailto:ann@example.org").starts_with("erased-"));
        assert_eq!(ann.text("joann@example.org"), "joann@example.org");
        assert_eq!(ann.prose("Budget of ann@example.org is used up"), "Budget of erased is used up");
        // What a call is priced by stays.
        assert_eq!(column(&ann, Text::Model, "ft:gpt-4o:ann@example.org"), "ft:gpt-4o:ann@example.org");
    }

    #[test]
    fn a_customer_is_named_by_one_spelling_alone() {
        let acme = erasure("customer", "Acme");
        assert_eq!(column(&acme, Text::Customer, "Acme"), "erased");
        assert_eq!(column(&acme, Text::UserId, "ann"), "erased");
        assert!(acme.is("Acme") && !acme.is("acme"));
        assert_eq!(acme.text("acme"), "acme");
    }

    #[test]
    fn a_value_and_its_pseudonym_are_one_erasure() {
        let ann = erasure("user_id", "ann");
        let same = erasure("user_id", &ann.pseudonym);
        assert_eq!(ann.hash(), same.hash());
        assert!(same.is("ANN") && ann.is(&ann.pseudonym) && !ann.is("bob"));
        assert_eq!(ann.id("call-ann-1"), ann.id(&format!("call-{}-1", ann.pseudonym)));
        assert_eq!(same.id(&format!("call-{}-1", ann.pseudonym)), ann.id("call-ann-1"));
        assert!(!ann.shown().contains("ann") && ann.shown().starts_with("user_id "));
    }

    proptest! {
        #[test]
        fn nothing_is_mentioned_twice(value in "[a-z@.]{2,6}", text in "[a-z@. -]{0,20}") {
            let one = erasure("user_id", &value);
            for covered in [one.text(&text), one.id(&text), one.prose(&text)] {
                // A name that is a word of ours (`erased`) cannot be told from it.
                prop_assume!(!one.mentions("erased"));
                prop_assert!(!one.mentions(&covered), "{text} -> {covered}");
            }
            let once = one.id(&text).into_owned();
            prop_assert_eq!(one.id(&once), once.clone());
            prop_assert_eq!(one.mentions(&text), once != text);
        }
    }
}
