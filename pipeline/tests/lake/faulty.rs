//! An object store that fails on command: before it works, after it worked, with a conflict, by not finding what is there, slowly.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens instead of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, an error comes back.
    Before,
    /// It is done, and an error comes back all the same.
    After,
    /// Nothing is done; "already exists" comes back.
    Conflict,
    /// "Not found" comes back; nothing is done.
    Missing,
    /// It is done late.
    Slow,
}

pub const FAULTS: [Fault; 5] = [Fault::Before, Fault::After, Fault::Conflict, Fault::Missing, Fault::Slow];

type Plan = Box<dyn Fn(usize) -> Option<Fault> + Send + Sync>;
type Hook = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Counts operations and asks the plan what becomes of each.
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    operations: AtomicUsize,
    plan: Plan,
    hook: Option<Hook>,
}

impl Faulty {
    pub fn new(
        inner: Arc<dyn ObjectStore>,
        plan: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner, operations: AtomicUsize::new(0), plan: Box::new(plan), hook: None })
    }

    /// Fails never; something happens before each operation with one object.
    pub fn hooked(
        inner: Arc<dyn ObjectStore>,
        hook: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner, operations: AtomicUsize::new(0), plan: Box::new(|_| None), hook: Some(Box::new(hook)) })
    }

    /// Operations so far.
    pub fn operations(&self) -> usize {
        self.operations.load(Ordering::SeqCst)
    }

    fn next(&self) -> Option<Fault> {
        (self.plan)(self.operations.fetch_add(1, Ordering::SeqCst))
    }

    async fn through<T>(&self, path: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
        if let Some(hook) = &self.hook {
            hook().await;
        }
        match self.next() {
            None => work.await,
            Some(Fault::Before) => Err(broken()),
            Some(Fault::After) => {
                let _ = work.await;
                Err(broken())
            }
            Some(Fault::Conflict) => Err(Error::AlreadyExists { path: path.to_string(), source: "injected".into() }),
            Some(Fault::Missing) => Err(Error::NotFound { path: path.to_string(), source: "injected".into() }),
            Some(Fault::Slow) => {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                work.await
            }
        }
    }
}

fn broken() -> Error {
    Error::Generic { store: "faulty", source: "injected".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Faulty({})", self.inner)
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.through(location, self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.through(location, self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.through(location, self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.through(location, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            None | Some(Fault::Slow) => self.inner.list(prefix),
            Some(_) => futures::stream::once(async { Err(broken()) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            None | Some(Fault::Slow) => self.inner.list_with_offset(prefix, offset),
            Some(_) => futures::stream::once(async { Err(broken()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.through(to, self.inner.copy_opts(from, to, options)).await
    }
}
