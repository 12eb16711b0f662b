//! A file with one event per line, sent line by line; a line that cannot be an event is skipped and named. The file is never
//! held as a whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;

use super::sender::Sender;
use super::verdict::{Verdict, of_line};
use super::{Count, send};

pub fn read(path: &Path, max_bytes: usize, limit: u64, sender: &mut Sender, count: &mut Count) -> anyhow::Result<()> {
    let at = || format!("file {}", path.display());
    let mut input: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).with_context(at)?))
    };
    let mut line = Vec::new();
    let mut number = 0_u64;
    while count.sent < limit && next(&mut *input, max_bytes, &mut line).with_context(at)? {
        number += 1;
        let place = format!("{}:{number}", path.display());
        match of_line(&line, max_bytes, &place) {
            Some(Verdict::Send(record)) => send(&record, sender, count)?,
            Some(Verdict::Skip(skip)) => count.skip(&place, skip, ""),
            Some(Verdict::Leave) | None => {}
        }
    }
    Ok(())
}

/// The next line, without its end; of one that is longer than `max_bytes` only so much that this can be seen. False at the end.
fn next(input: &mut dyn BufRead, max_bytes: usize, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = max_bytes as u64 + 2;
    let read = Read::take(&mut *input, limit).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == limit {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn a_line_that_is_too_long_does_not_disturb_the_next() {
        let mut input: &[u8] = b"ab\nabcdefghij\nc\n\nd";
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while next(&mut input, 4, &mut line).unwrap() {
            lines.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(lines, ["ab", "abcdef", "c", "", "d"]);
    }
}
