//! What a configuration must satisfy beyond its types: values in, the first fault out, as one line that names the key.
//!
//! Never looks at the world: whether a broker answers or a folder exists is found by whoever opens it.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::mapping::meant;
use super::notify_check;
use super::{AuthMode, Config, DecodeConfig, KafkaConfig, MOST_TAGS, PipelineConfig, QueryConfig};

/// A key whose value cannot work, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key} {problem}")]
pub struct ConfigError {
    /// Dotted, as in the file: `kafka.cluster`.
    pub key: String,
    problem: String,
}

pub(super) fn fault<T>(key: &str, problem: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError { key: key.to_owned(), problem: problem.into() })
}

/// librdkafka properties that carry a promise of the product, and why they are not the operator's.
const OWNED_CLIENT_PROPERTIES: [(&str, &str); 17] = [
    ("bootstrap.servers", "set kafka.brokers instead"),
    ("metadata.broker.list", "set kafka.brokers instead"),
    ("group.id", "set kafka.group instead"),
    ("group.protocol", "partitions are taken over by the classic protocol"),
    ("partition.assignment.strategy", "partitions are taken over by the strategy that the pipeline was tested with"),
    ("auto.offset.reset", "the lake knows the offsets; kafka.start says where a new partition starts"),
    ("enable.auto.commit", "offsets are committed with the rows, in the lake"),
    ("auto.commit.interval.ms", "set lake.commit_interval instead"),
    ("enable.auto.offset.store", "offsets are committed with the rows, in the lake"),
    ("enable.partition.eof", "the pipeline sets it where it needs it"),
    ("acks", "dead letters must be durable before their offset is passed"),
    ("request.required.acks", "dead letters must be durable before their offset is passed"),
    ("enable.idempotence", "dead letters and replays are sent by an idempotent producer"),
    ("transactional.id", "no Kafka transactions are used"),
    ("enable.random.seed", "it is librdkafka's own"),
    ("isolation.level", "messages of transactions that were aborted must not be charged"),
    ("statistics.interval.ms", "the metrics of lag come from the statistics"),
];

impl Config {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first key, in the order of the sample file, whose value cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        kafka(&self.kafka)?;
        super::lake::validate(&self.lake)?;
        rates(self)?;
        decode(&self.decode)?;
        at_least_one("prices.reload_interval", self.prices.reload_interval.as_millis())?;
        pipeline(&self.pipeline)?;
        super::decide::check(&self.decide).or_else(|(key, problem)| fault(&key, problem))?;
        super::live::validate(&self.live)?;
        super::reports::validate(&self.reports)?;
        super::detect::validate(&self.detect)?;
        super::alerts::validate(&self.alerts)?;
        super::privacy::validate(&self.privacy)?;
        query(&self.query)?;
        if let Some((key, problem)) = self.store.problem().or_else(|| self.directory.problem()) {
            return fault(key, problem);
        }
        listens(self)?;
        notify_check::server(&self.server)?;
        notify_check::notify(&self.notify)
    }
}

