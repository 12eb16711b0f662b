//! Days move to their tiers: hot in a folder, warm and cold in two buckets of an S3 server. What is asked of that server has the storage class and the
//! encryption that are configured, and `DuckDB` reads all tiers by the statement of `docs/lake.md`.

use chrono::{Days, NaiveDate};
use serde_json::Value;

use crate::harness::components::need;
use crate::harness::events::{Event, event, femto};
use crate::harness::gateway::Gateway;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, Row, text};
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::recorder::{Head, Recorder};
use crate::harness::{broker, clock};

const EVENTS: u64 = 3_000;
/// Days ago that the events are of: the cold tier's, the warm one's, and today's.
const AGES: [u64; 3] = [10, 3, 0];

#[test]
fn sealed_days_lie_in_their_tiers_and_duckdb_reads_them_all() {
    need!(Kafka, Versitygw, Python);
    let (broker, gateway) = (broker::shared(), Gateway::start());
    let (warm, cold) = (gateway.add_bucket("warm"), gateway.add_bucket("cold"));
    let recorder = Recorder::before(&gateway.endpoint());
    let lake = Lake::file();
    let mut setup = Setup::new(broker, "tiers", 2, &lake);
    setup.set("LAKE__MAINTENANCE__ENABLED", "false");
    setup.file("spendstream.toml", &configuration(&gateway, &recorder));

    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let today = clock::today();
    let mut ledger = Ledger::default();
    for number in 0..EVENTS {
        let event = dated(number, today);
        producer.send(&event.id, event.json.as_bytes());
        ledger.add(&event);
    }
    producer.flush();
    let mut instance = setup.start_ready();
    // Nothing has moved yet: all rows are in the folder.
    ledger.wait_for(&lake, &mut instance);
    instance.stop();
    setup.run(&["lake", "maintain", "--once"]);

    assert_eq!(
        tiers(&setup),
        [("hot", 1_000), ("warm", 1_000), ("cold", 1_000)].map(|(name, rows)| (name.to_owned(), rows))
    );
    let own =
        first_json(&setup.run(&["sql", "SELECT count(*) AS n, sum(cost) AS cost FROM usage", "--format", "json"]));
    assert_eq!((text(&own[0]["n"]), femto(&text(&own[0]["cost"]))), (EVENTS.to_string(), ledger.sum()));
    setup.run(&["lake", "check"]);
    let outside = lake.duckdb(&[warm.join("lake/usage"), cold.join("lake/usage")]);
    assert_reads(&outside, &ledger);

    let heads = recorder.heads();
    assert_asked(&heads, "/warm/", "STANDARD_IA", &[("x-amz-server-side-encryption", "AES256")]);
    let kms = [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:us-east-1:123456789012:key/spend"),
    ];
    assert_asked(&heads, "/cold/", "GLACIER_IR", &kms);
}

/// Two tiers with a bucket each, reached through the recorder.
fn configuration(gateway: &Gateway, recorder: &Recorder) -> String {
    let options: Vec<String> = gateway
        .options()
        .into_iter()
        .map(|(name, value)| if name == "aws_endpoint" { (name, recorder.endpoint()) } else { (name, value) })
        .map(|(name, value)| format!("{name} = \"{value}\"\n"))
        .collect();
    let options = options.concat();
    format!(
        r#"
[lake.tiers.warm]
after_days = 0
uri = "s3://warm/lake"
storage_class = "STANDARD_IA"
[lake.tiers.warm.options]
{options}aws_server_side_encryption = "AES256"

[lake.tiers.cold]
after_days = 7
uri = "s3://cold/lake"
storage_class = "GLACIER_IR"
[lake.tiers.cold.options]
{options}aws_server_side_encryption = "aws:kms"
aws_sse_kms_key_id = "arn:aws:kms:us-east-1:123456789012:key/spend"
"#
    )
}

/// An event of the series, on one of the days; today's are of the day's first second, which has passed.
fn dated(number: u64, today: NaiveDate) -> Event {
    let mut event = event("tiers", number);
    let age = AGES[usize::try_from(number % 3).unwrap()];
    let date = today.checked_sub_days(Days::new(age)).unwrap();
    let (before, rest) = event.json.split_once(r#""time":""#).unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    event.json = format!(r#"{before}"time":"{date}T00:00:00.{:03}Z"{after}"#, number % 1_000);
    event
}

/// Names and rows of the tiers, hot first.
fn tiers(setup: &Setup) -> Vec<(String, u64)> {
    let status = first_json(&setup.run(&["lake", "status", "--format", "json"]));
    let tiers = status["tiers"].as_array().unwrap().iter();
    tiers.map(|tier| (text(&tier["name"]), tier["rows"].as_u64().unwrap())).collect()
}

/// The answer; the log may follow it.
fn first_json(said: &str) -> Value {
    serde_json::Deserializer::from_str(said).into_iter().next().expect("an answer").expect("JSON")
}

fn assert_reads(answers: &Row, ledger: &Ledger) {
    let answer = &answers["duckdb"];
    assert_eq!(text(&answer["rows"]), ledger.count().to_string(), "rows by DuckDB");
    assert_eq!(text(&answer["ids"]), ledger.count().to_string(), "ids by DuckDB");
    assert_eq!(femto(&text(&answer["cost"])), ledger.sum(), "sum by DuckDB");
}

/// Every object that is made in a bucket is encrypted as configured; data files have the class, the log has the default one.
fn assert_asked(heads: &[Head], bucket: &str, class: &str, encryption: &[(&str, &str)]) {
    // The parts of an upload follow what was asked for when it began.
    let makes = |head: &&Head| match head.method.as_str() {
        "PUT" => !head.path.contains("partNumber="),
        "POST" => head.path.ends_with("?uploads") || head.path.ends_with("?uploads="),
        _ => false,
    };
    let made: Vec<&Head> = heads.iter().filter(|head| head.path.starts_with(bucket)).filter(makes).collect();
    let (log, data): (Vec<&Head>, Vec<&Head>) =
        made.iter().copied().partition(|head| head.path.contains("/_delta_log/"));
    assert!(!log.is_empty() && !data.is_empty(), "{made:?}");
    for head in &made {
        for (name, value) in encryption {
            assert_eq!(head.header(name), Some(*value), "{name} of {} {}", head.method, head.path);
        }
    }
    for head in data {
        assert_eq!(head.header("x-amz-storage-class"), Some(class), "{} {}", head.method, head.path);
    }
    for head in log {
        assert_eq!(head.header("x-amz-storage-class"), None, "{} {}", head.method, head.path);
    }
}
