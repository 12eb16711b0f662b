//! The demo's traffic: recorded calls, a seed and a start come in; messages with the moment they are due go out, for ever.
//!
//! Deterministic: the same [`Plan`] gives the same bytes in the same order. A few messages are wrong on purpose: producers'
//! retries, calls of a model that nobody has a price for, and payloads that cannot be read. It never looks at a clock.

use std::time::Duration;

use super::cast::{App, CAST, Envelope, USERS};
use super::envelope::{Made, message};
use super::trace::Call;
use super::usage::Counts;

/// What makes one run of the demo differ from another.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Name of the run, part of every id: a second run is new calls, not repeats of the first.
    pub run: String,
    /// Milliseconds since the epoch at which the first recorded call happens.
    pub start_ms: i64,
    /// Recorded seconds per second.
    pub speed: u32,
}

/// What a message is, so that the end of the demo can be checked against the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A call to be counted once.
    Call(Counts),
    /// The same bytes once more: to be dropped.
    Repeat,
    /// Nothing that could be charged: to be dead-lettered.
    Unreadable,
}

/// One Kafka message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Since the start.
    pub due: Duration,
    pub key: String,
    pub content_type: Option<&'static str>,
    pub payload: Vec<u8>,
    pub sent: Sent,
}

/// One call in so many is sent twice, one message in so many cannot be read; the first ones come early.
const REPEAT_EVERY: u64 = 997;
const UNREADABLE_EVERY: u64 = 1_499;
const FIRST_ODDITY: u64 = 40;

/// The messages of a run.
pub struct Traffic {
    plan: Plan,
    calls: Vec<Call>,
    /// Where in `calls`, how many times around, and how many calls were made in all.
    next: usize,
    lap: u64,
    made: u64,
    /// Mixes the seed and the name of the run.
    salt: u64,
    repeat: bool,
    /// Messages beside the next call.
    waiting: Vec<Message>,
}

impl Traffic {
    /// `calls` by time, not empty.
    pub fn new(plan: Plan, calls: Vec<Call>) -> Self {
        let salt = plan.run.bytes().fold(plan.seed, |salt, byte| mix(salt ^ u64::from(byte)));
        Self { plan, calls, next: 0, lap: 0, made: 0, salt, repeat: false, waiting: Vec::new() }
    }

    /// The next recorded call and its moment in milliseconds of the recording; starts over after the last.
    fn call(&mut self) -> Option<(Call, u64)> {
        if self.next == self.calls.len() {
            self.next = 0;
            self.lap += 1;
        }
        // A second lies between the last call of a lap and the first of the next.
        let lap_ms = self.calls.last()?.at_ms + 1_000;
        let call = *self.calls.get(self.next)?;
        self.next += 1;
        Some((call, self.lap * lap_ms + call.at_ms))
    }

    fn make(&self, call: &Call, app: &'static App, due: Duration, dice: &mut Dice) -> Made<'static> {
        let mut counts = Counts::of(call, app.shape, dice.roll());
        let failed = app.envelope == Envelope::Event && dice.roll().is_multiple_of(200);
        if failed {
            counts = Counts::default();
        }
        let session = match call.session {
            0 => String::new(),
            session => format!("{}-c{}.{session}", self.plan.run, self.lap),
        };
        Made {
            app,
            id: format!("{}-{:07}", self.plan.run, self.made),
            // The smaller of two rolls: a few people make most of the calls.
            user: USERS[(dice.roll() % 24).min(dice.roll() % 24) as usize],
            session,
            trace: u128::from(dice.roll()) << 64 | u128::from(dice.roll()),
            ended_ms: self.plan.start_ms + i64::try_from(due.as_millis()).unwrap_or(0),
            latency_ms: 180 + counts.input / 40 + counts.output * 11 + dice.roll() % 150,
            failed,
            cache_hit: app.name == "answer-box" && !failed && dice.roll().is_multiple_of(25),
            // One prompt in ten is one of a hundred that are asked again and again.
            prompt_hash: if dice.roll().is_multiple_of(10) { mix(dice.roll() % 100) } else { dice.roll() },
            counts,
        }
    }

    /// Puts the deliberate oddities that follow this call in line.
    fn oddities(&mut self, after: &Message, made: &Made<'_>) {
        self.repeat |= self.made % REPEAT_EVERY == FIRST_ODDITY;
        if self.repeat && made.app.envelope == Envelope::Event {
            self.repeat = false;
            self.waiting.push(Message { sent: Sent::Repeat, ..after.clone() });
        }
        if self.made % UNREADABLE_EVERY == 2 * FIRST_ODDITY {
            let key = format!("{}-x{:07}", self.plan.run, self.made);
            let payload = unreadable(&key, made, self.made / UNREADABLE_EVERY);
            let content_type = None;
            self.waiting.push(Message { due: after.due, key, content_type, payload, sent: Sent::Unreadable });
        }
    }
}

impl Iterator for Traffic {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.waiting.pop() {
            return Some(message);
        }
        let (call, at_ms) = self.call()?;
        self.made += 1;
        let due = Duration::from_micros(at_ms * 1_000 / u64::from(self.plan.speed.max(1)));
        let mut dice = Dice(mix(self.salt ^ self.made));
        // A conversation stays with its app.
        let chance = if call.session == 0 { dice.roll() } else { mix(self.plan.seed ^ call.session) };
        let made = self.make(&call, app_of(&call, chance), due, &mut dice);
        let (key, content_type, payload) = message(&made);
        let message = Message { due, key, content_type, payload, sent: Sent::Call(made.counts) };
        self.oddities(&message, &made);
        Some(message)
    }
}

