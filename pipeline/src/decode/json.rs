//! A JSON tree that borrows from the message and keeps numbers as their text. Bytes in, [`Node`] out; used off the hot path.
//!
//! `serde_json::Value` would turn `0.0025200000000000005` into a float and copy every string; money must be read from the text.
//! Of repeated keys the last one counts and null is the same as absent, as in the typed fast path. Half of a surrogate pair, which
//! a text cut in the middle of a character ends with, stays as its escape: it spoils no event, and two such texts stay different.

use std::borrow::Cow;

/// Deeper nesting is refused: no payload needs it, and the parser recurses.
const MAX_DEPTH: usize = 64;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    Null,
    Bool(bool),
    /// The number as it was written.
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Where and why parsing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    pub at: usize,
    pub what: &'static str,
}

impl<'a> Node<'a> {
    /// Parses one complete JSON text.
    ///
    /// # Errors
    /// When the text is not one JSON value, or nests too deeply.
    pub fn parse(text: &'a str) -> Result<Node<'a>, Syntax> {
        let mut parser = Parser::new(text);
        let node = parser.value(0)?;
        parser.space();
        if parser.at == text.len() { Ok(node) } else { parser.fail("expected the end") }
    }

    /// The member of that name, if this is an object that has it and it is not null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members
                .iter()
                .rev()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value)
                .filter(|value| !matches!(value, Node::Null)),
            _ => None,
        }
    }

    /// The value under a dotted path; a name that itself contains dots is found too.
    #[must_use]
    pub fn path(&self, path: &str) -> Option<&Node<'a>> {
        if let Some(node) = self.get(path) {
            return Some(node);
        }
        path.match_indices('.').find_map(|(dot, _)| self.get(&path[..dot]).and_then(|node| node.path(&path[dot + 1..])))
    }

    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn is_object(&self) -> bool {
        matches!(self, Node::Object(_))
    }

    #[must_use]
    pub fn items(&self) -> &[Node<'a>] {
        match self {
            Node::Array(items) => items,
            _ => &[],
        }
    }

    #[must_use]
    pub fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        match self {
            Node::Object(members) => members,
            _ => &[],
        }
    }

    /// The text under a key, if it is a text.
    #[must_use]
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::text)
    }

    /// True when the object has a member of that name which is an object.
    #[must_use]
    pub fn has_object(&self, key: &str) -> bool {
        self.get(key).is_some_and(Node::is_object)
    }

    /// What it is, for messages: never the value itself.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "a boolean",
            Node::Number(text) if text.contains(['.', 'e', 'E']) => "a fractional number",
            Node::Number(_) => "a number",
            Node::Text(_) => "a text",
            Node::Array(_) => "an array",
            Node::Object(_) => "an object",
        }
    }
}

/// Moves through a text; the tree is made of what it reads, and the fast path reads values from it one by one.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, Syntax> {
        Err(Syntax { at: self.at, what })
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes on behind white space.
    pub fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Goes on behind `byte` if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str, node: Node<'a>) -> Result<Node<'a>, Syntax> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(node);
        }
        self.fail("expected a value")
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Syntax> {
        self.space();
        match self.peek() {
            Some(b'{') if depth < MAX_DEPTH => self.object(depth),
            Some(b'[') if depth < MAX_DEPTH => self.array(depth),
            Some(b'{' | b'[') => self.fail("nested too deeply"),
            Some(b'"') => Ok(Node::Text(self.string()?)),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(Node::Number),
            Some(_) => self.fail("expected a value"),
            None => self.fail("ended early"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, Syntax> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Node::Object(members));
        }
        loop {
            let key = self.key()?;
            members.push((key, self.value(depth + 1)?));
            self.space();
            if self.eat(b'}') {
                return Ok(Node::Object(members));
            }
            if !self.eat(b',') {
                return self.fail("expected ',' or '}'");
            }
        }
    }

    /// A key of an object and the colon behind it.
    pub fn key(&mut self) -> Result<Cow<'a, str>, Syntax> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.fail("expected a key");
        }
        let key = self.string()?;
        self.space();
        if self.eat(b':') { Ok(key) } else { self.fail("expected ':'") }
    }

    /// Goes on behind a value that is `depth` levels below the top.
    pub fn skip(&mut self, depth: usize) -> Result<(), Syntax> {
        self.value(depth).map(drop)
    }

    fn array(&mut self, depth: usize) -> Result<Node<'a>, Syntax> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']') {
                return Ok(Node::Array(items));
            }
            if !self.eat(b',') {
                return self.fail("expected ',' or ']'");
            }
        }
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { self.fail("expected a digit") } else { Ok(()) }
    }

    /// A number as it is written.
    pub fn number(&mut self) -> Result<&'a str, Syntax> {
        let from = self.at;
        self.eat(b'-');
        // A leading zero stands alone.
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(&self.text[from..self.at])
    }

    /// A text, from its quotation mark on.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Syntax> {
        self.at += 1;
        let text = self.text;
        let mut from = self.at;
        let mut owned: Option<String> = None;
        loop {
            match self.peek() {
                None => return self.fail("a text that never ends"),
                Some(b'"') => {
                    let rest = &text[from..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(rest),
                        Some(owned) => Cow::Owned(owned + rest),
                    });
                }
                Some(b'\\') => {
                    let mut unescaped = owned.take().unwrap_or_default();
                    unescaped.push_str(&text[from..self.at]);
                    self.at += 1;
                    self.escape(&mut unescaped)?;
                    from = self.at;
                    owned = Some(unescaped);
                }
                Some(0..=0x1f) => return self.fail("a control character in a text"),
                Some(_) => self.at += 1 + plain(&text.as_bytes()[self.at + 1..]),
            }
        }
    }

    fn escape(&mut self, into: &mut String) -> Result<(), Syntax> {
        let Some(byte) = self.peek() else { return self.fail("a text that never ends") };
        self.at += 1;
        into.push(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(into),
            _ => return self.fail("an unknown escape"),
        });
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, Syntax> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let value =
            digits.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match value {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => self.fail("expected four hexadecimal digits"),
        }
    }

    fn unicode(&mut self, into: &mut String) -> Result<(), Syntax> {
        let mut code = self.hex4()?;
        let after = self.at;
        if (0xd800..0xdc00).contains(&code) && self.eat(b'\\') && self.eat(b'u') {
            match self.hex4() {
                Ok(low) if (0xdc00..0xe000).contains(&low) => {
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
                _ => self.at = after,
            }
        } else {
            self.at = after;
        }
        match char::from_u32(code) {
            Some(character) => into.push(character),
            None => into.extend(["\\u", &format!("{code:04x}")]),
        }
        Ok(())
    }
}

/// How many bytes at the start are neither a quotation mark, a backslash nor a control character; eight at a time, so perhaps fewer.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    /// The top bit of each byte that is zero; bytes behind the first may be wrong.
    fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & TOPS
    }
    let mut at = 0;
    while let Some(word) = bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes) {
        let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
        let special = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at
}

#[cfg(test)]
mod tests;
