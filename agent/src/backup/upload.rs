//! Data on its way into the store: compressed, in parts of one size, so that memory does not grow with it.

use std::io::Write;

use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use ring::digest::{Context, SHA256};

use super::{Failure, content::hex, store::Place};

/// Bytes of a part: a store takes 10,000 of them, and so 80 GB of compressed data. One is filled while none is under
/// way.
pub const PART: usize = 8 << 20;
/// The compressor hands out at most a block more at a time.
const SPARE: usize = 256 << 10;
/// As zstd's own tool has it.
const LEVEL: i32 = 3;

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 of the object, in hexadecimal.
    pub digest: String,
    pub bytes: u64,
}

/// An object that grows.
pub struct Upload<'a> {
    place: &'a Place,
    key: &'a str,
    part: usize,
    encoder: zstd::Encoder<'static, Vec<u8>>,
    digest: Context,
    bytes: u64,
    /// Begun with the first part that is full: what is smaller is put at once.
    parts: Option<Box<dyn MultipartUpload>>,
}

impl<'a> Upload<'a> {
    /// Begins one.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn begin(place: &'a Place, key: &'a str, part: usize) -> Result<Self, Failure> {
        let encoder =
            zstd::Encoder::new(Vec::with_capacity(part + SPARE), LEVEL).map_err(|error| compressed(&error))?;
        Ok(Self { place, key, part, encoder, digest: Context::new(&SHA256), bytes: 0, parts: None })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the store does not take a part.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.encoder.write_all(chunk).map_err(|error| compressed(&error))?;
        self.send_full().await
    }

    /// Stores the parts that are full.
    async fn send_full(&mut self) -> Result<(), Failure> {
        while self.encoder.get_ref().len() >= self.part {
            let waiting = self.encoder.get_mut();
            let mut next = Vec::with_capacity(self.part + SPARE);
            next.extend_from_slice(&waiting[self.part..]);
            let mut full = std::mem::replace(waiting, next);
            full.truncate(self.part);
            self.send(full).await?;
        }
        Ok(())
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<(), Failure> {
        self.count(&part);
        if self.parts.is_none() {
            let (store, key) = (self.place.store(), self.place.key(self.key)?);
            self.parts = Some(store.put_multipart(&key).await?);
        }
        match &mut self.parts {
            Some(parts) => Ok(parts.put_part(PutPayload::from(part)).await?),
            None => Ok(()),
        }
    }

    fn count(&mut self, part: &[u8]) {
        self.digest.update(part);
        self.bytes += part.len() as u64;
    }

    /// Stores what is left. The object is there when this returns.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn finish(mut self) -> Result<Stored, Failure> {
        self.encoder.do_finish().map_err(|error| compressed(&error))?;
        self.send_full().await?;
        let last = std::mem::take(self.encoder.get_mut());
        self.count(&last);
        match &mut self.parts {
            Some(parts) => {
                if !last.is_empty() {
                    parts.put_part(PutPayload::from(last)).await?;
                }
                parts.complete().await?;
            }
            None => drop(self.place.store().put(&self.place.key(self.key)?, PutPayload::from(last)).await?),
        }
        Ok(Stored { digest: hex(self.digest.finish().as_ref()), bytes: self.bytes })
    }

    /// Gives it up.
    pub async fn abort(self) {
        if let Some(mut parts) = self.parts {
            // What is left then is the store's to expire.
            let _ = parts.abort().await;
        }
    }
}

fn compressed(error: &std::io::Error) -> Failure {
    Failure::failed("Failed", format!("cannot compress: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::store::tests::in_memory;

    /// Bytes that cannot be compressed.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[tokio::test]
    async fn what_was_written_is_read_again_whether_it_is_one_part_or_many() {
        for (bytes, part) in [(10, 1 << 20), (3 << 20, 1 << 20), (1 << 20, 1 << 20), (0, 1 << 20)] {
            let (place, data) = (in_memory(), noise(bytes));
            let mut upload = Upload::begin(&place, "data/a", part).unwrap();
            for chunk in data.chunks(70_000) {
                upload.write(chunk).await.unwrap();
            }
            let stored = upload.finish().await.unwrap();
            let object = place.store().get(&place.key("data/a").unwrap()).await.unwrap().bytes().await.unwrap();
            assert_eq!(object.len() as u64, stored.bytes);
            assert_eq!(stored.digest, hex(ring::digest::digest(&SHA256, &object).as_ref()));
            assert_eq!(zstd::decode_all(&object[..]).unwrap(), data, "{bytes}");
        }
    }
}
