//! Alerts as messages of a Kafka topic, for whoever automates. In: alerts from the log of deliveries; out: one JSON per alert, keyed by its id. At
//! least once: a repeat has the same id. A topic that does not take them is tried again like any channel, then given up loudly.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rdkafka::producer::FutureRecord;
use rdkafka::util::Timeout;
use spendstream_notify::desk::Outlet;
use spendstream_notify::failure::Failure;
use spendstream_schemas::alert::Alert;
use spendstream_schemas::config::KafkaConfig;

use crate::intake::client;
use crate::intake::renewed::Renewed;

/// How long a message may wait in this process for room.
const ROOM: Timeout = Timeout::After(Duration::from_secs(1));

/// See the module.
pub struct AlertsTopic {
    producer: Renewed,
    topic: String,
    name: String,
}

impl AlertsTopic {
    /// `None` when no topic is configured. `timeout`: how long an attempt may take.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(kafka: &KafkaConfig, timeout: Duration) -> anyhow::Result<Option<Self>> {
        if kafka.alerts_topic.is_empty() {
            return Ok(None);
        }
        let mut config = client::producer(kafka);
        config.set("enable.idempotence", "true").set("message.timeout.ms", timeout.as_millis().max(1).to_string());
        let producer = Renewed::new(Box::new(move || config.create())).map_err(client::refused)?;
        Ok(Some(Self { producer, topic: kafka.alerts_topic.clone(), name: channel(kafka) }))
    }
}

/// The name of the topic among the channels.
#[must_use]
pub fn channel(kafka: &KafkaConfig) -> String {
    format!("kafka:{}", kafka.alerts_topic)
}

impl Outlet for AlertsTopic {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, alerts: &'a [Alert]) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
        Box::pin(async move {
            for alert in alerts {
                let payload = serde_json::to_vec(alert).map_err(|error| Failure::refused(error.to_string()))?;
                let record = FutureRecord::to(&self.topic).key(&alert.id).payload(&payload);
                if let Err((error, _)) = self.producer.get().send(record, ROOM).await {
                    self.producer.missed();
                    return Err(Failure::retry(format!("topic {}: {error}", self.topic)));
                }
                self.producer.delivered();
            }
            Ok(())
        })
    }
}
