//! A `CloudEvent` in binary mode over HTTP: attributes in `ce-…` headers, the event in the body. Headers in, those of Kafka's binary
//! mode (`ce_…`) out; the body is not looked at.

use axum::http::{HeaderMap, header};

/// The same `CloudEvent`'s headers as a Kafka message has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    pub headers: Vec<(String, String)>,
}

impl Binary {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.strip_prefix("ce_") == Some(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads the headers; `None` when they are not those of a `CloudEvent` in binary mode. A structured one (content type
/// `application/cloudevents…`) says everything in its body.
///
/// # Errors
/// One line that names the header whose value is none.
pub fn binary(headers: &HeaderMap) -> Result<Option<Binary>, String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let concerned = ["ce-specversion", "ce-id"].iter().any(|name| headers.contains_key(*name));
    if !concerned || kind.trim_start().to_ascii_lowercase().starts_with("application/cloudevents") {
        return Ok(None);
    }
    let mut found = Vec::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let value = attribute_value(value.as_bytes()).ok_or_else(|| {
            format!("the header {name} is no text; write UTF-8 with % and two hexadecimal digits per byte")
        })?;
        found.push((format!("ce_{attribute}"), value));
    }
    if !kind.is_empty() {
        found.push((header::CONTENT_TYPE.as_str().to_owned(), kind.to_owned()));
    }
    Ok(Some(Binary { headers: found }))
}

/// A header's value as the attribute it stands for: without the quotes around it, then percent-decoded once.
fn attribute_value(value: &[u8]) -> Option<String> {
    let value = value.trim_ascii();
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    String::from_utf8(percent_decoded(&inner.map_or_else(|| value.to_vec(), unescaped))?).ok()
}

/// A backslash inside quotes stands before a character that is meant as it is.
fn unescaped(quoted: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        text.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
    }
    text
}

/// `None` where `%` is not followed by two hexadecimal digits.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { (digit(bytes.next()?)? << 4) | digit(bytes.next()?)? } else { byte });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::binary;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn attributes_become_kafka_headers() {
        let sent =
            [("CE-SpecVersion", "1.0"), ("Ce-Id", "a%20b"), ("content-type", "application/json"), ("x-other", "1")];
        let found = binary(&headers(&sent)).unwrap().unwrap();
        assert_eq!(found.attribute("id"), Some("a b"));
        let mut all = found.headers;
        all.sort();
        let expected = [("ce_id", "a b"), ("ce_specversion", "1.0"), ("content-type", "application/json")];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn values_are_decoded_once() {
        for (sent, expected) in [
            ("plain", Some("plain")),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", Some("Euro € 😀")),
            ("%2525", Some("%25")),
            (r#""a \"quoted\" value""#, Some(r#"a "quoted" value"#)),
            ("é", Some("é")),
            ("100%", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            let found = binary(&headers(&[("ce-id", sent)]));
            let found = found.as_ref().map(|found| found.as_ref().and_then(|found| found.attribute("id")));
            assert_eq!(found.ok().flatten(), expected, "{sent}");
        }
        assert_eq!(
            binary(&headers(&[("ce-id", "1"), ("ce-subject", "100%")])).unwrap_err(),
            "the header ce-subject is no text; write UTF-8 with % and two hexadecimal digits per byte"
        );
    }

    #[test]
    fn what_is_no_binary_cloudevent_is_left_alone() {
        assert_eq!(binary(&headers(&[("content-type", "application/json")])), Ok(None));
        let structured = [("content-type", "application/cloudevents+json; charset=utf-8"), ("ce-id", "1")];
        assert_eq!(binary(&headers(&structured)), Ok(None));
    }
}