fn kafka(config: &KafkaConfig) -> Result<(), ConfigError> {
    not_empty("kafka.brokers", &config.brokers)?;
    topic("kafka.topic", &config.topic)?;
    topic("kafka.dead_letter_topic", &config.dead_letter_topic)?;
    if config.topic == config.dead_letter_topic {
        return fault("kafka.dead_letter_topic", "must not be kafka.topic: rejects would be read as events again");
    }
    let mut taken = vec![("kafka.topic", &config.topic), ("kafka.dead_letter_topic", &config.dead_letter_topic)];
    for (key, name) in [
        ("kafka.alerts_topic", &config.alerts_topic),
        ("kafka.totals_topic", &config.totals_topic),
        ("kafka.holds_topic", &config.holds_topic),
    ] {
        if name.is_empty() {
            continue;
        }
        topic(key, name)?;
        if let Some((other, _)) = taken.iter().find(|(_, known)| *known == name) {
            return fault(key, format!("must not be {other}; \"\" does without the topic"));
        }
        taken.push((key, name));
    }
    if config.totals_topic.is_empty() != config.holds_topic.is_empty() {
        let key = if config.totals_topic.is_empty() { "kafka.totals_topic" } else { "kafka.holds_topic" };
        return fault(
            key,
            "is empty and the other of kafka.totals_topic and kafka.holds_topic is not; name both, or neither",
        );
    }
    not_empty("kafka.group", &config.group)?;
    not_empty("kafka.cluster", &config.cluster)?;
    if config.cluster.contains('/') || config.cluster.chars().any(char::is_control) {
        return fault("kafka.cluster", "must not contain '/' or control characters: it is part of every lake offset");
    }
    for (property, why) in OWNED_CLIENT_PROPERTIES {
        if config.client.contains_key(property) {
            return fault("kafka.client", format!("must not set '{property}': {why}"));
        }
    }
    Ok(())
}

/// The rates that ship are examples of one old date: nobody's bill.
fn rates(config: &Config) -> Result<(), ConfigError> {
    let (currency, prices) = (&config.lake.currency, &config.prices);
    if currency == "USD" || !prices.rates.is_empty() || !prices.book.is_empty() {
        return Ok(());
    }
    let problem = format!(
        "must name a CSV file of dated rates (date,currency,rate per USD) while lake.currency is {currency}: list prices are in USD"
    );
    fault("prices.rates", problem)
}

fn decode(config: &DecodeConfig) -> Result<(), ConfigError> {
    at_least_one("decode.max_message_bytes", config.max_message_bytes)?;
    at_least_one("decode.max_text_bytes", config.max_text_bytes)?;
    at_least_one("decode.max_count", usize::try_from(config.max_count).unwrap_or(0))?;
    at_least_one("decode.max_rows_per_message", config.max_rows_per_message)?;
    if config.max_tags > MOST_TAGS {
        return fault("decode.max_tags", format!("is {}; write at most {MOST_TAGS}", config.max_tags));
    }
    if config.duplicate_horizon < 0 {
        return fault("decode.duplicate_horizon", "is negative; write a number of offsets, 0 to watch none");
    }
    if config.duplicate_identities < config.max_rows_per_message {
        let (identities, rows) = (config.duplicate_identities, config.max_rows_per_message);
        let problem = format!("is {identities}; write at least decode.max_rows_per_message ({rows})");
        return fault("decode.duplicate_identities", problem);
    }
    for (index, mapping) in config.mappings.iter().enumerate() {
        let key = format!("decode.mappings[{index}]");
        not_empty(&format!("{key}.name"), &mapping.name)?;
        for (part, missing) in [("when", mapping.when.is_empty()), ("fields", mapping.fields.is_empty())] {
            if missing {
                return fault(&format!("{key}.{part}"), format!("is empty; mapping '{}' needs it", mapping.name));
            }
        }
        for field in mapping.fields.keys() {
            if let Some(meant) = meant(field) {
                let name = &mapping.name;
                let problem = format!(
                    "of mapping '{name}' has '{field}', which is no field of an event; did you mean '{meant}'?"
                );
                return fault(&format!("{key}.fields"), problem);
            }
        }
    }
    Ok(())
}

