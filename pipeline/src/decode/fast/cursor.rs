//! Reads JSON value by value, without a tree. Text in, borrowed values out; `None`: not what was expected, so not for the fast path.
//!
//! It moves the same [`Parser`] that makes the slow path's tree, so that both take the same texts for JSON.

use std::borrow::Cow;

use super::super::json::Parser;
use super::super::time::rfc3339;

/// Where reading stands.
pub(super) struct Cursor<'a>(Parser<'a>);

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self(Parser::new(text))
    }

    /// Whether nothing follows.
    pub fn is_end(&mut self) -> bool {
        self.0.space();
        self.0.peek().is_none()
    }

    /// Calls `member` behind each key of an object; it reads the value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Option<()>) -> Option<()> {
        self.0.space();
        if !self.0.eat(b'{') {
            return None;
        }
        self.0.space();
        if self.0.eat(b'}') {
            return Some(());
        }
        loop {
            let key = self.0.key().ok()?;
            self.0.space();
            member(self, key)?;
            self.0.space();
            if self.0.eat(b'}') {
                return Some(());
            }
            if !self.0.eat(b',') {
                return None;
            }
        }
    }

    /// Puts a value into a slot; null is absent. A second one is declined: which of them counts is decided in one place only.
    pub fn put<T>(&mut self, slot: &mut Option<T>, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<()> {
        if slot.is_some() {
            return None;
        }
        if self.0.peek()? == b'n' {
            return self.0.skip(0).ok();
        }
        *slot = Some(value(self)?);
        Some(())
    }

    /// A text.
    pub fn word(&mut self) -> Option<Cow<'a, str>> {
        if self.0.peek()? == b'"' { self.0.string().ok() } else { None }
    }

    /// A whole number that is not negative and fits 63 bits.
    pub fn count(&mut self) -> Option<i64> {
        self.0.peek().filter(u8::is_ascii_digit)?;
        self.0.number().ok()?.parse().ok()
    }

    /// True or false.
    pub fn flag(&mut self) -> Option<bool> {
        let is_true = match self.0.peek()? {
            b't' => true,
            b'f' => false,
            _ => return None,
        };
        self.0.skip(0).ok()?;
        Some(is_true)
    }

    /// RFC 3339 or epoch milliseconds, as microseconds.
    pub fn time(&mut self) -> Option<i64> {
        match self.0.peek()? {
            b'"' => rfc3339(&self.0.string().ok()?),
            _ => self.count()?.checked_mul(1_000),
        }
    }

    /// Passes over a value inside an object, whatever it is.
    pub fn skip(&mut self) -> Option<()> {
        self.0.skip(1).ok()
    }
}
