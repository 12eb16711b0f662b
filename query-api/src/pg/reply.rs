//! What the server sends, as the protocol (version 3) frames it. In: what to say; out: bytes at the end of a buffer. Pure.

use bytes::{BufMut, BytesMut};

use super::failure::Failure;
use super::types::Column;

/// What a session is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transaction {
    #[default]
    Idle,
    Open,
    /// A statement in it failed: all are refused until it ends.
    Failed,
}

/// Whether an error ends the session, or a note is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Fatal,
    Notice,
}

/// Appends a message of type `kind` whose body `write` makes.
fn framed(out: &mut BytesMut, kind: u8, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let start = out.len();
    out.put_i32(0);
    write(out);
    let length = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Text up to a zero; a zero within it would end it early, and is left out.
fn text(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}

fn count(out: &mut BytesMut, count: usize) {
    out.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
}

pub fn ask_password(out: &mut BytesMut) {
    framed(out, b'R', |out| out.put_i32(3));
}

pub fn welcome(out: &mut BytesMut) {
    framed(out, b'R', |out| out.put_i32(0));
}

pub fn setting(out: &mut BytesMut, name: &str, value: &str) {
    framed(out, b'S', |out| {
        text(out, name);
        text(out, value);
    });
}

/// With what the client may end a query of this session.
pub fn cancel_key(out: &mut BytesMut, process: i32, secret: i32) {
    framed(out, b'K', |out| {
        out.put_i32(process);
        out.put_i32(secret);
    });
}

/// No later version than 3.0, and none of the options that only later ones have.
pub fn older_version<'o>(out: &mut BytesMut, unknown: impl ExactSizeIterator<Item = &'o str>) {
    framed(out, b'v', |out| {
        out.put_i32(3 << 16);
        out.put_i32(i32::try_from(unknown.len()).unwrap_or(i32::MAX));
        unknown.for_each(|option| text(out, option));
    });
}

pub fn ready(out: &mut BytesMut, transaction: Transaction) {
    framed(out, b'Z', |out| {
        out.put_u8(match transaction {
            Transaction::Idle => b'I',
            Transaction::Open => b'T',
            Transaction::Failed => b'E',
        });
    });
}

pub fn parsed(out: &mut BytesMut) {
    framed(out, b'1', |_| {});
}

pub fn bound(out: &mut BytesMut) {
    framed(out, b'2', |_| {});
}

pub fn closed(out: &mut BytesMut) {
    framed(out, b'3', |_| {});
}

pub fn no_rows(out: &mut BytesMut) {
    framed(out, b'n', |_| {});
}

pub fn suspended(out: &mut BytesMut) {
    framed(out, b's', |_| {});
}

pub fn empty_statement(out: &mut BytesMut) {
    framed(out, b'I', |_| {});
}

pub fn done(out: &mut BytesMut, tag: &str) {
    framed(out, b'C', |out| text(out, tag));
}

pub fn parameters(out: &mut BytesMut, types: &[u32]) {
    framed(out, b't', |out| {
        count(out, types.len());
        for oid in types {
            out.put_u32(*oid);
        }
    });
}

pub fn columns(out: &mut BytesMut, columns: &[Column]) {
    framed(out, b'T', |out| {
        count(out, columns.len());
        for column in columns {
            text(out, &column.name);
            // Of no table, so that nobody believes it could be changed there.
            out.put_i32(0);
            out.put_i16(0);
            out.put_u32(column.kind.oid());
            out.put_i16(column.kind.size());
            out.put_i32(-1);
            out.put_i16(column.format.code());
        }
    });
}

/// One row, of values that `write` makes.
pub fn row(out: &mut BytesMut, columns: usize, write: impl FnOnce(&mut BytesMut)) {
    framed(out, b'D', |out| {
        count(out, columns);
        write(out);
    });
}

/// A value's length and its bytes; `write` says whether it is one, else NULL is written.
pub fn value(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> bool) {
    let start = out.len();
    out.put_i32(-1);
    if write(out) {
        let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    } else {
        out.truncate(start + 4);
    }
}

pub fn failure(out: &mut BytesMut, severity: Severity, failure: &Failure) {
    let (kind, word) = match severity {
        Severity::Error => (b'E', "ERROR"),
        Severity::Fatal => (b'E', "FATAL"),
        Severity::Notice => (b'N', "NOTICE"),
    };
    framed(out, kind, |out| {
        for (field, value) in [(b'S', word), (b'V', word), (b'C', failure.code), (b'M', &failure.message)] {
            out.put_u8(field);
            text(out, value);
        }
        if let Some(hint) = &failure.hint {
            out.put_u8(b'H');
            text(out, hint);
        }
        out.put_u8(0);
    });
}
