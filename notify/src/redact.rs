//! Keeps secrets out of texts that people read: errors, log lines, previews.

use std::fmt;

use url::Url;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// Shorter texts are not looked for: hiding every `a` would hide the message. The parts of a URL's path that are shorter
/// than this are words of the service's interface (`services`, `v2`), not tokens.
const SHORTEST: usize = 4;
const SHORTEST_SEGMENT: usize = 10;

/// The secrets of one channel.
#[derive(Clone, Default)]
pub struct Redactor(Vec<String>);

impl Redactor {
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        // The longest first, so that no rest of one is left by a shorter one inside it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// `text` without the secrets.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({})", self.0.len())
    }
}

/// What of a URL must not be shown: its path, its query and what logs in.
#[must_use]
pub fn secrets_of(url: &Url) -> Vec<String> {
    let mut secrets = vec![url.as_str().to_owned()];
    if url.path().len() > 1 {
        secrets.push(url.path().to_owned());
    }
    secrets.extend(
        url.path_segments().into_iter().flatten().filter(|part| part.len() >= SHORTEST_SEGMENT).map(String::from),
    );
    secrets.extend(url.query().map(String::from));
    secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    secrets.extend(url.password().map(String::from));
    secrets
}

/// A URL as it may be shown: where it leads, not with which token.
#[must_use]
pub fn shown(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    if url.path() == "/" && url.query().is_none() { origin } else { format!("{origin}/{HIDDEN}") }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{Redactor, secrets_of, shown};

    #[test]
    fn no_part_of_a_secret_url_is_left() {
        let url = Url::parse("https://me:hunter2@hooks.example.org/services/T0/B0/XyZtoken1234?sig=abc%20def").unwrap();
        let redactor = Redactor::new(secrets_of(&url));
        for text in [url.as_str(), "bad token XyZtoken1234", "/services/T0/B0/XyZtoken1234", "sig 'abc def'", "hunter2"]
        {
            let clean = redactor.clean(text);
            assert!(!["XyZ", "hunter2", "abc"].iter().any(|secret| clean.contains(secret)), "{clean}");
        }
        assert_eq!(redactor.clean("invalid_payload"), "invalid_payload");
        assert_eq!(shown(&url), "https://hooks.example.org/***");
        assert_eq!(format!("{redactor:?}"), format!("Redactor({})", secrets_of(&url).len()));
    }
}
