//! librdkafka properties: what the operator passes through, and what this program insists on.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use spendstream_schemas::config::KafkaConfig;

/// What every client of this cluster uses: brokers, TLS, SASL and whatever else is in `kafka.client`.
#[must_use]
pub fn common(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("client.id", "spendstream");
    config.set_log_level(RDKafkaLogLevel::Warning);
    for (name, value) in &kafka.client {
        config.set(name, &value.0);
    }
    config
}

/// Properties that only a consumer knows; a producer made from the same table must not see them.
const CONSUMER_ONLY: [&str; 18] = [
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "partition.assignment.strategy",
    "fetch.wait.max.ms",
    "fetch.queue.backoff.ms",
    "fetch.message.max.bytes",
    "max.partition.fetch.bytes",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.error.backoff.ms",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "isolation.level",
    "check.crcs",
];

/// Where Java's producers put a key. librdkafka's own choice (CRC32) is another partition, and repeats are recognised in one only.
const PARTITIONER: (&str, &str) = ("partitioner", "murmur2_random");

/// For producers to the same cluster. An operator whose other producers place keys otherwise sets `partitioner` as theirs.
#[must_use]
pub fn producer(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = common(kafka);
    if config.get(PARTITIONER.0).is_none() {
        config.set(PARTITIONER.0, PARTITIONER.1);
    }
    for name in CONSUMER_ONLY {
        config.remove(name);
    }
    config
}

/// For the consumer of the source topic. Offsets come from the lake: nothing is reset, stored or committed by itself.
#[must_use]
pub fn consumer(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Defaults that suit this consumer; the operator may set them otherwise.
    config
        .set("queued.max.messages.kbytes", "16384")
        .set("queued.min.messages", "100000")
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.wait.max.ms", "100")
        // A topic that is created later is found in seconds, not in five minutes.
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("partition.assignment.strategy", "range,roundrobin")
        .set("statistics.interval.ms", "5000");
    config.set("bootstrap.servers", &kafka.brokers).set("client.id", "spendstream");
    for (name, value) in &kafka.client {
        config.set(name, &value.0);
    }
    config
        .set("group.id", &kafka.group)
        .set("auto.offset.reset", "error")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "false");
    config.remove(PARTITIONER.0);
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// A refused property without its value, which may be a secret.
#[must_use]
pub fn refused(error: KafkaError) -> anyhow::Error {
    match error {
        KafkaError::ClientConfig(_, why, name, _) => {
            anyhow::anyhow!(
                "kafka.client: librdkafka refuses the property '{name}': {}",
                why.split(['"', ':']).next().unwrap_or_default().trim()
            )
        }
        other => anyhow::anyhow!("kafka: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::config::{KafkaConfig, Text};

    #[test]
    fn the_operator_sets_fetch_sizes_but_not_where_offsets_come_from() {
        let mut kafka = KafkaConfig::default();
        kafka.client.insert("fetch.wait.max.ms".into(), Text("7".into()));
        kafka.client.insert("auto.offset.reset".into(), Text("latest".into()));
        kafka.client.insert("sasl.username".into(), Text("me".into()));
        let consumer = super::consumer(&kafka);
        assert_eq!(consumer.get("fetch.wait.max.ms"), Some("7"));
        assert_eq!(consumer.get("auto.offset.reset"), Some("error"));
        let producer = super::producer(&kafka);
        assert_eq!(producer.get("fetch.wait.max.ms"), None);
        assert_eq!(producer.get("sasl.username"), Some("me"));
    }

    #[test]
    fn our_producers_place_keys_as_javas_do_unless_told_otherwise() {
        let mut kafka = KafkaConfig::default();
        assert_eq!(super::producer(&kafka).get("partitioner"), Some("murmur2_random"));
        kafka.client.insert("partitioner".into(), Text("consistent_random".into()));
        assert_eq!(super::producer(&kafka).get("partitioner"), Some("consistent_random"));
        assert_eq!(super::consumer(&kafka).get("partitioner"), None, "a consumer has none");
    }
}
