//! Rows of persons who are pseudonymous or erased, and their repeats: before, after, and after a restart.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use spendstream_schemas::config::{Config, LiveConfig};
use spendstream_schemas::directory::{Directory, Precedence, read};
use spendstream_schemas::ids::{OffsetRange, SourcePartition};
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::pseudonym::{Cover, Dimension, ErasedList, Erasure, PrivacyKey, Pseudonyms};
use tokio::sync::{mpsc, watch};

use super::Worker;
use crate::aggregate::live::Live;
use crate::batch::{Generation, PricedBatch, RawBatch, RawMeta};
use crate::buffers::Buffers;
use crate::dedupe::horizon::Horizon;
use crate::dedupe::rebuild;
use crate::metrics::Metrics;

const DIRECTORY: &str = "kind,name,team\nuser,Eve@x.org,search\nuser,bob,ads\n";

fn key() -> PrivacyKey {
    PrivacyKey::new("0123456789abcdef").unwrap()
}

fn pseudonyms(names: &[&str]) -> Pseudonyms {
    Pseudonyms::new(key(), names.iter().map(|name| name.parse().unwrap()))
}

fn cover(pseudonymous: &[&str], erased: &[&str]) -> Cover {
    let erased = erased.iter().map(|user| (Dimension::USER, Erasure::new(&key(), Dimension::USER, user).hash()));
    Cover::new(pseudonyms(pseudonymous), ErasedList::new(key(), erased))
}

/// A worker, and how to tell it of another cover.
struct Rig {
    worker: Worker,
    covers: watch::Sender<Arc<Cover>>,
    next: i64,
}

impl Rig {
    /// `before`: rows of the lake that it starts from.
    fn new(cover: Cover, before: &[RecordBatch]) -> Self {
        let entries = cover.pseudonyms().entries(read(DIRECTORY, "d.csv").unwrap());
        let directory = Arc::new(Directory::new(entries, &Precedence::default()));
        let (covers, follow) = watch::channel(Arc::new(cover));
        let book = watch::channel(PriceBook::builtin().unwrap()).1;
        let live = Live::new(&LiveConfig::default());
        let ends = (live.feed(mpsc::channel(1).0), Buffers::default());
        let follows = (book, watch::channel(directory).1, follow);
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut worker = Worker::new(&Config::default(), follows, metrics, mpsc::channel(1).0, ends);
        let mut horizon = Horizon::new(1_000, 1_000);
        let mut next = 0;
        for (offset, _, print) in before.iter().flat_map(|batch| rebuild::fingerprints(batch).unwrap()) {
            horizon.remember(offset, &print);
            next = next.max(offset + 1);
        }
        worker.horizons.insert(0, (Generation(1), horizon));
        Self { worker, covers, next }
    }

    fn read(&mut self, payloads: &[String]) -> PricedBatch {
        let (mut bytes, mut messages) = (Vec::new(), Vec::new());
        for payload in payloads {
            let from = u32::try_from(bytes.len()).unwrap();
            bytes.extend_from_slice(payload.as_bytes());
            let payload = Some((from, u32::try_from(bytes.len()).unwrap()));
            let timestamp_ms = Some(1_795_370_400_000);
            messages.push(RawMeta { offset: self.next, timestamp_ms, payload, key: payload, headers: None });
            self.next += 1;
        }
        let range = OffsetRange::new(self.next - i64::try_from(payloads.len()).unwrap(), self.next).unwrap();
        let source = Arc::new(SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 0 });
        let raw = RawBatch { source, generation: Generation(1), range, bytes, messages, is_end: false };
        self.worker.process(&raw).unwrap().unwrap().0
    }
}

fn event(id: &str, user: &str, input: u32) -> String {
    format!(
        r#"{{"id":"{id}","time":"2026-11-22T10:00:00Z","provider":"openai","model":"gpt-4o","user":"{user}","customer":"acme",
        "prompt_hash":"f00d","tags":{{"mail":"{user}","env":"prod"}},"usage":{{"input_tokens":{input},"output_tokens":1}}}}"#
    )
}

fn texts(batch: &PricedBatch, name: &str) -> Vec<String> {
    let shown = |(_, rows): &(i32, RecordBatch)| {
        let column = Arc::clone(rows.column_by_name(name).unwrap());
        (0..rows.num_rows())
            .map(move |row| arrow::util::display::array_value_to_string(&column, row).unwrap())
            .collect::<Vec<_>>()
    };
    batch.rows.iter().flat_map(shown).collect()
}

fn lake(batch: &PricedBatch) -> Vec<RecordBatch> {
    batch.rows.iter().map(|(_, rows)| rows.clone()).collect()
}

