//! Short messages through an HTTP gateway: its URL, headers and the template of its body are configured, since each
//! gateway has its own. One request per telephone number. That only urgent alerts come here is the routes' business.

use std::fmt;

use spendstream_schemas::config::notify::{SmsConfig, SmsFormat};
use url::{Url, form_urlencoded};

use super::Secrets;
use crate::http::Request;
use crate::message::{Message, heading};
use crate::text::{json, one_line, shorten};

/// Three messages of 153 characters.
const LENGTH: usize = 459;
/// Room for what is not the link.
const HEADING: usize = 200;
const SCOPE: usize = 80;

/// A configured gateway.
pub struct Sms {
    url: Url,
    format: SmsFormat,
    body: String,
    headers: Vec<(String, String)>,
    /// Used when no number is given.
    first: String,
}

impl fmt::Debug for Sms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sms").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Sms {
    pub(super) fn new(config: &SmsConfig, secrets: &mut Secrets<'_>) -> Result<Self, String> {
        Ok(Self {
            url: secrets.url(&config.url)?,
            format: config.format,
            body: config.body.clone(),
            headers: secrets.headers(&config.headers)?,
            first: config.to.first().cloned().unwrap_or_default(),
        })
    }

    #[must_use]
    pub fn request(&self, message: &Message, target: Option<&str>) -> Option<Request> {
        let escape: fn(&str) -> String = match self.format {
            SmsFormat::Form => |text| form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            SmsFormat::Json => json,
        };
        let text = text(message)?;
        let values = [("{to}", target.unwrap_or(&self.first)), ("{text}", &text), ("{id}", &message.key)];
        let mut request = Request {
            url: self.url.clone(),
            content_type: match self.format {
                SmsFormat::Form => "application/x-www-form-urlencoded",
                SmsFormat::Json => "application/json",
            },
            headers: vec![("Idempotency-Key".to_owned(), format!("{}-{}", message.key, digits(values[0].1)))],
            body: fill(&self.body, &values, escape),
        };
        request.headers.extend(self.headers.iter().cloned());
        Some(request)
    }
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn text(message: &Message) -> Option<String> {
    let section = message.sections.first()?;
    let alert = &section.alert;
    let heading = shorten(&heading(alert), HEADING);
    let scope = shorten(&one_line(&alert.scope.to_string()), SCOPE);
    Some(shorten(&format!("{heading} ({} / {}) {scope} {}", alert.value, alert.threshold, section.look.text()), LENGTH))
}

/// The template with its placeholders filled in one pass: what a value contains is never read as a placeholder.
fn fill(template: &str, values: &[(&str, &str)], escape: fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        if let Some((name, value)) = values.iter().find(|(name, _)| from.starts_with(name)) {
            out.push_str(&escape(value));
            rest = from.get(name.len()..).unwrap_or_default();
        } else {
            out.push('{');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::fill;
    use crate::text::json;

    #[test]
    fn values_are_escaped_and_never_read_as_placeholders() {
        let values = [("{to}", "+49"), ("{text}", "say \"{to}\"")];
        assert_eq!(fill(r#"{"to":"{to}","t":"{text}"}"#, &values, json), r#"{"to":"+49","t":"say \"{to}\""}"#);
    }
}
