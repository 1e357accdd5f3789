//! Fetches a snapshot: what comes out is what went in, or nothing.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use etcd_operator_shared::backup::Manifest;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use ring::digest::{Context, SHA256};
use zstd::stream::write::Decoder;

use crate::backup::{
    Failure,
    content::{Content, Whole, hex},
    store::Place,
};

/// What a decompressor may need in memory, as a power of two: more than level 3 ever uses.
const WINDOW: u32 = 23;

/// Where the decompressed bytes go.
struct Sink {
    file: File,
    content: Content,
    /// No more than this is written: a small object may claim to be a large file.
    most: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.content.bytes() + bytes.len() as u64 > self.most {
            return Err(io::Error::other("it holds more than its manifest says"));
        }
        let written = self.file.write(bytes)?;
        self.content.pass(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Fetches a backup's snapshot into a file.
///
/// # Errors
/// When it is not the one of the manifest, the store does not give it, or there is no room.
pub async fn fetch(place: &Place, manifest: &Manifest, to: &Path) -> Result<Whole, Failure> {
    let file = File::create(to).map_err(|error| Failure::file("the snapshot", &error))?;
    let sink = Sink { file, content: Content::default(), most: manifest.bytes.unsigned_abs() };
    let mut decoder = Decoder::new(sink).map_err(|error| Failure::failed("Failed", error.to_string()))?;
    decoder.window_log_max(WINDOW).map_err(|error| Failure::failed("Failed", error.to_string()))?;
    let (mut digest, mut bytes) = (Context::new(&SHA256), 0_u64);
    let mut pieces = data(place, manifest).await?.into_stream();
    // Before its digest is known to be right, what it holds is nobody's word: the first thing that is wrong is told.
    while let Some(piece) = pieces.try_next().await? {
        digest.update(&piece);
        bytes += piece.len() as u64;
        decoder.write_all(&piece).map_err(|error| unpacked(&error))?;
    }
    decoder.flush().map_err(|error| unpacked(&error))?;
    let digest = hex(digest.finish().as_ref());
    if bytes != manifest.stored_bytes.unsigned_abs() || digest != manifest.stored_digest {
        let (wanted, size) = (&manifest.stored_digest, manifest.stored_bytes);
        let message =
            format!("the store holds {bytes} bytes with SHA-256 {digest}, and {size} with {wanted} were stored");
        return Err(Failure::integrity("OtherBytes", message));
    }
    let Sink { file, content, most: _ } = decoder.into_inner();
    let whole = content.end()?;
    if whole.digest != manifest.digest || whole.bytes != manifest.bytes.unsigned_abs() {
        let message = format!("its digest is {}, and {} was taken", whole.digest, manifest.digest);
        return Err(Failure::integrity("OtherDigest", message));
    }
    file.sync_all().map_err(|error| Failure::file("the snapshot", &error))?;
    Ok(whole)
}

async fn data(place: &Place, manifest: &Manifest) -> Result<object_store::GetResult, Failure> {
    match place.store().get(&place.key(&manifest.data)?).await.map_err(Failure::from) {
        Err(Failure::NotFound(words)) => Err(Failure::integrity("DataMissing", format!("its data is gone: {words}"))),
        got => got,
    }
}

/// What the file system says, or what the decompressor says of the data.
fn unpacked(error: &io::Error) -> Failure {
    if error.raw_os_error().is_some() {
        Failure::file("the snapshot", error)
    } else {
        Failure::integrity("OtherBytes", format!("what the store holds cannot be unpacked: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{
        content::tests::snapshot, manifests::tests::manifest, store::tests::in_memory, upload::Upload,
    };

    /// A backup of this content as it was taken.
    async fn taken(place: &Place, content: &[u8]) -> Manifest {
        let mut manifest = manifest(1, 1, "once-a");
        let data = manifest.data.clone();
        let mut upload = Upload::begin(place, &data, 1 << 14).unwrap();
        upload.write(content).await.unwrap();
        let stored = upload.finish().await.unwrap();
        manifest.digest = hex(ring::digest::digest(&SHA256, content).as_ref());
        manifest.bytes = content.len() as i64;
        (manifest.stored_digest, manifest.stored_bytes) = (stored.digest, stored.bytes as i64);
        manifest
    }

    #[tokio::test]
    async fn what_was_taken_comes_back_byte_by_byte() {
        let (place, dir, content) = (in_memory(), tempfile::tempdir().unwrap(), snapshot(500));
        let manifest = taken(&place, &content).await;
        let file = dir.path().join("a");
        assert_eq!(fetch(&place, &manifest, &file).await.unwrap().digest, manifest.digest);
        assert_eq!(std::fs::read(file).unwrap(), content);
    }

    #[tokio::test]
    async fn whatever_was_changed_in_the_store_is_found() {
        let (dir, content) = (tempfile::tempdir().unwrap(), snapshot(500));
        let file = dir.path().join("a");
        let original = in_memory();
        let manifest = taken(&original, &content).await;
        let data = original.get(&manifest.data).await.unwrap().unwrap();
        let mut changed = data.to_vec();
        changed[data.len() / 2] ^= 1;
        let other = zstd::encode_all(&snapshot(501)[..], 3).unwrap();
        let bomb = zstd::encode_all(&vec![0_u8; 8 << 20][..], 3).unwrap();
        let half = data[..data.len() / 2].to_vec();
        for bad in [changed, other, bomb, half, vec![], [&data[..], b"more"].concat()] {
            let place = in_memory();
            place.put_once(&manifest.data, bad).await.unwrap();
            assert_eq!(fetch(&place, &manifest, &file).await.unwrap_err().code(), 5);
            assert!(std::fs::metadata(&file).unwrap().len() <= content.len() as u64, "never more than was said");
        }
        assert_eq!(fetch(&in_memory(), &manifest, &file).await.unwrap_err().reason(), "DataMissing");
        let lying = Manifest { digest: "0".repeat(64), ..manifest };
        assert_eq!(fetch(&original, &lying, &file).await.unwrap_err().reason(), "OtherDigest");
    }
}
