//! Single values of the fast path: borrowed where they can be, null as absent, everything unexpected declined.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

use super::super::field::decimal;
use super::super::time::rfc3339;

/// More tags than this are left to the slow path, which counts them.
const MAX_TAGS: usize = 32;

/// Deeper values are left to the slow path, which says so: `sonic_rs` skips what is ignored by recursion without an end.
const MAX_DEPTH: u8 = 32;

/// Skips a value, whatever it is.
#[derive(Clone, Copy)]
pub(super) struct Skip(u8);

impl Skip {
    pub const ANY: Self = Self(0);

    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.0 < MAX_DEPTH { Ok(Self(self.0 + 1)) } else { Err(E::custom("nested too deeply")) }
    }
}

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while members.next_key_seed(Key(|_: &str| ()))?.is_some() {
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// Turns a key into what a function says it means, without keeping it.
pub(super) struct Key<F>(pub F);

impl<'de, T, F: Fn(&str) -> T> DeserializeSeed<'de> for Key<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: Fn(&str) -> T> Visitor<'_> for Key<F> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<T, E> {
        Ok((self.0)(key))
    }
}

macro_rules! nullable {
    ($(#[$doc:meta])* $name:ident$(<$life:lifetime>)?, $inner:ty, $expected:literal, { $($visit:item)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name$(<$life>)?(pub Option<$inner>);

        impl<'de $(: $life, $life)?> Deserialize<'de> for $name$(<$life>)? {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visit;
                impl<'de> Visitor<'de> for Visit {
                    type Value = Option<nullable!(@inner $($life)? $inner)>;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str($expected)
                    }

                    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                        Ok(None)
                    }

                    $($visit)*
                }
                deserializer.deserialize_any(Visit).map($name)
            }
        }
    };
    (@inner $life:lifetime $inner:ty) => { Cow<'de, str> };
    (@inner $inner:ty) => { $inner };
}

nullable!(
    /// A text.
    Word<'a>, Cow<'a, str>, "a text", {
        fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Some(Cow::Borrowed(text)))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(Cow::Owned(text.to_owned())))
        }
    }
);

nullable!(
    /// A whole number that is not negative.
    Count, i64, "a count", {
        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            i64::try_from(value).map(Some).map_err(|_| E::custom("too large"))
        }
    }
);

nullable!(
    /// True or false.
    Flag, bool, "true or false", {
        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Some(value))
        }
    }
);

nullable!(
    /// RFC 3339 or epoch milliseconds, as microseconds.
    Time, i64, "a time", {
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            rfc3339(text).map(Some).ok_or_else(|| E::custom("no time"))
        }

        fn visit_u64<E: Error>(self, millis: u64) -> Result<Self::Value, E> {
            let micros = i64::try_from(millis).ok().and_then(|millis| millis.checked_mul(1_000));
            micros.map(Some).ok_or_else(|| E::custom("no time"))
        }
    }
);

/// Labels without repetition.
#[derive(Debug)]
pub(super) struct Tags<'a>(pub SmallVec<[(Cow<'a, str>, Cow<'a, str>); 4]>);

impl<'de> Deserialize<'de> for Tags<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags<'de>, A::Error> {
        let mut tags: SmallVec<[(Cow<'de, str>, Cow<'de, str>); 4]> = SmallVec::new();
        while let Some((key, value)) = map.next_entry::<Word<'de>, Word<'de>>()? {
            // A null label may hide or be hidden by a repeated one.
            let (Some(key), Some(value)) = (key.0, value.0) else { return Err(A::Error::custom("a null label")) };
            if tags.len() >= MAX_TAGS || tags.iter().any(|(name, _)| *name == key) {
                return Err(A::Error::custom("many or repeated labels"));
            }
            tags.push((key, value));
        }
        Ok(Tags(tags))
    }
}

/// `{"amount": "0.0123", "currency": "USD"}` and nothing else.
#[derive(Debug)]
pub(super) struct Cost<'a> {
    pub amount: Decimal,
    pub currency: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Cost<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CostVisitor)
    }
}

struct CostVisitor;

impl<'de> Visitor<'de> for CostVisitor {
    type Value = Cost<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an amount and its currency")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cost<'de>, A::Error> {
        let (mut amount, mut currency) = (None, None);
        while let Some(key) = map.next_key::<Word<'de>>()? {
            let word = map.next_value::<Word<'de>>()?.0;
            match key.0.as_deref() {
                Some("amount") => super::put(&mut amount, word)?,
                Some("currency") => super::put(&mut currency, word)?,
                _ => return Err(A::Error::custom("another key")),
            }
        }
        let amount =
            amount.as_deref().and_then(|text| decimal(text.trim())).ok_or_else(|| A::Error::custom("no decimal"))?;
        let currency: Cow<'de, str> = currency.unwrap_or(Cow::Borrowed("USD"));
        if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(Cost { amount, currency });
        }
        Err(A::Error::custom("no currency"))
    }
}
