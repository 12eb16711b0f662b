//! Texts within JSON. In: JSON and what to make of each text; out: the same JSON with other texts, everything else to the letter. Pure.
//!
//! Nothing is parsed but the texts, so that numbers keep their digits and members their order. Names of members are texts as well.

use std::borrow::Cow;

/// The JSON with each text as `replace` has it. What is no JSON text (a quote that is not closed, a wrong escape) is taken as it is, quotes and all.
pub fn replaced(json: &str, mut replace: impl FnMut(&str) -> Option<String>) -> Cow<'_, str> {
    let (mut out, mut copied) = (String::new(), 0);
    for (start, end) in places(json) {
        if let Some(other) = replace(&read(&json[start..end])) {
            out.push_str(&json[copied..start]);
            out.push_str(&serde_json::Value::String(other).to_string());
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[copied..]);
    Cow::Owned(out)
}

/// Where its texts are, quotes included.
pub fn places(json: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + json[at..].find('"')?;
        at = end(json, start).unwrap_or(json.len());
        Some((start, at))
    })
}

/// What a text within quotes says.
#[must_use]
pub fn read(literal: &str) -> Cow<'_, str> {
    serde_json::from_str::<String>(literal).map_or(Cow::Borrowed(literal), Cow::Owned)
}

/// The position after the quote that ends the text which begins at `start`.
fn end(json: &str, start: usize) -> Option<usize> {
    let mut escaped = false;
    json.bytes().enumerate().skip(start + 1).find_map(|(at, byte)| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends.then_some(at + 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::replaced;

    fn check(json: &str, expected: &str) {
        let found = replaced(json, |text| text.contains("ann").then(|| text.replace("ann", "x\"y")));
        assert_eq!(found, expected);
    }

    #[test]
    fn texts_and_names_change_and_nothing_else() {
        check(r#"{"a": 1.50, "ann" :["ann",  "b\nann", null]}"#, r#"{"a": 1.50, "x\"y" :["x\"y",  "b\nx\"y", null]}"#);
        check(r#""\u0061nn""#, r#""x\"y""#);
        check(r#"{"a":"\\"}"#, r#"{"a":"\\"}"#);
        check("ann 1", "ann 1");
        // Not closed: the quote is a part of it.
        check(r#"{"a":"ann"#, r#"{"a":"\"x\"y""#);
    }

    proptest! {
        #[test]
        fn what_is_replaced_by_itself_is_the_same(texts in prop::collection::vec("[a\"\\\\\n\u{e9}]{0,5}", 0..5)) {
            let value = serde_json::json!({ "k": texts });
            let json = value.to_string();
            let found = replaced(&json, |text| Some(text.to_owned()));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&found).unwrap(), value);
            prop_assert_eq!(replaced(&json, |_| None), json.clone());
        }
    }
}
