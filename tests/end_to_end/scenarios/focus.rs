//! A FOCUS 1.2 export of a lake with everything in it: the validator of the FinOps Foundation finds nothing wrong but the one rule that contradicts another,
//! and what is billed adds up to the lake's money to the last digit.

use std::path::Path;
use std::process::Command;

use spendstream_pipeline::lake::charges::Charges;
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::money::Amount;
use spendstream_schemas::table::charges::{Charge, ChargeCategory};

use crate::harness::broker;
use crate::harness::components::{Component, need};
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::producer::Producer;

/// Cache reads and writes, audio, reasoning, the batch tier, web searches, a response cache, a negotiated price, two models without a price, tags and letters
/// beyond ASCII.
const CALLS: [&str; 11] = [
    r#""provider":"anthropic","model":"claude-sonnet-4-5","team":"search","usage":{"input_tokens":2048,"cache_read_tokens":1024,"cache_write_tokens":300,"cache_write_1h_tokens":77,"output_tokens":333}"#,
    r#""provider":"openai","model":"gpt-4o-audio-preview","team":"voice","usage":{"input_tokens":1000,"audio_input_tokens":301,"output_tokens":90,"audio_output_tokens":41}"#,
    r#""provider":"openai","model":"gpt-5","team":"search","usage":{"input_tokens":777,"cache_read_tokens":512,"output_tokens":900,"reasoning_tokens":640}"#,
    r#""provider":"openai","model":"gpt-5","team":"search","service_tier":"batch","usage":{"input_tokens":12345,"output_tokens":1}"#,
    r#""provider":"anthropic","model":"claude-sonnet-4-5","organization":"acme","team":"Zürich","usage":{"input_tokens":90,"output_tokens":7,"web_searches":3}"#,
    r#""provider":"anthropic","model":"claude-sonnet-4-5","organization":"acme","team":"search","tags":{"release":"r\"1\"","ü":"ö"},"usage":{"input_tokens":90,"output_tokens":7}"#,
    r#""provider":"openai","model":"gpt-4o-mini","team":"search","cache_hit":true,"usage":{"input_tokens":90,"output_tokens":7}"#,
    r#""provider":"openai","model":"text-embedding-3-small","operation":"embeddings","billing_account":"0042","usage":{"input_tokens":9999}"#,
    r#""provider":"aws_bedrock","model":"amazon.nova-pro-v1:0","region":"us-east-1","usage":{"input_tokens":31,"output_tokens":17}"#,
    r#""provider":"openai","model":"gpt-99-nova","team":"search","usage":{"input_tokens":1000,"output_tokens":10}"#,
    r#""provider":"nobody","model":"m","usage":{"document_page":3}"#,
];

/// The only failure: `InvoiceId-C-004-C` wants what `InvoiceId-C-005-C` forbids, and each is checked for every row.
const CONTRADICTED: &str = "InvoiceId-C-00";

/// What a provider of models supports, in the validator's words; with none of them it checks no more than what every bill must have.
const SUPPORTED: &str = "MULTIPLE_PRICING_CATEGORIES_SUPPORTED,MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED,NEGOTIATED_PRICING_SUPPORTED,\
     PUBLIC_PRICE_LIST_SUPPORTED,USAGE_MEASUREMENT_SUPPORTED,UNIT_PRICING_SUPPORTED,SUB_ACCOUNT_SUPPORTED,REGION_SUPPORTED,TAGGING_SUPPORTED";

#[test]
fn the_validator_finds_nothing_in_a_lake_with_everything() {
    need!(Kafka, Focus);
    let (broker, lake) = (broker::shared(), Lake::file());
    fill(&lake, broker);
    let folder = tempfile::tempdir().unwrap();
    for (form, criteria) in [("csv", ""), ("csv", SUPPORTED), ("parquet", SUPPORTED)] {
        let file = folder.path().join(format!("november.{form}"));
        let name = file.to_str().unwrap();
        let output =
            lake.run(&["report", "focus", "--month", "2026-11", "--format", form, "--out", name, "--lake", lake.uri()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("WARNING: 2 calls have no price"), "{said}");
        let sum = &lake.rows("SELECT sum(amount) AS amount FROM spend")[0]["amount"];
        assert!(said.contains(&format!("BilledCost {} USD", text(sum))), "{said}");
        assert_valid(&file, criteria);
    }
}

/// Two days of calls, and charges of every category.
fn fill(lake: &Lake, broker: &broker::Broker) {
    let mut setup = Setup::new(broker, "focus", 1, lake);
    setup.file(
        "overrides.toml",
        "[[override]]\nid = \"deal\"\norganization = \"acme\"\nprovider = \"anthropic\"\ndiscount_percent = \"12.5\"\n",
    );
    setup.set("PRICES__OVERRIDES", "overrides.toml");
    let producer = Producer::new(broker, &setup.topic, 1);
    for day in [2, 3] {
        for (number, call) in CALLS.iter().enumerate() {
            let id = format!("focus-{day}-{number}");
            // The unpriced ones on one of the days.
            if day == 3 && number >= CALLS.len() - 2 {
                continue;
            }
            producer.send(&id, format!(r#"{{"id":"{id}","time":"2026-11-{day:02}T09:30:00Z",{call}}}"#).as_bytes());
        }
    }
    producer.flush();
    let mut instance = setup.start_ready();
    instance.wait_rows(lake, 2 * CALLS.len() as u64 - 2);
    instance.stop();
    let place =
        spendstream_storage::Lake::open(&LakeConfig { uri: lake.uri().to_owned(), ..LakeConfig::default() }).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Charges::new(&place).append(&charges())).unwrap();
}

fn charges() -> Vec<Charge> {
    // The second of November 2026.
    let time = 1_793_577_600_000_000;
    let kinds = ChargeCategory::ALL.into_iter().enumerate().flat_map(|(position, category)| {
        [false, true].map(|correction| {
            let mut charge = Charge::blank(format!("{category}-{correction}"), category, "USD", "close");
            let sign = if correction || category == ChargeCategory::Credit { -1 } else { 1 };
            (charge.time, charge.period) = (time, (time, time + 86_400_000_000));
            charge.billing_period = "2026-11".into();
            charge.amount = Amount::from_units(sign * (1_000_000_000_000_001 + position as i128)).unwrap();
            charge.provider = Some("anthropic".into());
            charge.texts.insert(Text::Team, "search".into());
            (charge.correction, charge.reason) = (correction, Some("month end".into()));
            charge
        })
    });
    kinds.collect()
}

/// The validator's exit code says nothing: its lines do.
fn assert_valid(file: &Path, criteria: &str) {
    let place = Component::Focus.path();
    let mut validator = Command::new(place.join("venv/bin/focus-validator"));
    validator
        .current_dir(place.join("packages"))
        .args(["--validate-version", "1.2.0.1", "--block-download", "--data-file"])
        .arg(file);
    if !criteria.is_empty() {
        validator.args(["--applicability-criteria", criteria]);
    }
    let output = validator.output().expect("the validator starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Total:"), "{said}");
    let failed: Vec<_> = said.lines().filter(|line| line.contains(": FAIL")).collect();
    assert_eq!(failed.len(), 1, "{} {criteria}: {failed:#?}", file.display());
    assert!(failed[0].contains(CONTRADICTED), "{failed:?}");
}
