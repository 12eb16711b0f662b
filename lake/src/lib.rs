//! What the tables of a lake say to those who read it. In: Delta tables of one lake, hot first. Out: which files hold each event
//! exactly once at that moment, a DataFusion table of them, and where sums of sealed rows are.
//!
//! In reading order: what is written beside files ([`tags`]), which tables there are ([`named`], pure), the files of a table ([`files`]), which of
//! them count ([`visible`], pure), several tables as one ([`tiered`]), how rows are summed up ([`rollup`]) and their latencies ([`latency`]). Never writes.

pub mod files;
pub mod latency;
pub mod named;
pub mod rollup;
pub mod tags;
pub mod tiered;
pub mod visible;
