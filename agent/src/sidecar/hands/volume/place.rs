//! The rename that puts the data in place which a cluster begins with.

use std::io;

use super::{Disk, blocking};
use crate::crash;

impl Disk {
    /// Puts what was sealed in its place, on the volume as it was found in this turn: nothing of it may have changed
    /// since, and nothing may ever have run there.
    pub(in crate::sidecar) async fn place_restored(&mut self) -> Result<(), String> {
        let Some(read) = self.mark().cloned() else { return Err("the volume has no mark".into()) };
        let store = self.store.clone();
        crash::point("before-place");
        let outcome = blocking(move || {
            if store.read_mark()?.as_ref() != Some(&read) {
                return Err(io::Error::other("the mark on the volume is not the one that was read"));
            }
            if store.lived(&read.volume_id)? {
                return Err(io::Error::other("the member has run on this volume"));
            }
            store.place_restored()
        });
        let outcome = outcome.await.map_err(|error| error.to_string());
        crash::point("after-place");
        outcome
    }
}
