//! The secret that pseudonyms and the list of the erased are made with. In: the key's text; out: keyed hashes. It is shown nowhere: who has
//! it can try names until one fits.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::dimension::Dimension;
use crate::hex::hex;

/// Fewer bytes can be tried out.
pub const LEAST_BYTES: usize = 16;
/// Bytes of a hash that stand for a value: 32 digits.
const SHOWN_BYTES: usize = 16;

/// What a hash is for, so that hashes of one value that serve different ends cannot be told to be of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Stands for a value.
    Pseudonym,
    /// Finds a value in the list of the erased.
    Erased,
    /// Stands for a whole text that mentioned somebody.
    Text,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Erased => "erased",
            Self::Text => "text",
        }
    }
}

/// See the module. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivacyKey(Arc<[u8]>);

impl PrivacyKey {
    /// From the key's text; blanks around it, as a file's last line break, are no part of it.
    ///
    /// # Errors
    /// One line when it is too short.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < LEAST_BYTES {
            return Err(format!(
                "has {} bytes; write at least {LEAST_BYTES} drawn by lot, such as `openssl rand -hex 32` gives",
                text.len()
            ));
        }
        Ok(Self(text.as_bytes().into()))
    }

    /// HMAC-SHA-256 of `purpose 0x00 dimension 0x00 value`.
    #[must_use]
    pub fn hash(&self, purpose: Purpose, dimension: &Dimension, value: &str) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            // HMAC takes keys of any length.
            return [0; 32];
        };
        mac.update(purpose.word().as_bytes());
        mac.update(&[0]);
        mac.update(dimension.to_string().as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The first 32 hexadecimal digits of it.
    #[must_use]
    pub fn digits(&self, purpose: Purpose, dimension: &Dimension, value: &str) -> String {
        hex(&self.hash(purpose, dimension, value)[..SHOWN_BYTES])
    }

    /// What stands for a value of a dimension; a pseudonym stands for itself, and so does what stands for the erased.
    #[must_use]
    pub fn pseudonym(&self, dimension: &Dimension, value: &str) -> String {
        if stands_for_another(value) {
            return value.to_owned();
        }
        let digits = self.digits(Purpose::Pseudonym, dimension, &dimension.normal(value));
        format!("{}{digits}", dimension.prefix())
    }
}

/// Whether a text has the form of a pseudonym.
#[must_use]
pub fn is_pseudonym(text: &str) -> bool {
    let digits = super::dimension::PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
    digits.is_some_and(|digits| {
        digits.len() == 2 * SHOWN_BYTES && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether a text is a pseudonym or what is left of an erased value: neither is hashed again.
#[must_use]
pub fn stands_for_another(text: &str) -> bool {
    text == super::ERASED || is_pseudonym(text)
}

impl fmt::Debug for PrivacyKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PrivacyKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::{PrivacyKey, Purpose, is_pseudonym};

    fn key() -> PrivacyKey {
        PrivacyKey::new("0123456789abcdef\n").unwrap()
    }

    /// Computed with `printf 'pseudonym\0user_id\0ann' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    #[test]
    fn a_pseudonym_never_changes_between_versions() {
        let user = "user_id".parse().unwrap();
        assert_eq!(key().pseudonym(&user, "ann"), "u-99e4fb32abbf0f5ad42b647e14ddfe59");
    }

    #[test]
    fn one_form_of_a_user_has_one_pseudonym_which_stands_for_itself() {
        let (user, customer) = ("user_id".parse().unwrap(), "customer".parse().unwrap());
        let ann = key().pseudonym(&user, "Ann@Example.org");
        assert!(is_pseudonym(&ann) && ann.starts_with("u-"));
        assert_eq!(key().pseudonym(&user, " ann@example.ORG "), ann);
        assert_eq!(key().pseudonym(&user, &ann), ann);
        let acme = key().pseudonym(&customer, "Acme");
        assert!(acme.starts_with("p-") && acme != key().pseudonym(&customer, "acme"));
        let other = PrivacyKey::new("another key of 26 bytes ...").unwrap();
        assert_ne!(other.pseudonym(&user, "ann@example.org"), ann);
        assert_ne!(key().digits(Purpose::Erased, &user, "a"), key().digits(Purpose::Text, &user, "a"));
        for text in ["u-", "u-0123", "x-00000000000000000000000000000000", "u-0000000000000000000000000000000G"] {
            assert!(!is_pseudonym(text), "{text}");
        }
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert_eq!(
            PrivacyKey::new(" short key 15b \n").unwrap_err(),
            "has 13 bytes; write at least 16 drawn by lot, such as `openssl rand -hex 32` gives"
        );
        assert_eq!(format!("{:?}", key()), "PrivacyKey(***)");
    }
}
