//! Who owns what: a key, account, project, app, tag, user, team or department belongs to a team, department and cost
//! centre, for a time.
//!
//! A CSV ([`read`]) becomes entries ([`entry`]), entries a [`Directory`] that fills in an event's owner ([`resolve`]).
//! Pure: the files, the store and the clock are the caller's.

pub mod entry;
pub mod read;
pub mod resolve;
mod spelling;

pub use entry::Entry;
pub use read::{doubts, read};
pub use resolve::{Directory, Filled, Precedence};
pub use spelling::{Spellings, normal};
