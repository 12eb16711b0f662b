//! What of a rejected message's key and headers goes to the dead-letter topic. Bytes in, bytes out; never a key of an API.

use crate::batch::Headers;
use crate::decode::secret::{REMOVED, looks_secret, masked};

/// A longer value names nothing.
const MAX_VALUE: usize = 256;

/// Attributes that say what the payload is, as far as a replay needs them. An extension may hold anything, a key among it.
const ATTRIBUTES: [&str; 6] =
    ["content-type", "ce_specversion", "ce_type", "ce_time", "ce_datacontenttype", "ce_dataschema"];
/// Attributes that tell calls apart.
const IDENTITIES: [&str; 3] = ["ce_id", "ce_source", "ce_subject"];

/// A key that looks like a secret, or was taken out of the payload because it did, is not kept in the clear beside it either; its
/// hash still sends repeats to one partition.
pub(super) fn key(key: &[u8], stripped: Option<&[u8]>) -> Vec<u8> {
    // A longer one names nothing, and looking through it for each of ten thousand rejects would take a while.
    let secret = key.len() > MAX_VALUE || looks_secret(&String::from_utf8_lossy(key));
    let has_key = |payload: &[u8]| payload.windows(key.len().max(1)).any(|window| window == key);
    if !secret && stripped.is_none_or(has_key) {
        return key.to_vec();
    }
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(key)).into_bytes()
}

/// The headers by which the payload is read again.
pub(super) fn headers(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    headers.0.iter().filter_map(|(name, value)| Some((name.clone(), header(name, value)?))).collect()
}

fn header(name: &str, value: &[u8]) -> Option<Vec<u8>> {
    let is = |known: &&str| name.eq_ignore_ascii_case(known);
    let identity = IDENTITIES.iter().any(is);
    if value.len() > MAX_VALUE || !(identity || ATTRIBUTES.iter().any(is)) {
        return None;
    }
    let text = String::from_utf8_lossy(value);
    Some(match looks_secret(&text) {
        false => value.to_vec(),
        true if identity => masked(&text).into_bytes(),
        true => REMOVED.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::{headers, key};
    use crate::batch::Headers;

    const KEY: &str = "sk-proj-ab12CD34ef56GH78ij90";

    #[test]
    fn a_key_that_looks_like_a_secret_is_hashed_whatever_the_payload_is() {
        assert_eq!(key(b"call-1", None), b"call-1");
        assert_eq!(key(b"call-1", Some(b"{\"id\":\"call-1\"}")), b"call-1");
        for stripped in [None, Some(b"{}".as_slice()), Some(KEY.as_bytes())] {
            let kept = String::from_utf8(key(KEY.as_bytes(), stripped)).unwrap();
            assert_eq!(kept.len(), 32, "{kept}");
            assert!(!kept.contains("sk-"), "{kept}");
        }
        assert_eq!(key(b"call-1", Some(b"{}")).len(), 32, "what was taken out of the payload");
    }

    #[test]
    fn only_headers_that_a_replay_reads_are_kept_and_no_keys_in_them() {
        let sent = [
            ("Content-Type", "application/json"),
            ("ce_specversion", "1.0"),
            ("ce_id", "call 1"),
            ("ce_source", "https://h/v1?api_key=ab12CD34"),
            ("ce_subject", KEY),
            ("ce_type", "Bearer ab12CD34ef56GH78"),
            ("ce_authorization", "Bearer x"),
            ("ce_apikey", KEY),
            ("ce_prompt", "SECRET-PROMPT"),
            ("x-api-key", KEY),
        ];
        let sent = sent.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let mut kept: Vec<_> = headers(&Headers(sent.to_vec()));
        assert!(kept[3].1.starts_with(b"sha256:") && kept[4].1.starts_with(b"sha256:"), "{kept:?}");
        assert_ne!(kept[3].1, kept[4].1);
        kept.drain(3..5);
        let kept: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap())).collect();
        let expected = [
            ("Content-Type", "application/json"),
            ("ce_specversion", "1.0"),
            ("ce_id", "call 1"),
            ("ce_type", "[removed]"),
        ];
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_header_too_long_to_name_anything_is_left_out() {
        let long = ("ce_subject".to_owned(), vec![b'x'; 257]);
        assert_eq!(headers(&Headers(vec![long])), []);
    }
}
