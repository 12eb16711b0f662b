//! What to do with a dead letter or a line of a file: values in, a record to send or a reason not to out. No IO.

use std::fmt;

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Option<Vec<u8>>,
    /// Headers that say how to read the payload (`content-type`, `ce_*`).
    pub headers: Vec<(String, Vec<u8>)>,
    pub payload: Vec<u8>,
    /// Where it comes from, for the header `spendstream.replayed`.
    pub origin: String,
    /// Why it was rejected, for the count.
    pub reason: Option<String>,
}

/// Why something cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    Truncated,
    NoPayload,
    NotJson,
    TooLarge,
}

impl fmt::Display for Skip {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Skip::Truncated => "only its beginning was kept",
            Skip::NoPayload => "it has no payload",
            Skip::NotJson => "it is no JSON object",
            Skip::TooLarge => "it is larger than decode.max_message_bytes",
        })
    }
}

/// A message of the dead-letter topic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Letter<'a> {
    pub payload: Option<&'a [u8]>,
    /// Header `spendstream.key`: the key of the message that was rejected.
    pub key: Option<&'a [u8]>,
    pub reason: Option<&'a str>,
    /// Header `spendstream.topic`.
    pub topic: Option<&'a str>,
    /// Header `spendstream.truncated`.
    pub truncated: bool,
}

/// What becomes of a message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Send(Record),
    Skip(Skip),
    /// Not asked for: another reason, or rejected from another topic.
    Leave,
}

/// `topic` is where it would be sent, `place` where it lies.
pub fn of_letter(letter: &Letter<'_>, topic: &str, reason: Option<&str>, place: &str) -> Verdict {
    let other_reason = reason.is_some_and(|reason| letter.reason != Some(reason));
    let other_topic = letter.topic.is_some_and(|from| from != topic);
    if other_reason || other_topic {
        return Verdict::Leave;
    }
    if letter.truncated {
        return Verdict::Skip(Skip::Truncated);
    }
    match letter.payload {
        None | Some([]) => Verdict::Skip(Skip::NoPayload),
        Some(payload) => Verdict::Send(Record {
            key: letter.key.map(<[u8]>::to_vec),
            headers: Vec::new(),
            payload: payload.to_vec(),
            origin: place.to_owned(),
            reason: Some(letter.reason.unwrap_or("without a reason").to_owned()),
        }),
    }
}

/// A line of a file; blank ones are nothing.
pub fn of_line(line: &[u8], limit: usize, place: &str) -> Option<Verdict> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    if line.len() > limit {
        return Some(Verdict::Skip(Skip::TooLarge));
    }
    let Ok(event) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line) else {
        return Some(Verdict::Skip(Skip::NotJson));
    };
    Some(Verdict::Send(Record {
        key: Some(key(&event, line)),
        headers: Vec::new(),
        payload: line.to_vec(),
        origin: place.to_owned(),
        reason: None,
    }))
}

/// As producers key: by the event's id, so that a repeat meets it in one partition; without one, by the content.
fn key(event: &serde_json::Map<String, serde_json::Value>, line: &[u8]) -> Vec<u8> {
    match event.get("id").or_else(|| event.get("transaction_id")) {
        Some(serde_json::Value::String(id)) if !id.is_empty() => id.as_bytes().to_vec(),
        Some(serde_json::Value::Number(id)) => id.to_string().into_bytes(),
        _ => format!("{:016x}", fnv1a(line)).into_bytes(),
    }
}

/// FNV-1a, 64 bits: the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::{Letter, Skip, Verdict, of_letter, of_line};

    fn check_letter(letter: Letter<'_>, reason: Option<&str>, expected: &str) {
        let text = match of_letter(&letter, "usage.events", reason, "dead/0/7") {
            Verdict::Send(record) => format!(
                "send {} {} {}",
                record.key.map_or("-".into(), |key| String::from_utf8(key).unwrap()),
                String::from_utf8(record.payload).unwrap(),
                record.origin
            ),
            Verdict::Skip(skip) => format!("skip: {skip}"),
            Verdict::Leave => "leave".to_owned(),
        };
        assert_eq!(text, expected, "{letter:?}");
    }

    #[test]
    fn a_letter_goes_back_under_its_own_key() {
        let letter = Letter {
            payload: Some(b"{}"),
            key: Some(b"id-1"),
            reason: Some("bad_json"),
            topic: Some("usage.events"),
            truncated: false,
        };
        check_letter(letter, None, "send id-1 {} dead/0/7");
        check_letter(letter, Some("bad_json"), "send id-1 {} dead/0/7");
        check_letter(letter, Some("too_large"), "leave");
        check_letter(Letter { topic: Some("other"), ..letter }, None, "leave");
        check_letter(Letter { key: None, topic: None, reason: None, ..letter }, None, "send - {} dead/0/7");
    }

    #[test]
    fn what_is_not_whole_is_never_sent() {
        let letter = Letter { payload: Some(b"{"), ..Letter::default() };
        check_letter(Letter { truncated: true, ..letter }, None, "skip: only its beginning was kept");
        check_letter(Letter { payload: None, ..letter }, None, "skip: it has no payload");
        check_letter(Letter { payload: Some(b""), ..letter }, None, "skip: it has no payload");
    }

    #[test]
    fn a_line_is_keyed_by_its_id() {
        let key = |line: &str| match of_line(line.as_bytes(), 100, "file:1") {
            Some(Verdict::Send(record)) => {
                assert_eq!(record.payload, line.trim().as_bytes());
                String::from_utf8(record.key.unwrap()).unwrap()
            }
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(key("  {\"id\": \"a\"}\r"), "a");
        assert_eq!(key("{\"id\": 12}"), "12");
        assert_eq!(key("{\"transaction_id\": \"t\"}"), "t");
        assert_eq!(key("{\"x\": 1}"), key("{\"x\": 1} "), "equal content, equal key");
        assert_ne!(key("{\"x\": 1}"), key("{\"x\": 2}"));
    }

    #[test]
    fn lines_that_are_no_events_are_refused() {
        assert_eq!(of_line(b"  \r", 100, ""), None);
        assert_eq!(of_line(b"[1]", 100, ""), Some(Verdict::Skip(Skip::NotJson)));
        assert_eq!(of_line(b"{\"id\": ", 100, ""), Some(Verdict::Skip(Skip::NotJson)));
        assert_eq!(of_line(b"{\"id\": \"a\"}", 5, ""), Some(Verdict::Skip(Skip::TooLarge)));
    }
}
