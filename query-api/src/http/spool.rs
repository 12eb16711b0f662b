//! An answer before it is sent: in come its bytes as they are made, out comes the whole as a body whose length is known.
//!
//! Nothing is sent before all is made, so what fails on the way is one clean error, whatever the form. A long answer waits in an
//! unnamed temporary file, which is gone with its last reader. A client that stops reading does not keep its place for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use spendstream_schemas::config::QueryConfig;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::error::QueryError;

/// This part of `query.memory_bytes` one answer may hold in memory, outside its pool.
const PART_OF_MEMORY: usize = 64;
/// Bytes that are read from the file at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// How much answers may take; one for all requests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one answer in memory; more of it goes to a file.
    in_memory: usize,
    /// Bytes of one answer.
    whole: usize,
    /// Files at a time, and how many there are.
    files: Arc<Semaphore>,
    concurrency: usize,
    /// How long a file waits for a client that does not read; an answer waits twice as long for a file.
    patience: Duration,
}

impl Limits {
    #[must_use]
    pub fn new(config: &QueryConfig) -> Self {
        let concurrency = config.concurrency.max(1);
        Self {
            in_memory: config.memory_bytes / PART_OF_MEMORY,
            whole: config.max_answer_bytes,
            files: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            patience: config.timeout,
        }
    }
}

/// One answer in the making.
#[derive(Debug)]
pub struct Spool {
    limits: Limits,
    held: Vec<u8>,
    file: Option<Kept>,
    length: usize,
}

/// The part of an answer that is in a file.
#[derive(Debug)]
struct Kept {
    file: File,
    place: OwnedSemaphorePermit,
}

impl Spool {
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), held: Vec::new(), file: None, length: 0 }
    }

    /// Takes what was made; `made` is empty afterwards.
    ///
    /// # Errors
    /// When the answer is longer than an answer may be, or has no room to wait in.
    pub async fn take(&mut self, made: &mut Vec<u8>) -> Result<(), QueryError> {
        self.length += made.len();
        if self.length > self.limits.whole {
            return Err(QueryError::AnswerTooLarge { limit: self.limits.whole });
        }
        self.held.append(made);
        if self.held.len() > self.limits.in_memory {
            self.spill().await?;
        }
        Ok(())
    }

    async fn spill(&mut self) -> Result<(), QueryError> {
        let kept = match &mut self.file {
            Some(kept) => kept,
            none => none.insert(self.limits.file().await?),
        };
        kept.file.write_all(&self.held).await.map_err(|error| no_room(&error))?;
        self.held.clear();
        Ok(())
    }

    /// The whole answer, and how many bytes it has.
    ///
    /// # Errors
    /// When the file cannot be written or read again.
    pub async fn finish(mut self) -> Result<(Body, usize), QueryError> {
        if self.file.is_none() {
            return Ok((Body::from(self.held), self.length));
        }
        self.spill().await?;
        let Some(mut kept) = self.file else { return Ok((Body::empty(), 0)) };
        kept.file.flush().await.map_err(|error| no_room(&error))?;
        kept.file.rewind().await.map_err(|error| no_room(&error))?;
        Ok((sent(kept, self.limits.patience), self.length))
    }
}

impl Limits {
    async fn file(&self) -> Result<Kept, QueryError> {
        // Longer than a client may take nothing: the place of one that is gone comes free within that time.
        let waited = self.patience * 2;
        let place = tokio::time::timeout(waited, Arc::clone(&self.files).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(QueryError::Busy { concurrency: self.concurrency, waited });
        };
        let file = unnamed().await.map_err(|error| no_room(&error))?;
        Ok(Kept { file: File::from_std(file), place })
    }
}

async fn unnamed() -> io::Result<std::fs::File> {
    tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(io::Error::other)?
}

/// Reads the file as fast as the client takes it; no longer when it takes nothing for too long.
fn sent(kept: Kept, patience: Duration) -> Body {
    let (chunks, taken) = mpsc::channel(1);
    tokio::spawn(async move {
        let Kept { mut file, place } = kept;
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = match file.read(&mut chunk).await {
                Ok(0) => break,
                Ok(length) => {
                    chunk.truncate(length);
                    Ok(Bytes::from(chunk))
                }
                Err(error) => {
                    tracing::warn!(%error, "an answer cannot be read again; its connection is closed");
                    Err(error)
                }
            };
            let failed = read.is_err();
            // Otherwise the client went away, or takes nothing: the body ends before its length, which breaks the connection off.
            let taken = matches!(tokio::time::timeout(patience, chunks.send(read)).await, Ok(Ok(())));
            if failed || !taken {
                break;
            }
        }
        drop(place);
    });
    Body::from_stream(futures::stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken))))
}

fn no_room(error: &io::Error) -> QueryError {
    QueryError::NoRoom { detail: error.to_string() }
}
