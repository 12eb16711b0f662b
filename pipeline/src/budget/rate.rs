//! Request rates: a token bucket per limit and value. In: calls with their time; out: go on, or how long to wait. Integers only; reads
//! no clock.
//!
//! A bucket holds credits: one microsecond earns `per_minute` of them and a request costs a minute's microseconds, so that
//! nothing is ever rounded.

use hashbrown::HashMap;
use smallvec::SmallVec;
use spendstream_schemas::budget::{Scope, ScopeKey, ScopeValue};
use spendstream_schemas::config::RateLimitConfig;
use xxhash_rust::xxh3::xxh3_128;

use super::subject::Subject;
use crate::aggregate::key;

/// Credits of one request: the microseconds of a minute.
const REQUEST: i64 = 60_000_000;

/// A call has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooFast {
    /// `organization=acme`.
    pub scope: String,
    pub per_minute: u32,
    /// Until the next request is allowed, at least 1.
    pub seconds: i64,
}

#[derive(Debug)]
struct Limit {
    /// As it was configured.
    written: Scope,
    /// As calls are compared with it.
    scope: Scope,
    each: Vec<ScopeKey>,
    per_minute: i64,
    full: i64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    credits: i64,
    /// Microseconds since the epoch.
    at: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Limiter {
    limits: Vec<Limit>,
    buckets: HashMap<(usize, u128), Bucket>,
    max: usize,
}

impl Limiter {
    /// At most `max` scopes have a bucket of their own; the values of a limit beyond that share one.
    #[must_use]
    pub fn new(limits: &[RateLimitConfig], max: usize) -> Self {
        let limits = limits.iter().map(|limit| Limit {
            each: limit
                .scope
                .iter()
                .filter(|(_, value)| **value == ScopeValue::Each)
                .map(|(key, _)| key.clone())
                .collect(),
            written: limit.scope.clone(),
            scope: limit.scope.clone(),
            per_minute: i64::from(limit.per_minute),
            full: i64::from(limit.burst.unwrap_or(limit.per_minute)) * REQUEST,
        });
        Self { limits: limits.collect(), buckets: HashMap::new(), max }
    }

    /// Compares scopes in other words for the values that `spell` knows.
    pub fn spell(&mut self, spell: &dyn Fn(&ScopeKey, &str) -> Option<String>) {
        for limit in &mut self.limits {
            limit.scope = limit.written.spelled(spell);
        }
    }

    /// Takes one request from every bucket that the call belongs to, or none at all. Of `instances` that decide each gives its part: a request
    /// costs so many times as much. A bucket has room for at least one.
    ///
    /// # Errors
    /// When one of them is empty: the one with the longest wait.
    pub fn take(&mut self, subject: &Subject<'_>, instances: u32) -> Result<(), TooFast> {
        let request = REQUEST.saturating_mul(i64::from(instances.max(1)));
        let now = subject.now.timestamp_micros();
        let mut taken: SmallVec<[((usize, u128), Bucket); 4]> = SmallVec::new();
        let mut worst: Option<TooFast> = None;
        for at in 0..self.limits.len() {
            let limit = &self.limits[at];
            if !subject.is_within(&limit.scope) {
                continue;
            }
            let place = self.place(at, subject, now);
            let limit = &self.limits[at];
            let bucket = self
                .buckets
                .get(&place)
                .map_or(Bucket { credits: limit.full.max(request), at: now }, |bucket| limit.at(*bucket, now, request));
            let missing = request - bucket.credits;
            if missing > 0 {
                let seconds = div_up(div_up(missing, limit.per_minute), 1_000_000);
                if worst.as_ref().is_none_or(|worst| worst.seconds < seconds) {
                    worst = Some(TooFast {
                        scope: limit.name(subject),
                        per_minute: u32::try_from(limit.per_minute).unwrap_or(u32::MAX),
                        seconds,
                    });
                }
            }
            taken.push((place, bucket));
        }
        if let Some(worst) = worst {
            return Err(worst);
        }
        for (place, bucket) in taken {
            self.buckets.insert(place, Bucket { credits: bucket.credits - request, ..bucket });
        }
        Ok(())
    }

    /// The bucket of a call: its own, or the limit's common one when there is no room for another.
    fn place(&mut self, at: usize, subject: &Subject<'_>, now: i64) -> (usize, u128) {
        let values: SmallVec<[Option<&str>; 4]> = self.limits[at].each.iter().map(|key| subject.value(key)).collect();
        let own = (at, if values.is_empty() { 0 } else { xxh3_128(&key::of(&values)).max(1) });
        if own.1 == 0 || self.buckets.contains_key(&own) || self.buckets.len() < self.max {
            return own;
        }
        let Self { buckets, limits, .. } = self;
        // A full bucket is as good as none.
        buckets.retain(|(at, _), bucket| limits[*at].at(*bucket, now, REQUEST).credits < limits[*at].full);
        if self.buckets.len() < self.max { own } else { (at, 0) }
    }
}

impl Limit {
    /// A bucket with what it earned since.
    fn at(&self, bucket: Bucket, now: i64, request: i64) -> Bucket {
        let earned = now.saturating_sub(bucket.at).max(0).saturating_mul(self.per_minute);
        Bucket { credits: bucket.credits.saturating_add(earned).min(self.full.max(request)), at: now.max(bucket.at) }
    }

