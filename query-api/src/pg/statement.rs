//! What a text asks for. In: SQL as clients send it; out: its statements, each either of the session (BEGIN, SET, SHOW …) or for the query engine. Pure.
//!
//! What is not known as one of the session's own goes to the engine, which only reads.

/// What a statement is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Blanks and comments.
    Empty,
    /// For the query engine.
    Query,
    Begin,
    Commit,
    Rollback,
    /// Of transactions that change nothing: the tag that says it is done.
    Nothing(&'static str),
    Set {
        name: String,
        value: Option<String>,
    },
    Reset,
    Show(String),
    /// Forgets a prepared statement, or all.
    Deallocate(Option<String>),
    DiscardAll,
}

/// The tag of a query's end, without its number of rows.
#[must_use]
pub fn tag(sql: &str) -> &'static str {
    match words(sql).first().map(String::as_str) {
        Some("EXPLAIN") => "EXPLAIN",
        Some("SHOW") => "SHOW",
        _ => "SELECT",
    }
}

/// What one statement is for.
#[must_use]
pub fn statement(sql: &str) -> Statement {
    let words = words(sql);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Statement::Empty,
        ["BEGIN" | "START", ..] => Statement::Begin,
        ["COMMIT" | "END", ..] => Statement::Commit,
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => Statement::Nothing("ROLLBACK"),
        ["ROLLBACK" | "ABORT", ..] => Statement::Rollback,
        ["SAVEPOINT", ..] => Statement::Nothing("SAVEPOINT"),
        ["RELEASE", ..] => Statement::Nothing("RELEASE"),
        ["UNLISTEN", ..] => Statement::Nothing("UNLISTEN"),
        ["CLOSE", "ALL"] => Statement::Nothing("CLOSE CURSOR ALL"),
        ["DISCARD", "ALL"] => Statement::DiscardAll,
        ["DISCARD", ..] => Statement::Nothing("DISCARD"),
        ["DEALLOCATE", .., "ALL"] => Statement::Deallocate(None),
        ["DEALLOCATE", ..] => Statement::Deallocate(values(sql).pop()),
        ["RESET", "ALL"] => Statement::Reset,
        ["RESET", ..] => Statement::Set { name: values(sql).pop().unwrap_or_default(), value: None },
        ["SET", "SESSION", "CHARACTERISTICS", ..] | ["SET", "TRANSACTION" | "CONSTRAINTS" | "ROLE", ..] => {
            Statement::Nothing("SET")
        }
        ["SET", "SESSION" | "LOCAL", ..] => set(values(sql).split_off(2)),
        ["SET", ..] => set(values(sql).split_off(1)),
        ["SHOW", "TABLES" | "COLUMNS" | "FUNCTIONS" | "CREATE", ..] => Statement::Query,
        ["SHOW", "TIME", "ZONE"] => Statement::Show("TimeZone".into()),
        ["SHOW", "TRANSACTION", "ISOLATION", "LEVEL"] => Statement::Show("transaction_isolation".into()),
        ["SHOW", _] => Statement::Show(values(sql).pop().unwrap_or_default()),
        _ => Statement::Query,
    }
}

fn set(mut words: Vec<String>) -> Statement {
    if words.len() >= 2 && words[0].eq_ignore_ascii_case("TIME") && words[1].eq_ignore_ascii_case("ZONE") {
        words.splice(..2, ["TimeZone".to_owned()]);
    } else if words.first().is_some_and(|name| name.eq_ignore_ascii_case("NAMES")) {
        words.splice(..1, ["client_encoding".to_owned()]);
    }
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let rest: Vec<String> = words.filter(|word| word != "=" && !word.eq_ignore_ascii_case("TO")).collect();
    let value = Some(rest.join(", ")).filter(|value| !value.eq_ignore_ascii_case("DEFAULT"));
    Statement::Set { name, value }
}

/// The first words in capitals, without comments.
fn words(sql: &str) -> Vec<String> {
    const MOST: usize = 6;
    values(sql).into_iter().take(MOST).map(|word| word.to_ascii_uppercase()).collect()
}

/// The words of a short statement: names, numbers, signs, and texts without their quotes.
fn values(sql: &str) -> Vec<String> {
    const MOST: usize = 64;
    let (mut words, mut place) = (Vec::new(), 0);
    while place < sql.len() && words.len() < MOST {
        let end = next(sql, place);
        let piece = sql.get(place..end).unwrap_or_default();
        place = end.max(place + 1);
        match piece.chars().next() {
            None => {}
            Some(first) if first.is_whitespace() || matches!(first, ',' | ';' | '(' | ')') => {}
            Some('\'') => words.push(piece.trim_matches('\'').replace("''", "'")),
            Some('"') => words.push(piece.trim_matches('"').replace("\"\"", "\"")),
            Some('-') if piece.starts_with("--") => {}
            Some('/') if piece.starts_with("/*") => {}
            Some(_) => words.push(piece.to_owned()),
        }
    }
    words
}

/// The statements of a text that may have several, without what is between them.
#[must_use]
pub fn split(sql: &str) -> Vec<&str> {
    let (mut statements, mut start, mut place) = (Vec::new(), 0, 0);
    while place < sql.len() {
        let end = next(sql, place).max(place + 1);
        if sql.get(place..end) == Some(";") {
            statements.extend(sql.get(start..place));
            start = end;
        }
        place = end;
    }
    statements.extend(sql.get(start..));
    statements.retain(|statement| self::statement(statement) != Statement::Empty);
    statements
}

/// Where the piece at `place` ends: a quoted text or name, a comment, a word, or one sign. Always on the border of a letter.
fn next(sql: &str, place: usize) -> usize {
    let rest = sql.get(place..).unwrap_or_default();
    let mut letters = rest.chars();
    let length = match letters.next() {
        None => 0,
        Some(quote @ ('\'' | '"')) => quoted(rest, quote, false),
        Some('e' | 'E') if rest[1..].starts_with('\'') => 1 + quoted(&rest[1..], '\'', true),
        Some('$') => dollar(rest),
        Some('-') if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
        Some('/') if rest.starts_with("/*") => comment(rest),
        Some(letter) if is_word(letter) => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
        Some(letter) => letter.len_utf8(),
    };
    place + length
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$')
}

/// Bytes up to and with the closing quote; a doubled one is a letter, and so is one after a backslash where that escapes.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if escapes && letter == '\\' {
            letters.next();
        } else if letter == quote {
            if letters.peek().is_some_and(|(_, after)| *after == quote) {
                letters.next();
            } else {
                return place + quote.len_utf8();
            }
        }
    }
    text.len()
}

/// `$tag$ … $tag$`; else a parameter or a sign.
fn dollar(text: &str) -> usize {
    let tag = text[1..].find('$').and_then(|end| text.get(..end + 2));
    let is_tag = |tag: &&str| {
        let name = tag.trim_matches('$');
        !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    match tag.filter(is_tag) {
        Some(tag) => text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len()),
        None => text[1..].find(|letter| !is_word(letter)).map_or(text.len(), |end| end + 1),
    }
}

/// `/* … */`, with others within.
fn comment(text: &str) -> usize {
    let (mut depth, mut place) = (0_usize, 0);
    while let Some(rest) = text.get(place..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, place) = (depth + 1, place + 2);
        } else if rest.starts_with("*/") {
            (depth, place) = (depth - 1, place + 2);
            if depth == 0 {
                return place;
            }
        } else {
            place += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
