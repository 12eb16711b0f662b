//! Opens the object store.
