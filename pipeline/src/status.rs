//! What `/readyz` and the live line are told: shared flags, set by the stages.

use parking_lot::Mutex;

/// See the module.
#[derive(Debug, Default)]
pub struct Status {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    consuming: bool,
    kafka_away: bool,
    failure: Option<String>,
    lake_failure: Option<String>,
}

impl Status {
    /// True from the first assignment on, false while partitions are given back.
    pub fn set_consuming(&self, consuming: bool) {
        self.inner.lock().consuming = consuming;
    }

    /// Why some partition does not move; `None` when all do.
    pub fn set_failure(&self, failure: Option<String>) {
        self.inner.lock().failure = failure;
    }

    /// True while no broker answers.
    pub fn set_kafka_away(&self, away: bool) {
        self.inner.lock().kafka_away = away;
    }

    /// Why commits wait; `None` when they do not.
    pub fn set_lake_failure(&self, failure: Option<String>) {
        self.inner.lock().lake_failure = failure;
    }

    /// Ready, or one line why not.
    ///
    /// # Errors
    /// The line.
    pub fn ready(&self) -> Result<(), String> {
        let inner = self.inner.lock();
        if let Some(failure) = inner.failure.as_ref().or(inner.lake_failure.as_ref()) {
            return Err(failure.clone());
        }
        if inner.kafka_away {
            return Err(
                "no Kafka broker answers, or none takes the login (the log says which); reading resumes by itself"
                    .to_owned(),
            );
        }
        if inner.consuming { Ok(()) } else { Err("no partitions are assigned yet".to_owned()) }
    }
}
