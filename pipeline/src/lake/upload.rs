//! Stores data files. In: files with unique names. Out: those that are not stored yet. Storing one again is harmless; nothing is ever removed.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::batch::DataFile;

/// Files of one commit that are stored at a time.
const PARALLEL_PUTS: usize = 4;
/// Larger files are stored in parts.
const PART_BYTES: usize = 16 << 20;

/// Stores files side by side; returns those that were not stored.
pub async fn put_all(store: Arc<dyn ObjectStore>, files: Vec<DataFile>) -> Vec<(DataFile, object_store::Error)> {
    let puts = files.into_iter().map(|file| {
        let store = Arc::clone(&store);
        async move {
            let answer = put(store.as_ref(), &file).await;
            answer.err().map(|error| (file, error))
        }
    });
    // Not collected before they run: an iterator of futures is polled a few at a time.
    futures::stream::iter(puts).buffer_unordered(PARALLEL_PUTS).filter_map(std::future::ready).collect().await
}

/// Stores one file under its unique name; doing so again is harmless.
async fn put(store: &dyn ObjectStore, file: &DataFile) -> object_store::Result<()> {
    let path = Path::from(file.path.as_str());
    if file.bytes.len() <= PART_BYTES {
        return store.put(&path, PutPayload::from_bytes(file.bytes.clone())).await.map(|_| ());
    }
    let mut upload = store.put_multipart(&path).await?;
    let parts: Vec<Bytes> = (0..file.bytes.len())
        .step_by(PART_BYTES)
        .map(|from| file.bytes.slice(from..file.bytes.len().min(from + PART_BYTES)))
        .collect();
    // The order of the calls is the order of the parts; they are sent side by side.
    let sends: Vec<_> = parts.into_iter().map(|part| upload.put_part(PutPayload::from_bytes(part))).collect();
    let sent =
        futures::stream::iter(sends.into_iter().map(Ok)).try_for_each_concurrent(PARALLEL_PUTS, |send| send).await;
    match sent {
        Ok(()) => upload.complete().await.map(|_| ()),
        Err(error) => {
            let _ = upload.abort().await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::{PART_BYTES, put_all};
    use crate::batch::DataFile;

    #[tokio::test]
    async fn a_large_file_is_stored_in_parts_and_reads_back_whole() {
        for bytes in [0, 7, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 5] {
            let content: Vec<u8> = (0..bytes).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
            let file =
                DataFile { path: "a/b".into(), date: 0, rows: 1, stats: "{}".into(), bytes: content.clone().into() };
            let store = Arc::new(InMemory::new());
            assert!(put_all(Arc::clone(&store) as _, vec![file]).await.is_empty());
            let kept = store.get(&Path::from("a/b")).await.unwrap().bytes().await.unwrap();
            assert!(kept == content, "{bytes} bytes");
        }
    }
}