/// All that leaves the worker, as text.
fn all(batch: &PricedBatch) -> String {
    let rows = batch
        .rows
        .iter()
        .map(|(_, rows)| arrow::util::pretty::pretty_format_batches(std::slice::from_ref(rows)).unwrap().to_string());
    let letters = batch.dead_letters.iter().map(|letter| {
        let key = String::from_utf8_lossy(letter.key.as_deref().unwrap_or_default()).into_owned();
        format!("{letter:?} {key} {}", String::from_utf8_lossy(&letter.payload))
    });
    rows.chain(letters).collect::<Vec<_>>().join("\n").to_lowercase()
}

fn sent() -> Vec<String> {
    vec![event("call/eve@x.org/1", "Eve@x.org", 10), event("2", "bob", 10), event("3", "eve@X.org", 10)]
}

#[test]
fn rows_of_pseudonymous_users_have_their_owners_and_nobodys_name() {
    let eve = key().pseudonym(&Dimension::USER, "eve@x.org");
    let mut rig = Rig::new(cover(&["user_id"], &[]), &[]);
    let priced = rig.read(&sent());
    let users = texts(&priced, "user_id");
    assert_eq!((users[0].as_str(), users[2].as_str(), priced.tally.rows), (&*eve, &*eve, 3));
    assert_eq!(texts(&priced, "team"), ["search", "ads", "search"], "by the directory of the clear names");
    assert_eq!(texts(&priced, "customer"), ["acme"; 3]);
    assert_eq!(texts(&priced, "event_id")[0], format!("call/{eve}/1"));
    assert!(!all(&priced).contains("eve@") && !all(&priced).contains("bob"));
}

#[test]
fn rows_of_an_erased_user_are_anonymous_and_cost_the_same() {
    let mut rig = Rig::new(cover(&[], &["EVE@x.org"]), &[]);
    let priced = rig.read(&sent());
    assert_eq!(texts(&priced, "user_id"), ["erased", "bob", "erased"]);
    assert_eq!(texts(&priced, "customer"), ["", "acme", ""]);
    assert_eq!(texts(&priced, "prompt_hash"), ["", "f00d", ""]);
    let (ids, costs) = (texts(&priced, "event_id"), texts(&priced, "cost"));
    assert!(ids[0].starts_with("erased-") && ids[1..] == ["2", "3"], "{ids:?}");
    assert!(costs[0] == costs[1] && costs[1] == costs[2]);
    assert!(!all(&priced).contains("eve@"));
}

/// In each of these orders every event is charged once.
#[test]
fn repeats_are_recognised_whatever_became_of_their_person_meanwhile() {
    let (plain, named) = (|| cover(&[], &[]), || cover(&["user_id"], &[]));
    let (gone, both) = (|| cover(&[], &["eve@x.org"]), || cover(&["user_id"], &["eve@x.org"]));
    let ways: [(Cover, Cover); 8] = [
        (plain(), plain()),
        (named(), named()),
        (gone(), gone()),
        (both(), both()),
        (plain(), named()),
        (plain(), gone()),
        (named(), both()),
        (plain(), both()),
    ];
    for (number, (first, then)) in ways.into_iter().enumerate() {
        let mut rig = Rig::new(first, &[]);
        let priced = rig.read(&sent());
        assert_eq!(priced.tally.rows, 3);
        rig.covers.send_replace(Arc::new(then.clone()));
        let again = rig.read(&sent());
        assert_eq!((again.tally.duplicates, again.tally.rows, again.tally.rejected), (3, 0, 0), "way {number}");
        // The same after a restart: from the lake, which is rewritten later if at all.
        let again = Rig::new(then, &lake(&priced)).read(&sent());
        assert_eq!(
            (again.tally.duplicates, again.tally.rows, again.tally.rejected),
            (3, 0, 0),
            "way {number}, restarted"
        );
    }
}

#[test]
fn letters_name_nobody_either() {
    for cover in [cover(&["user_id"], &[]), cover(&[], &["eve@x.org"]), cover(&["user_id"], &["eve@x.org"])] {
        let mut rig = Rig::new(cover, &[]);
        let broken = event("9", "Eve@x.org", 10).replace("\"input_tokens\":10", "\"input_tokens\":-10");
        let conflict = event("3", "eve@x.org", 11);
        let priced = rig.read(&[&sent()[..], &[broken, conflict, "eve@x.org".to_owned()]].concat());
        assert_eq!((priced.tally.rows, priced.tally.rejected), (3, 3));
        assert!(!all(&priced).contains("eve@"), "{}", all(&priced));
        let reasons: Vec<_> = priced.dead_letters.iter().map(|letter| letter.reason).collect();
        assert_eq!(reasons, ["negative_count", "id_conflict", "not_json"]);
    }
}