    fn name(&self, subject: &Subject<'_>) -> String {
        let parts = self.scope.keys().map(|key| format!("{key}={}", subject.value(key).unwrap_or_default()));
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }
    }
}

/// Division that rounds up; both sides are positive.
fn div_up(number: i64, by: i64) -> i64 {
    (number + by - 1) / by
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use spendstream_schemas::config::RateLimitConfig;
    use spendstream_schemas::decision::Request;
    use spendstream_schemas::directory::Filled;

    use super::super::fixture::at;
    use super::super::subject::Subject;
    use super::Limiter;

    fn take(limiter: &mut Limiter, organization: &str, now: DateTime<Utc>) -> Result<(), i64> {
        let body = format!(r#"{{"model": "m", "input_tokens": 1, "organization": "{organization}"}}"#);
        let request = Request::parse(body.as_bytes()).unwrap();
        let owner = Filled::default();
        let subject =
            Subject { request: &request, provider: None, model_id: None, place: None, user: None, owner, now };
        limiter.take(&subject, 1).map_err(|error| error.seconds)
    }

    fn limiter(json: &str, max: usize) -> Limiter {
        Limiter::new(&serde_json::from_str::<Vec<RateLimitConfig>>(json).unwrap(), max)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = at("2026-11-22T12:00:00Z");
        let mut limiter = limiter(r#"[{"scope": {"organization": "*"}, "per_minute": 30, "burst": 3}]"#, 10);
        for _ in 0..3 {
            assert_eq!(take(&mut limiter, "acme", start), Ok(()));
        }
        assert_eq!(take(&mut limiter, "acme", start), Err(2));
        assert_eq!(take(&mut limiter, "bolt", start), Ok(()), "each has its own");
        let late = |micros| start + TimeDelta::microseconds(micros);
        assert_eq!(take(&mut limiter, "acme", late(1_999_999)), Err(1));
        assert_eq!(take(&mut limiter, "acme", late(2_000_000)), Ok(()));
        assert_eq!(take(&mut limiter, "acme", late(2_000_000)), Err(2));
        assert_eq!(take(&mut limiter, "acme", start), Err(2), "a clock that goes back earns nothing");
        for _ in 0..3 {
            assert_eq!(take(&mut limiter, "acme", late(3_600_000_000)), Ok(()));
        }
        assert_eq!(take(&mut limiter, "acme", late(3_600_000_000)), Err(2), "an hour earns no more than a burst");
    }

    #[test]
    fn of_several_instances_each_gives_its_part() {
        let start = at("2026-11-22T12:00:00Z");
        let take = |limiter: &mut Limiter, now| {
            let request = Request::parse(br#"{"model": "m", "input_tokens": 1}"#).unwrap();
            let owner = Filled::default();
            let subject =
                Subject { request: &request, provider: None, model_id: None, place: None, user: None, owner, now };
            limiter.take(&subject, 2).map_err(|error| error.seconds)
        };
        let mut limiter = limiter(
            r#"[{"scope": {}, "per_minute": 60, "burst": 4}, {"scope": {}, "per_minute": 60, "burst": 5}]"#,
            10,
        );
        assert_eq!([start; 3].map(|now| take(&mut limiter, now)), [Ok(()), Ok(()), Err(2)]);
        assert_eq!(take(&mut limiter, start + TimeDelta::seconds(2)), Ok(()));
        let mut one = self::limiter(r#"[{"scope": {}, "per_minute": 60, "burst": 1}]"#, 10);
        assert_eq!([start; 2].map(|now| take(&mut one, now)), [Ok(()), Err(2)], "there is always room for one");
    }

    #[test]
    fn a_refused_call_takes_from_no_bucket() {
        let start = at("2026-11-22T12:00:00Z");
        let limits = r#"[{"scope": {}, "per_minute": 2}, {"scope": {"organization": "acme"}, "per_minute": 1}]"#;
        let mut limiter = limiter(limits, 10);
        assert_eq!(take(&mut limiter, "acme", start), Ok(()));
        assert_eq!(take(&mut limiter, "acme", start), Err(60));
        assert_eq!(take(&mut limiter, "bolt", start), Ok(()), "the refused call left this one to others");
        assert_eq!(take(&mut limiter, "bolt", start), Err(30));
    }

    #[test]
    fn values_beyond_the_bound_share_a_bucket() {
        let start = at("2026-11-22T12:00:00Z");
        let mut limiter = limiter(r#"[{"scope": {"organization": "*"}, "per_minute": 1}]"#, 2);
        for organization in ["a", "b", "c"] {
            assert_eq!(take(&mut limiter, organization, start), Ok(()));
        }
        assert_eq!(take(&mut limiter, "d", start), Err(60));
        let later = start + TimeDelta::minutes(1);
        assert_eq!((take(&mut limiter, "d", later), take(&mut limiter, "e", later)), (Ok(()), Ok(())));
    }
}