fn pipeline(config: &PipelineConfig) -> Result<(), ConfigError> {
    at_least_one("pipeline.batch_messages", config.batch_messages)?;
    at_least_one("pipeline.batch_bytes", config.batch_bytes)?;
    at_least_one("pipeline.queue_batches", config.queue_batches)?;
    at_least_one("pipeline.interner_values", config.interner_values)?;
    at_least_one("pipeline.interner_bytes", config.interner_bytes)?;
    at_least_one("pipeline.shutdown_timeout", config.shutdown_timeout.as_millis())?;
    at_least_one("pipeline.max_request_bytes", config.max_request_bytes)?;
    at_least_one("pipeline.max_request_items", config.max_request_items)?;
    at_least_one("pipeline.max_requests_in_flight", config.max_requests_in_flight)?;
    at_least_one("pipeline.request_timeout", config.request_timeout.as_millis())?;
    at_least_one("pipeline.acknowledge_timeout", config.acknowledge_timeout.as_millis())?;
    at_least_one("pipeline.retry_after", config.retry_after.as_millis())?;
    let (queue, body) = (config.producer_queue_bytes, config.max_request_bytes);
    // librdkafka takes 1 KiB to 2 GiB.
    if queue < body || queue > 2 << 30 {
        let problem = format!("is {queue}; write pipeline.max_request_bytes ({body}) to 2147483648 bytes");
        return fault("pipeline.producer_queue_bytes", problem);
    }
    // It also counts messages, up to 100 000.
    if config.max_request_items > 100_000 {
        return fault("pipeline.max_request_items", "is more than 100000, which the producer's queue cannot hold");
    }
    Ok(())
}

fn query(config: &QueryConfig) -> Result<(), ConfigError> {
    at_least_one("query.timeout", config.timeout.as_millis())?;
    at_least_one("query.memory_bytes", config.memory_bytes)?;
    at_least_one("query.max_rows", config.max_rows)?;
    at_least_one("query.max_answer_bytes", config.max_answer_bytes)?;
    at_least_one("query.concurrency", config.concurrency)?;
    at_least_one("query.max_statement_bytes", config.max_statement_bytes)?;
    at_least_one("query.pg_connections", config.pg_connections)?;
    at_least_one("query.pg_idle_timeout", config.pg_idle_timeout.as_millis())?;
    let (message, statement) = (config.pg_max_message_bytes, config.max_statement_bytes);
    // A message has a few names beside its statement, and its length in 31 bits.
    if message <= statement || message > 1 << 30 {
        let problem =
            format!("is {message}; write more than query.max_statement_bytes ({statement}), at most 1073741824");
        return fault("query.pg_max_message_bytes", problem);
    }
    Ok(())
}

/// Listen addresses must parse, and without authentication nobody but this machine may reach them.
fn listens(config: &Config) -> Result<(), ConfigError> {
    let optional =
        [("query.pg_listen", &config.query.pg_listen), ("lake.maintenance.listen", &config.lake.maintenance.listen)];
    let always = [("pipeline.listen", &config.pipeline.listen), ("query.listen", &config.query.listen)];
    for (key, listen) in always.into_iter().chain(optional.into_iter().filter(|(_, listen)| !listen.is_empty())) {
        let Some(loopback) = is_loopback(listen) else {
            return fault(key, format!("is '{listen}'; write ADDRESS:PORT such as 127.0.0.1:8080, port 0 picks one"));
        };
        if config.auth.mode == AuthMode::None && !loopback {
            return fault(
                key,
                format!(
                    "is '{listen}', which others can reach, while auth.mode is none; listen on 127.0.0.1, or set auth.mode = \"keys\""
                ),
            );
        }
    }
    Ok(())
}

/// Whether only this machine can reach `ADDRESS:PORT`; `None` when it is no such address.
fn is_loopback(listen: &str) -> Option<bool> {
    if let Some(port) = listen.strip_prefix("localhost:") {
        return port.parse::<u16>().ok().map(|_| true);
    }
    let address: SocketAddr = listen.parse().ok()?;
    Some(match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(ip.is_loopback(), |mapped| mapped.is_loopback()),
    })
}

pub(super) fn not_empty(key: &str, text: &str) -> Result<(), ConfigError> {
    if text.trim().is_empty() { fault(key, "must not be empty") } else { Ok(()) }
}

