//! The words that the crates of spendstream share. No IO, no clock, no async: values in, values out.
//!
//! In reading order: what identifies things ([`ids`]), exact amounts ([`money`]), what an event can say
//! ([`dimension`], [`count`], [`usage_event`]), what it costs ([`price_book`], and before it runs [`estimate`]), how it lies in
//! the lake ([`table`], [`lake_path`]), what watches it ([`budget`], [`alert`]), whether it may run ([`decision`]), whose it is
//! ([`directory`], and afterwards [`reattribution`]), what must not be kept of it ([`secret`]), what stays of a closed month ([`statement`]), what providers bill ([`bill`]), what else costs money ([`charge_import`]), who is not to be named ([`pseudonym`]) and what an operator can configure
//! ([`config`]).

pub mod alert;
pub mod bill;
pub mod budget;
pub mod charge_import;
pub mod config;
pub mod count;
pub mod decision;
pub mod dimension;
pub mod directory;
pub mod estimate;
pub mod hex;
pub mod ids;
pub mod lake_path;
pub mod meter;
pub mod money;
pub mod note;
pub mod price_book;
pub mod pseudonym;
pub mod reattribution;
pub mod secret;
pub mod statement;
pub mod table;
pub mod usage_event;
