//! Where a text mentions somebody. In: a text and a name; out: the places where the name stands by itself, or the text with another word there.
//!
//! `call-ann-17` and `mailto:ann` mention `ann`, `annotation` and `joann` do not: a letter or digit beside it makes it another name.

use std::borrow::Cow;
use std::ops::Range;

/// A name to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    text: String,
    /// Whether case is no difference; the name is in lower case then.
    folds: bool,
}

impl Name {
    /// `folds`: in any case.
    #[must_use]
    pub fn new(text: &str, folds: bool) -> Self {
        Self { text: if folds { text.to_lowercase() } else { text.to_owned() }, folds }
    }

    /// Whether a text mentions it.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.next(text, 0).is_some()
    }

    /// The text with `word` in each place.
    #[must_use]
    pub fn replaced<'t>(&self, text: &'t str, word: &str) -> Cow<'t, str> {
        let Some(mut found) = self.next(text, 0) else { return text.into() };
        let (mut out, mut from) = (String::with_capacity(text.len() + word.len()), 0);
        loop {
            out.push_str(&text[from..found.start]);
            out.push_str(word);
            from = found.end;
            match self.next(text, from) {
                Some(next) => found = next,
                None => break,
            }
        }
        out.push_str(&text[from..]);
        out.into()
    }

    /// The first place at or after a position.
    fn next(&self, text: &str, mut from: usize) -> Option<Range<usize>> {
        if self.text.is_empty() || text.len() < from {
            return None;
        }
        loop {
            let found = self.find(text, from)?;
            if self.stands_alone(text, &found) {
                return Some(found);
            }
            from = found.start + text[found.start..].chars().next().map_or(1, char::len_utf8);
        }
    }

    fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        if !self.folds {
            return text[from..].find(&self.text).map(|at| from + at..from + at + self.text.len());
        }
        let (bytes, name) = (text.as_bytes(), self.text.as_bytes());
        if self.text.is_ascii() && text.is_ascii() {
            let last = bytes.len().checked_sub(name.len())?;
            let first = name[0];
            let is_at = |at: &usize| {
                bytes[*at].to_ascii_lowercase() == first && bytes[*at..at + name.len()].eq_ignore_ascii_case(name)
            };
            return (from..=last).find(is_at).map(|at| at..at + name.len());
        }
        text[from..].char_indices().find_map(|(at, _)| {
            let length = folded_prefix(&text[from + at..], &self.text)?;
            Some(from + at..from + at + length)
        })
    }

    fn stands_alone(&self, text: &str, place: &Range<usize>) -> bool {
        let joins = |inner: Option<char>, outer: Option<char>| {
            inner.is_some_and(char::is_alphanumeric) && outer.is_some_and(char::is_alphanumeric)
        };
        !joins(self.text.chars().next(), text[..place.start].chars().next_back())
            && !joins(self.text.chars().next_back(), text[place.end..].chars().next())
    }
}

/// How many bytes of a text are a name in lower case.
fn folded_prefix(text: &str, name: &str) -> Option<usize> {
    let mut wanted = name.chars();
    let mut length = 0;
    for letter in text.chars() {
        if wanted.as_str().is_empty() {
            break;
        }
        for lower in letter.to_lowercase() {
            if wanted.next() != Some(lower) {
                return None;
            }
        }
        length += letter.len_utf8();
    }
    wanted.as_str().is_empty().then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Name;

    #[test]
    fn a_name_is_found_where_it_stands_by_itself() {
        for (name, text, expected) in [
            ("ann", "ann", "X"),
            ("ann", "call-Ann-17/ANN", "call-X-17/X"),
            ("ann", "annotation joann ann1 1ann", "annotation joann ann1 1ann"),
            ("ann@x.org", "mailto:ann@x.org?", "mailto:X?"),
            ("ann@x.org", "joann@x.org", "joann@x.org"),
            ("u1", "u12 u1_u1", "u12 X_X"),
            ("müller", "Frau MÜLLER, müllers", "Frau X, müllers"),
            ("ann", "İ ann İann", "İ X İann"),
            ("", "a", "a"),
            ("aa", "aaa aa", "aaa X"),
            ("@ann", "x@ann", "xX"),
        ] {
            let found = Name::new(name, true);
            assert_eq!(found.replaced(text, "X"), expected, "{name} in {text}");
            assert_eq!(found.is_in(text), text != expected, "{name} in {text}");
        }
        assert_eq!(Name::new("Ann", false).replaced("ann Ann", "X"), "ann X");
    }

    proptest! {
        #[test]
        fn what_was_replaced_is_not_there_any_more(name in "[a-cA-Cé]{1,3}", text in "[a-cA-Cé ._-]{0,20}", folds in any::<bool>()) {
            let found = Name::new(&name, folds);
            let after = found.replaced(&text, "[]");
            prop_assert!(!found.is_in(&after), "{text} -> {after}");
            let padded = format!("{text} {name} {text}");
            prop_assert!(found.is_in(&padded));
        }
    }
}
