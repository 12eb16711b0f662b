//! Persons who are not to be named: a value comes in, the pseudonym or the word that stands for it goes out. Pure; never logs or shows a value.
//!
//! In reading order: the secret behind it all ([`key`]), which dimensions can name a person ([`dimension`]), where a text mentions
//! somebody ([`mention`]), what an erasure leaves of a row ([`erasure`]), who is pseudonymous and who is erased ([`list`]), and both applied
//! to an event or a question ([`cover`]), and to texts within JSON ([`literals`]).
//!
//! A pseudonym is `u-` (a user) or `p-` (any other dimension) and 32 hexadecimal digits of a keyed hash. It is known by that form and never
//! hashed again. Of users the hash is of the form that the directory compares them by (blanks around it and case are no difference), of other
//! dimensions of the value as it is.

pub mod cover;
pub mod dimension;
pub mod erasure;
pub mod key;
pub mod list;
pub mod literals;
pub mod mention;

pub use cover::Cover;
pub use dimension::Dimension;
pub use erasure::Erasure;
pub use key::PrivacyKey;
pub use list::{ErasedList, Pseudonyms};

/// Stands where an erased value was.
pub const ERASED: &str = "erased";
