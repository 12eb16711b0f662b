//! Clients of Kafka that are made anew when they hear nothing for long. After some silences of a broker (a machine that stood still for a
//! while) librdkafka's clients never get on by themselves, though the broker answers everybody else.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaResult;
use rdkafka::producer::FutureProducer;

/// A client to which nothing got through for so long is made anew, and again after as long: what works by itself was back long before.
pub const RENEW: Duration = Duration::from_secs(45);

/// Makes a producer.
pub type Make<C> = Box<dyn Fn() -> KafkaResult<FutureProducer<C>> + Send + Sync>;

/// A producer that is replaced when it delivers nothing.
pub struct Renewed<C: ClientContext + 'static = DefaultClientContext> {
    make: Make<C>,
    current: Mutex<Current<C>>,
}

struct Current<C: ClientContext + 'static> {
    producer: FutureProducer<C>,
    /// Since when nothing is delivered.
    failing: Option<Instant>,
}

impl<C: ClientContext + 'static> Renewed<C> {
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(make: Make<C>) -> KafkaResult<Self> {
        let producer = make()?;
        Ok(Self { make, current: Mutex::new(Current { producer, failing: None }) })
    }

    /// The producer of now; cheap.
    pub fn get(&self) -> FutureProducer<C> {
        self.current.lock().producer.clone()
    }

    /// A message is there.
    pub fn delivered(&self) {
        self.current.lock().failing = None;
    }

    /// A message did not get through, and not because of what it is.
    pub fn missed(&self) {
        let mut current = self.current.lock();
        let now = Instant::now();
        if !is_due(&mut current.failing, now) {
            return;
        }
        match (self.make)() {
            Ok(producer) => {
                tracing::warn!("Kafka took nothing for {} s; connecting anew", RENEW.as_secs());
                let old = std::mem::replace(&mut current.producer, producer);
                // Its end may wait for a broker.
                drop_aside(old);
            }
            Err(error) => tracing::warn!(%error, "Kafka took nothing for long, and a new connection is refused"),
        }
    }
}

/// Whether it is time, counted from the first failure; if so, the next time is counted from now.
pub(super) fn is_due(failing: &mut Option<Instant>, now: Instant) -> bool {
    let since = *failing.get_or_insert(now);
    let is_due = now.duration_since(since) >= RENEW;
    if is_due {
        *failing = Some(now);
    }
    is_due
}

/// Drops a client on a thread of its own.
pub(super) fn drop_aside<T: Send + 'static>(client: T) {
    let spawned = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || drop(client));
    if let Err(error) = spawned {
        tracing::debug!(%error, "a client of Kafka is dropped where it was used");
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{RENEW, is_due};

    #[test]
    fn a_client_is_made_anew_once_per_period_of_silence() {
        let start = Instant::now();
        let mut failing = None;
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let period = RENEW.as_secs();
        let due: Vec<u64> = (0..3 * period).filter(|second| is_due(&mut failing, at(*second))).collect();
        assert_eq!(due, [period, 2 * period]);
        failing = None;
        assert!(!is_due(&mut failing, at(10 * period)), "what was delivered in between begins anew");
    }
}
