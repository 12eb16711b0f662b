//! A local file system whose writes survive a power loss. In: puts. Out: files that are on the disk, name and content,
//! before the put is answered; so a commit file never names data that could be lost, nor appears half-written.
//!
//! Everything but writing is `object_store`'s own [`LocalFileSystem`], which does not sync.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

const STORE: &str = "local";

/// See the module.
#[derive(Debug)]
pub struct DurableFileSystem {
    inner: LocalFileSystem,
}

impl DurableFileSystem {
    pub fn new(inner: LocalFileSystem) -> Self {
        Self { inner }
    }
}

impl fmt::Display for DurableFileSystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DurableFileSystem({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for DurableFileSystem {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let create = match opts.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return self.inner.put_opts(location, payload, opts).await,
        };
        let place = self.inner.path_to_filesystem(location)?;
        blocking(location, move || write(&place, &payload, create)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let place = self.inner.path_to_filesystem(location)?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload { inner, location: location.clone(), place }))
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

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

/// An upload in parts, synced when it is complete.
#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    location: Path,
    place: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        let place = self.place.clone();
        blocking(&self.location, move || {
            File::open(&place)?.sync_all()?;
            // The folder, and those above it that may be new: table and partition.
            place.ancestors().skip(1).take(3).filter(|folder| !folder.as_os_str().is_empty()).try_for_each(sync_folder)
        })
        .await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

async fn blocking(location: &Path, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<()> {
    let result = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    };
    result.map_err(|source| {
        let path = location.to_string();
        match source.kind() {
            ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: Box::new(source) },
            ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: Box::new(source) },
            _ => Error::Generic { store: STORE, source: format!("cannot write {path}: {source}").into() },
        }
    })
}

/// Writes beside, syncs, gives it its name, syncs the folder.
fn write(place: &FsPath, payload: &PutPayload, create: bool) -> io::Result<()> {
    let folder = place.parent().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "it has no folder"))?;
    let (file, staged) = stage(place, folder)?;
    let named = fill(file, payload).and_then(|()| {
        // A link fails when the name is taken; a rename would replace it.
        if create { fs::hard_link(&staged, place) } else { fs::rename(&staged, place) }
    });
    if create || named.is_err() {
        // Left behind it is invisible to lists and harms nothing.
        let _ = fs::remove_file(&staged);
    }
    named?;
    sync_folder(folder)
}

fn fill(mut file: File, payload: &PutPayload) -> io::Result<()> {
    payload.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// A new file beside `place`. Names that end in `#` and a number are hidden from lists by [`LocalFileSystem`].
fn stage(place: &FsPath, folder: &FsPath) -> io::Result<(File, PathBuf)> {
    for number in 1_u64.. {
        let mut name = place.as_os_str().to_owned();
        name.push(format!("#{number}"));
        let staged = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound && !folder.exists() => create_folder(folder)?,
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no free name"))
}

/// Makes missing folders from the top, each name synced in the one above.
fn create_folder(folder: &FsPath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        create_folder(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => folder.parent().map_or(Ok(()), sync_folder),
    }
}

fn sync_folder(folder: &FsPath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::local::LocalFileSystem;
    use object_store::path::Path;
    use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

    use super::DurableFileSystem;

    fn store(folder: &std::path::Path) -> DurableFileSystem {
        DurableFileSystem::new(LocalFileSystem::new_with_prefix(folder).unwrap())
    }

    #[tokio::test]
    async fn a_name_is_taken_once_and_keeps_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let (store, path) = (store(folder.path()), Path::from("a/b/00.json"));
        store.put_opts(&path, PutPayload::from_static(b"first"), PutMode::Create.into()).await.unwrap();
        let second = store.put_opts(&path, PutPayload::from_static(b"second"), PutMode::Create.into()).await;
        assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "first");
        store.put(&path, PutPayload::from_static(b"third")).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "third");
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(std::fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1, "nothing staged is left");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_creators_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let store = std::sync::Arc::new(store(folder.path()));
        for round in 0..20 {
            let path = Path::from(format!("log/{round}"));
            let tasks: Vec<_> = (0..8_u8)
                .map(|task| {
                    let (store, path) = (store.clone(), path.clone());
                    tokio::spawn(async move {
                        store.put_opts(&path, PutPayload::from(vec![task]), PutMode::Create.into()).await.is_ok()
                    })
                })
                .collect();
            let mut winners = 0;
            for task in tasks {
                winners += usize::from(task.await.unwrap());
            }
            assert_eq!(winners, 1);
        }
    }

    #[tokio::test]
    async fn an_upload_in_parts_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (store, path) = (store(folder.path()), Path::from("date=2026-11-22/part.parquet"));
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part(PutPayload::from_static(b"one")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"two")).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "onetwo");
    }
}
