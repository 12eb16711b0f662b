//! A store whose data files get a storage class. In: a store. Out: the same, which says the class with every object that it
//! makes outside a Delta log. The log stays in the bucket's default class: it is read at every query and must never be archived.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

const LOG: &str = "_delta_log";

/// See the module.
#[derive(Debug)]
pub struct Classed {
    inner: Arc<dyn ObjectStore>,
    class: String,
}

impl Classed {
    pub fn new(inner: Arc<dyn ObjectStore>, class: &str) -> Self {
        Self { inner, class: class.to_owned() }
    }

    fn classed(&self, location: &Path, mut attributes: Attributes) -> Attributes {
        if !location.parts().any(|part| part.as_ref() == LOG) {
            attributes.insert(Attribute::StorageClass, self.class.clone().into());
        }
        attributes
    }
}

impl fmt::Display for Classed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.inner, self.class)
    }
}

#[async_trait]
impl ObjectStore for Classed {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let attributes = self.classed(location, opts.attributes);
        self.inner.put_opts(location, payload, PutOptions { attributes, ..opts }).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let attributes = self.classed(location, opts.attributes);
        self.inner.put_multipart_opts(location, PutMultipartOptions { attributes, ..opts }).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
