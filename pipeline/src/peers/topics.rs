//! The two topics as they have to be. In: their names; out: topics that are there, made where they were missing, or one line what is wrong.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use spendstream_schemas::config::KafkaConfig;

use crate::intake::client;

/// How long the broker may take to make or describe a topic.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sums are old once they are committed; a segment that is written to is never deleted.
const TOTALS: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "21600000"), ("segment.ms", "600000")];
/// The newest word on each call; none is in force for longer than a day.
const HOLDS: [(&str, &str); 3] =
    [("cleanup.policy", "compact,delete"), ("retention.ms", "86400000"), ("segment.ms", "3600000")];

/// Makes the topics that are missing, with the broker's default replication. Says what is wrong, and leaves it to whoever uses them.
pub async fn ensure(kafka: &KafkaConfig) {
    let admin: AdminClient<DefaultClientContext> = match client::common(kafka).create() {
        Ok(admin) => admin,
        Err(error) => return tracing::warn!(%error, "the topics of other instances are not looked at"),
    };
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let wanted = [(kafka.totals_topic.as_str(), &TOTALS), (kafka.holds_topic.as_str(), &HOLDS)];
    let topics: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|(name, settings)| {
            let topic = NewTopic::new(name, 1, TopicReplication::Fixed(-1));
            settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    match admin.create_topics(&topics, &options).await {
        Ok(made) => {
            for one in made {
                match one {
                    Ok(topic) => tracing::info!(topic, "topic created"),
                    Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((topic, error)) => tracing::warn!(topic, %error, "the topic cannot be created here"),
                }
            }
        }
        Err(error) => tracing::debug!(%error, "the broker makes no topics"),
    }
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(&kafka.holds_topic)], &options).await;
    let Some(Ok(settings)) = described.ok().and_then(|mut found| found.pop()) else { return };
    let policy = settings.get("cleanup.policy").and_then(|entry| entry.value.clone()).unwrap_or_default();
    if !policy.is_empty() && !policy.contains("compact") {
        tracing::warn!(
            topic = kafka.holds_topic,
            policy,
            "the topic of holds is not compacted: it grows, and what is held may be forgotten with its retention; set cleanup.policy=compact,delete"
        );
    }
}
