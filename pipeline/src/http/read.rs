//! Takes a request's body: one of a bounded number at a time, within a time, unpacked, never larger than the limit. A request
//! in, its [`Posted`] or a [`Refusal`] out; what the body holds is not looked at.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::problem::{Refusal, too_large};

/// Bodies up to this size are worked on at once; what takes longer would hold up every other request of the thread.
const AT_ONCE_BYTES: usize = 32 << 10;

/// What was posted, and the turn that is held until it is answered.
pub struct Posted {
    pub headers: HeaderMap,
    /// What follows `?`, as it was sent.
    pub query: String,
    pub body: Bytes,
    _turn: OwnedSemaphorePermit,
}

/// Waits for the body. With `auth.mode = "none"` everybody on this machine may post; a mode that knows keys decides here,
/// before anything is read.
///
/// # Errors
/// 408, 413, 415, 429 or 400, with what to do.
pub async fn take(shared: &Shared, request: Request) -> Result<Posted, Refusal> {
    let Ok(turn) = Arc::clone(&shared.turns).try_acquire_owned() else {
        let detail = "as many requests as pipeline.max_requests_in_flight allows are being written to Kafka";
        return Err(shared.events.not_now(detail));
    };
    let (headers, query) = (request.headers().clone(), request.uri().query().unwrap_or_default().to_owned());
    let most = shared.limits.max_request_bytes;
    let sent = tokio::time::timeout(shared.limits.request_timeout, Bytes::from_request(request, &())).await;
    let Ok(sent) = sent else {
        let detail = "the body did not arrive within pipeline.request_timeout; send it faster or in parts";
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, detail));
    };
    let body = sent.map_err(|rejection| Refusal::unread(&rejection, || too_large(most)))?;
    let body = match packing(&headers)? {
        Packing::None => body,
        // A few bytes may unpack to many, so never on this thread.
        Packing::Gzip => aside(usize::MAX, move || gunzip(&body, most)).await??.into(),
    };
    Ok(Posted { headers, query, body, _turn: turn })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
}

fn packing(headers: &HeaderMap) -> Result<Packing, Refusal> {
    let named = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    match named.as_deref().map(str::trim) {
        None | Some("" | "identity") => Ok(Packing::None),
        Some("gzip" | "x-gzip") => Ok(Packing::Gzip),
        Some(other) => {
            let detail = format!("content-encoding {other:.40} is not known; send gzip or none");
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
    }
}

/// Stops unpacking one byte over the limit.
fn gunzip(packed: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(packed).take(limit).read_to_end(&mut body) {
        Ok(_) if body.len() > most => Err(too_large(most)),
        Ok(_) => Ok(body),
        Err(error) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the body is not the gzip its header names: {error}")))
        }
    }
}

/// Runs `work` on `bytes` here when that is quick, else on a thread that may be held up.
///
/// # Errors
/// 500 when the work panicked.
pub async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    if bytes <= AT_ONCE_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a posted body could not be judged");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be judged; the log says why")
    })
}

/// Milliseconds since the epoch: the timestamp of what is written, which "too far in the future" is judged against.
#[expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::gunzip;

    #[test]
    fn the_limit_is_on_what_a_body_unpacks_to() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&vec![b' '; 1_000_000]).unwrap();
        let packed = packed.finish().unwrap();
        assert!(packed.len() < 2_000, "{} bytes", packed.len());
        assert_eq!(gunzip(&packed, 1_000_000).unwrap().len(), 1_000_000);
        assert_eq!(gunzip(&packed, 999_999).unwrap_err().status, 413);
        assert_eq!(gunzip(b"no gzip", 100).unwrap_err().status, 400);
        assert_eq!(gunzip(&packed[..100], 1_000_000).unwrap_err().status, 400, "one that broke off");
    }
}