pub(super) fn at_least_one<N: Default + PartialEq>(key: &str, number: N) -> Result<(), ConfigError> {
    if number == N::default() { fault(key, "must be more than zero") } else { Ok(()) }
}

/// Kafka's own rule for the name of a topic.
fn topic(key: &str, name: &str) -> Result<(), ConfigError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.bytes().all(legal) {
        return fault(
            key,
            format!("is '{name}'; a topic has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Config, MappingConfig, Text};
    use super::is_loopback;

    fn check(change: impl FnOnce(&mut Config), expected: &str) {
        let mut config = Config::default();
        change(&mut config);
        let message = config.validate().map_or_else(|error| error.to_string(), |()| "valid".to_owned());
        assert!(message.starts_with(expected), "expected '{expected}…', got '{message}'");
    }

    #[test]
    fn the_default_is_valid() {
        check(|_| {}, "valid");
    }

    #[test]
    fn each_fault_names_its_key() {
        check(|c| c.kafka.brokers = " ".into(), "kafka.brokers must not be empty");
        check(|c| c.kafka.topic = "a b".into(), "kafka.topic is 'a b'; a topic has");
        check(|c| c.kafka.dead_letter_topic = c.kafka.topic.clone(), "kafka.dead_letter_topic must not be kafka.topic");
        check(|c| c.kafka.alerts_topic = c.kafka.topic.clone(), "kafka.alerts_topic must not be kafka.topic");
        check(
            |c| c.kafka.holds_topic = c.kafka.totals_topic.clone(),
            "kafka.holds_topic must not be kafka.totals_topic",
        );
        check(|c| c.kafka.holds_topic = String::new(), "kafka.holds_topic is empty and the other of");
        check(|c| (c.kafka.holds_topic, c.kafka.totals_topic) = (String::new(), String::new()), "valid");
        check(|c| c.alerts.summary_at = "8 am".into(), "alerts.summary_at is '8 am'; write 08:00");
        check(|c| c.alerts.summary_timezone = "Mars".into(), "alerts.summary_timezone is 'Mars'; write an IANA");
        check(
            |c| c.privacy.pseudonymise = vec!["model".into()],
            "privacy.pseudonymise is wrong: 'model' names no person",
        );
        check(|c| c.privacy.pseudonymise = vec!["user_id".into()], "privacy.pseudonymise needs a key; name a file");
        check(|c| c.privacy.key = super::super::secret::Secret::new("short"), "privacy.key is too short; write");
        check(|c| c.kafka.group = String::new(), "kafka.group must not be empty");
        check(|c| c.kafka.cluster = String::new(), "kafka.cluster must not be empty");
        check(|c| c.kafka.cluster = "eu/1".into(), "kafka.cluster must not contain '/'");
        check(|c| c.lake.uri = "./lake".into(), "lake.uri is './lake'; write file:./folder");
        check(|c| c.lake.uri = "s3://".into(), "lake.uri is 's3://'");
        check(|c| c.lake.currency = "usd".into(), "lake.currency is 'usd'; write an ISO 4217 code");
        check(|c| c.lake.currency = "EUR".into(), "prices.rates must name a CSV file of dated rates");
        check(|c| (c.lake.currency, c.prices.rates) = ("EUR".into(), "rates.csv".into()), "valid");
        check(|c| c.lake.commit_interval = Duration::ZERO, "lake.commit_interval must be more than zero");
        check(|c| c.lake.zstd_level = 23, "lake.zstd_level is 23; write 1 to 22");
        check(|c| c.decode.max_tags = 1_001, "decode.max_tags is 1001; write at most 1000");
        check(|c| c.decode.duplicate_horizon = -1, "decode.duplicate_horizon is negative");
        check(|c| c.decode.duplicate_identities = 9_999, "decode.duplicate_identities is 9999; write at least");
        check(|c| c.pipeline.queue_batches = 0, "pipeline.queue_batches must be more than zero");
        check(|c| c.live.max_cells = 0, "live.max_cells must be more than zero");
        check(|c| c.detect.times = 1.into(), "detect.times is 1; write a number above 1");
        check(|c| c.detect.threshold = 0.5, "detect.threshold is 0.5; write a number above 0.5 and below 1");
        check(|c| c.detect.learn_days = 35, "detect.learn_days is 35; write less than detect.history_days (35)");
        check(|c| c.detect.timezone = "Mars".into(), "detect.timezone is 'Mars'; write an IANA time zone");
        check(|c| c.pipeline.producer_queue_bytes = 1 << 20, "pipeline.producer_queue_bytes is 1048576; write");
        check(|c| c.pipeline.max_request_items = 100_001, "pipeline.max_request_items is more than 100000");
        check(|c| c.query.max_rows = 0, "query.max_rows must be more than zero");
        check(|c| c.store.url = "./x.db".into(), "store.url is no store; write sqlite:./FILE");
        check(
            |c| c.directory.precedence = vec!["teem".into()],
            "directory.precedence is wrong: 'teem' is no dimension",
        );
        check(|c| c.query.listen = "8080".into(), "query.listen is '8080'; write ADDRESS:PORT");
    }

    #[test]
    fn a_mapping_needs_its_parts() {
        let mapping = MappingConfig { name: "lago".into(), ..MappingConfig::default() };
        check(|c| c.decode.mappings = vec![MappingConfig::default()], "decode.mappings[0].name must not be empty");
        check(|c| c.decode.mappings = vec![mapping], "decode.mappings[0].when is empty; mapping 'lago' needs it");
        let filling = |field: &str| MappingConfig {
            name: "lago".into(),
            when: [("code".to_owned(), Text("llm".into()))].into(),
            fields: [(field.to_owned(), "properties.x".to_owned())].into(),
        };
        check(|c| c.decode.mappings = vec![filling("audio_second")], "valid");
        check(
            |c| c.decode.mappings = vec![filling("model"), filling("modle")],
            "decode.mappings[1].fields of mapping 'lago' has 'modle', which is no field of an event; did you mean 'model'?",
        );
    }

    #[test]
    fn properties_that_carry_a_promise_are_not_for_the_operator() {
        for property in [
            "group.id",
            "auto.offset.reset",
            "enable.auto.commit",
            "enable.auto.offset.store",
            "acks",
            "isolation.level",
            "statistics.interval.ms",
        ] {
            check(
                |c| {
                    c.kafka.client.insert(property.into(), Text("x".into()));
                },
                &format!("kafka.client must not set '{property}': "),
            );
        }
        check(
            |c| {
                c.kafka.client.insert("fetch.min.bytes".into(), Text("1000".into()));
            },
            "valid",
        );
    }

    #[test]
    fn without_authentication_only_loopback_listens() {
        check(|c| c.query.listen = "0.0.0.0:8080".into(), "query.listen is '0.0.0.0:8080', which others can reach");
        check(|c| c.lake.maintenance.listen = "8082".into(), "lake.maintenance.listen is '8082'; write ADDRESS:PORT");
        let open = "lake.maintenance.listen is '0.0.0.0:8082', which others can reach";
        check(|c| c.lake.maintenance.listen = "0.0.0.0:8082".into(), open);
        check(|c| c.pipeline.listen = "[::]:8081".into(), "pipeline.listen is '[::]:8081', which others can reach");
        for (listen, expected) in [
            ("127.0.0.1:0", Some(true)),
            ("127.9.9.9:80", Some(true)),
            ("[::1]:80", Some(true)),
            ("[::ffff:127.0.0.1]:80", Some(true)),
            ("localhost:80", Some(true)),
            ("10.0.0.1:80", Some(false)),
            ("localhost", None),
            ("localhost:http", None),
            ("example.org:80", None),
        ] {
            assert_eq!(is_loopback(listen), expected, "{listen}");
        }
    }
}