/// One of the apps that replay the call's recording, by their shares.
fn app_of(call: &Call, chance: u64) -> &'static App {
    let apps = || CAST.iter().filter(|app| app.recording == call.recording);
    let mut rest = chance % apps().map(|app| app.share).sum::<u64>().max(1);
    for app in apps() {
        if rest < app.share {
            return app;
        }
        rest -= app.share;
    }
    &CAST[0]
}

/// A message that must not be charged: cut off in the middle, a negative count, or a part larger than its total, in turn.
fn unreadable(id: &str, made: &Made<'_>, turn: u64) -> Vec<u8> {
    let usage = match turn % 3 {
        0 => return format!(r#"{{"id":"{id}","time":{},"provider":"openai","usa"#, made.ended_ms).into_bytes(),
        1 => r#"{"prompt_tokens":-120,"completion_tokens":8}"#,
        _ => r#"{"prompt_tokens":100,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":900}}"#,
    };
    let (time, organization) = (made.ended_ms, made.app.organization);
    let head =
        format!(r#"{{"id":"{id}","time":{time},"provider":"openai","model":"gpt-5","organization":"{organization}""#);
    format!(r#"{head},"usage":{usage}}}"#).into_bytes()
}

/// Numbers that look random and are not.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

/// The finaliser of `SplitMix64`: every bit of the input changes half of the output.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::{Plan, Sent, Traffic};
    use crate::demo::trace::recorded;

    fn plan(seed: u64, run: &str) -> Plan {
        Plan { seed, run: run.to_owned(), start_ms: 1_795_000_000_000, speed: 60 }
    }

    fn traffic(seed: u64, run: &str) -> Traffic {
        Traffic::new(plan(seed, run), recorded().unwrap())
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes() {
        let bytes = |seed, run| traffic(seed, run).take(3_000).map(|message| message.payload).collect::<Vec<_>>();
        assert_eq!(bytes(1, "a"), bytes(1, "a"));
        assert_ne!(bytes(1, "a"), bytes(2, "a"));
    }

    #[test]
    fn a_whole_hour_is_every_recorded_call_once_and_the_oddities() {
        let end = Duration::from_millis(recorded().unwrap().last().unwrap().at_ms / 60 + 1);
        let hour: Vec<_> = traffic(1, "a").take_while(|message| message.due < end).collect();
        let counts = |sent: Sent| match sent {
            Sent::Call(counts) => Some(counts),
            _ => None,
        };
        let calls: Vec<_> = hour.iter().filter_map(|message| counts(message.sent)).collect();
        let number = |sent| hour.iter().filter(|message| message.sent == sent).count();
        assert_eq!((calls.len(), number(Sent::Repeat), number(Sent::Unreadable)), (31_397, 32, 21));
        assert!(hour.is_sorted_by_key(|message| message.due));
        let ids: HashSet<_> = hour.iter().map(|message| &message.key).collect();
        assert_eq!(ids.len(), hour.len() - 32);
    }

    #[test]
    fn a_second_run_has_other_ids() {
        let keys = |run| traffic(1, run).take(5_000).map(|message| message.key).collect::<HashSet<_>>();
        assert!(keys("a").is_disjoint(&keys("b")));
    }

    #[test]
    fn time_is_the_recordings_own_but_faster() {
        let after_a_second = traffic(1, "a").skip_while(|message| message.due.as_millis() < 1_000);
        let events = after_a_second.take(20).map(|message| String::from_utf8(message.payload).unwrap());
        let own = events.filter(|event| event.contains("\"latency_ms\"")).collect::<Vec<_>>();
        assert!(!own.is_empty());
        assert!(own.iter().all(|event| event.contains("\"time\":\"2026-11-18T11:06:41.")), "{own:?}");
    }
}
