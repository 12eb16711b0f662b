//! The configuration as an operator meets it: files, variables, and the one line that says what is wrong.

use spendstream_schemas::config::{Config, KafkaStart};
use toml::{Table, Value};

use super::{SAMPLE, resolve};

fn load(text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
    resolve("s.toml", text, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn check_error(text: &str, variables: &[(&str, &str)], expected: &str) {
    let message = crate::cli::one_line(&load(text, variables).expect_err(expected));
    assert_eq!(message, expected);
}

#[test]
fn nothing_gives_the_default() {
    assert_eq!(load("", &[]).unwrap(), Config::default());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let text = "[kafka]\nbrokers = 'a:1'\ntopic = 'file'\n[lake]\ncommit_interval = '200ms'";
    let config = load(text, &[("SPENDSTREAM__KAFKA__TOPIC", "env"), ("SPENDSTREAM__KAFKA__START", "latest")]).unwrap();
    assert_eq!((config.kafka.brokers.as_str(), config.kafka.topic.as_str()), ("a:1", "env"));
    assert_eq!(config.kafka.start, KafkaStart::Latest);
    assert_eq!(config.lake.commit_interval.as_millis(), 200);
    assert_eq!(config.kafka.group, "spendstream");
}

#[test]
fn a_text_that_looks_like_something_else_stays_a_text() {
    let config = load(
        "",
        &[
            ("SPENDSTREAM__KAFKA__GROUP", "123"),
            ("SPENDSTREAM__KAFKA__CLUSTER", "true"),
            ("SPENDSTREAM__KAFKA__BROKERS", "host:9092"),
            ("SPENDSTREAM__LAKE__OPTIONS__AWS_SECRET_ACCESS_KEY", "[1e5/+=\"{"),
            ("SPENDSTREAM__LAKE__OPTIONS__AWS_ACCESS_KEY_ID", "00012"),
            ("SPENDSTREAM__LAKE__COMMIT_INTERVAL", "250ms"),
            ("SPENDSTREAM__LAKE__COMMIT_ROWS", "10_000"),
            ("SPENDSTREAM_CONFIG", "other"),
            ("SPENDSTREAMER__X", "other"),
        ],
    )
    .unwrap();
    assert_eq!((config.kafka.group.as_str(), config.kafka.cluster.as_str()), ("123", "true"));
    assert_eq!(config.kafka.brokers, "host:9092");
    assert_eq!(config.lake.options["aws_secret_access_key"].0, "[1e5/+=\"{");
    assert_eq!(config.lake.options["aws_access_key_id"].0, "00012");
    assert_eq!((config.lake.commit_interval.as_millis(), config.lake.commit_rows), (250, 10_000));
}

#[test]
fn client_properties_come_with_dots_from_anywhere() {
    let text = "[kafka.client]\n\"fetch.min.bytes\" = 1\nsecurity.protocol = 'SSL'";
    let config = load(
        text,
        &[
            ("SPENDSTREAM__KAFKA__CLIENT__SESSION_TIMEOUT_MS", "6000"),
            ("SPENDSTREAM__KAFKA__CLIENT__LOG_LEVEL", "3"),
            ("SPENDSTREAM__KAFKA__CLIENT__SECURITY_PROTOCOL", "SASL_SSL"),
        ],
    )
    .unwrap();
    let client: Vec<_> = config.kafka.client.iter().map(|(key, value)| (key.as_str(), value.0.as_str())).collect();
    assert_eq!(
        client,
        [
            ("fetch.min.bytes", "1"),
            ("log_level", "3"),
            ("security.protocol", "SASL_SSL"),
            ("session.timeout.ms", "6000")
        ]
    );
}

#[test]
fn a_list_comes_as_toml_from_the_environment() {
    let mappings = "[{ name = 'lago', when = { code = 'llm' }, fields = { id = 'transaction_id' } }]";
    let config = load("", &[("SPENDSTREAM__DECODE__MAPPINGS", mappings)]).unwrap();
    assert_eq!(config.decode.mappings[0].fields["id"], "transaction_id");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_a_suggestion() {
    check_error(
        "[kafka]\ntopic = 't'\nbroker = 'x'",
        &[],
        "s.toml line 3: unknown key 'kafka.broker'; did you mean 'kafka.brokers'?",
    );
    check_error("brokers = 'x'", &[], "s.toml line 1: unknown key 'brokers'; did you mean 'kafka.brokers'?");
    check_error("[zzz]\na = 1", &[], "s.toml line 1: unknown key 'zzz'");
    check_error(
        "",
        &[("SPENDSTREAM__KAFKA__BROKER", "x")],
        "environment variable SPENDSTREAM__KAFKA__BROKER: there is no key 'kafka.broker'; \
         did you mean SPENDSTREAM__KAFKA__BROKERS?",
    );
    check_error(
        "",
        &[("SPENDSTREAM__ZZZ__Q", "x")],
        "environment variable SPENDSTREAM__ZZZ__Q: there is no key 'zzz.q'; `spendstream config --sample` lists all",
    );
    check_error(
        "",
        &[("SPENDSTREAM__KAFKA", "x")],
        "environment variable SPENDSTREAM__KAFKA: 'kafka' is a section; set one of its keys",
    );
}

#[test]
fn a_wrong_type_is_one_line_that_names_the_key() {
    check_error(
        "[lake]\ncommit_rows = 'many'",
        &[],
        "s.toml line 2, 'commit_rows': invalid type: string \"many\", expected usize",
    );
    check_error(
        "[lake]\ncommit_interval = 'soon'",
        &[],
        "s.toml line 2, 'commit_interval': 'soon' is not a duration; write 200ms, 5s, 2m or 1h",
    );
    check_error(
        "[kafka]\nstart = 'middle'",
        &[],
        "s.toml line 2, 'start': unknown variant `middle`, expected `earliest` or `latest`",
    );
    check_error(
        "",
        &[("SPENDSTREAM__LAKE__COMMIT_ROWS", "many")],
        "environment variable SPENDSTREAM__LAKE__COMMIT_ROWS: 'many' is not a whole number",
    );
    check_error(
        "",
        &[("SPENDSTREAM__LAKE__COMMIT_INTERVAL", "soon")],
        "environment variable SPENDSTREAM__LAKE__COMMIT_INTERVAL: 'soon' is not a duration; \
         write 200ms, 5s, 2m or 1h",
    );
    check_error("[kafka\n", &[], "s.toml line 1, '[kafka': invalid table header expected `.`, `]`");
}

#[test]
fn a_secret_is_not_quoted_in_an_error() {
    for text in ["[lake.options]\naws_secret_access_key = 1.5e9", "[lake.options]\naws_secret_access_key = ['hunter2']"]
    {
        let message = crate::cli::one_line(&load(text, &[]).unwrap_err());
        assert!(!message.contains("hunter2") && !message.contains("1.5"), "{message}");
        assert!(message.contains("expected a text"), "{message}");
    }
}

#[test]
fn what_cannot_work_is_refused() {
    check_error("[kafka]\ncluster = ''", &[], "configuration: kafka.cluster must not be empty");
    check_error(
        "",
        &[("SPENDSTREAM__KAFKA__CLIENT__GROUP_ID", "g")],
        "configuration: kafka.client must not set 'group.id': set kafka.group instead",
    );
}

/// The sample is the reference: every key of the configuration, at its default.
#[test]
fn the_sample_says_every_key_with_its_default() {
    assert_eq!(load(SAMPLE, &[]).unwrap(), Config::default());
    let sample: Table = SAMPLE.parse().unwrap();
    let default = Table::try_from(Config::default()).unwrap();
    for (section, keys) in &default {
        let keys = keys.as_table().unwrap();
        for (key, default) in keys {
            let written = sample.get(section).and_then(|section| section.get(key));
            let optional = matches!(default, Value::Array(_)) && SAMPLE.contains(&format!("# [[{section}.{key}]]"));
            assert!(written.is_some() || optional, "spendstream.sample.toml lacks {section}.{key}");
        }
    }
}

#[test]
fn every_key_of_the_sample_has_a_comment_above_it() {
    let mut explained = false;
    for line in SAMPLE.lines() {
        let comment = line.starts_with('#');
        assert!(comment || line.is_empty() || explained, "no comment above: {line}");
        explained = comment || (explained && line.starts_with('['));
    }
}
