//! The two recorded hours: CSV texts that ship in the binary come in, calls ordered by time go out.
//!
//! Never reads a file: the texts are compiled in; `data/README.md` says where they are from.

use anyhow::Context;

const CONVERSATIONS: &str = include_str!("data/conversations.csv");
const CONTEXTS: &str = include_str!("data/contexts.csv");

/// Which recording a call is from; the two kinds of apps of the cast replay one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Short chats, nothing cached.
    Conversations,
    /// Long contexts whose prefixes come back.
    Contexts,
}

/// One recorded call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Milliseconds since the recording began.
    pub at_ms: u64,
    pub recording: Recording,
    /// All input tokens, cached ones included.
    pub input: u64,
    pub output: u64,
    /// Input tokens that were in the prompt cache already; less than `input`.
    pub cached: u64,
    /// Number of the conversation; 0 when the recording does not say.
    pub session: u64,
}

/// Both recordings as one, by time.
///
/// # Errors
/// When a text that ships is not what this module reads: names the line.
pub fn recorded() -> anyhow::Result<Vec<Call>> {
    let mut calls = parse(CONVERSATIONS, Recording::Conversations).context("conversations.csv")?;
    calls.extend(parse(CONTEXTS, Recording::Contexts).context("contexts.csv")?);
    calls.sort_by_key(|call| call.at_ms);
    Ok(calls)
}

fn parse(text: &str, recording: Recording) -> anyhow::Result<Vec<Call>> {
    let mut at_ms = 0;
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let mut fields = line.split(',').map(str::parse::<u64>);
        let mut next = || fields.next().transpose().with_context(|| format!("line {}: '{line}'", number + 1));
        at_ms += next()?.unwrap_or(0);
        let (input, output) = (next()?.unwrap_or(0), next()?.unwrap_or(0));
        let (cached, session) = (next()?.unwrap_or(0), next()?.unwrap_or(0));
        calls.push(Call { at_ms, recording, input, output, cached, session });
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::{Recording, recorded};

    #[test]
    fn both_recordings_are_whole_and_in_order() {
        let calls = recorded().unwrap();
        assert_eq!(calls.len(), 19_366 + 12_031);
        assert!(calls.is_sorted_by_key(|call| call.at_ms));
        assert!(calls.iter().all(|call| call.cached < call.input && call.output > 0));
        let sum = |of: Recording| calls.iter().filter(|call| call.recording == of).map(|call| call.input).sum::<u64>();
        assert_eq!((sum(Recording::Conversations), sum(Recording::Contexts)), (22_361_870, 144_793_823));
    }
}
