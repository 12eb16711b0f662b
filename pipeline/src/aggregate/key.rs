//! The values of a cell as bytes: one text to hash, compare and keep. In: values in the order of their set. Out: a key, and back.
//!
//! Each value is its length (four bytes, little-endian; all ones for "no value") and its bytes, so that no two lists share a key.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

const NONE: u32 = u32::MAX;

/// A key on the stack; longer ones go to the heap.
pub type KeyBuffer = SmallVec<[u8; 128]>;

/// Adds one value to a key.
pub fn push(key: &mut impl Extend<u8>, value: Option<&str>) {
    let length = value.map_or(NONE, |text| u32::try_from(text.len()).unwrap_or(NONE - 1));
    key.extend(length.to_le_bytes());
    if let Some(text) = value {
        key.extend(text.bytes());
    }
}

/// The key of values.
#[must_use]
pub fn of(values: &[Option<&str>]) -> KeyBuffer {
    let mut key = KeyBuffer::new();
    for value in values {
        let length = value.map_or(NONE, |text| u32::try_from(text.len()).unwrap_or(NONE - 1));
        key.extend_from_slice(&length.to_le_bytes());
        key.extend_from_slice(value.unwrap_or_default().as_bytes());
    }
    key
}

/// The hash that a key is found by, the same in every thread.
#[must_use]
pub fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The values of a key.
pub fn values(key: &[u8]) -> impl Iterator<Item = Option<&str>> {
    let mut rest = key;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        if length == NONE {
            rest = tail;
            return Some(None);
        }
        let (text, tail) = tail.split_at_checked(length as usize)?;
        rest = tail;
        Some(Some(std::str::from_utf8(text).unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{of, push, values};

    proptest! {
        #[test]
        fn values_read_back(texts in prop::collection::vec(prop::option::of("[a-zß]{0,5}"), 0..5)) {
            let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            let key = of(&texts);
            prop_assert_eq!(values(&key).collect::<Vec<_>>(), texts.clone());
            let mut pushed = Vec::new();
            for text in &texts {
                push(&mut pushed, *text);
            }
            prop_assert_eq!(pushed.as_slice(), key.as_slice());
        }

        #[test]
        fn different_values_have_different_keys(a in prop::collection::vec(prop::option::of("[ab]{0,2}"), 2),
                                                b in prop::collection::vec(prop::option::of("[ab]{0,2}"), 2)) {
            let texts = |list: &[Option<String>]| list.to_vec();
            let key = |list: &[Option<String>]| of(&list.iter().map(Option::as_deref).collect::<Vec<_>>());
            prop_assert_eq!(texts(&a) == texts(&b), key(&a) == key(&b));
        }
    }
}
