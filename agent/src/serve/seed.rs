//! Gives the members of a new life what was salvaged on this member's volume of the one before, until all have it.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{backup, process::probe};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Page,
    bytes::{self, Served},
};
use crate::{
    args,
    tls::{Bundle, server},
    volume::Store,
};

/// Between two tries: for a certificate, a port, or a disk.
const AGAIN: Duration = Duration::from_secs(1);

/// Serves it where there is any, and deletes it once all members are connected and caught up. What was salvaged of the
/// very life that goes on is of no use: that life has gone on.
pub async fn serve(config: args::Sidecar, store: Store, mut pages: watch::Receiver<Page>, ended: CancellationToken) {
    let (volume, own) = (store.clone(), config.incarnation);
    let found = loop {
        match spawn_blocking({
            let volume = volume.clone();
            move || volume.salvaged_before(own)
        })
        .await
        {
            Ok(Ok(None)) | Err(_) => return,
            Ok(Ok(Some(found))) => break found,
            Ok(Err(error)) => warn!(%error, "cannot see what was salvaged on this volume"),
        }
        sleep(AGAIN).await;
    };
    let done = ended.child_token();
    let serving = async {
        let Ok(Ok(served)) = spawn_blocking(move || Served::of(&found, None)).await else { return };
        let served = Arc::new(served);
        loop {
            match (acceptor(&config), probe::listen(backup::PORT).await) {
                (Ok(tls), Ok(listener)) => {
                    return bytes::serve(listener, Arc::clone(&served), tls, done.clone()).await;
                }
                (Err(why), _) => warn!(why, "what was salvaged cannot be served yet"),
                (_, Err(error)) => warn!(%error, "what was salvaged cannot be served yet"),
            }
            sleep(AGAIN).await;
        }
    };
    let all_have_it = async {
        // An error means that the sidecar ends.
        let _ = pages.wait_for(|page| page.health.settled).await;
    };
    tokio::select! {
        () = serving => {}
        () = all_have_it => {}
        () = ended.cancelled() => return,
    }
    done.cancel();
    if pages.borrow().health.settled {
        match spawn_blocking(move || store.clear_salvaged()).await {
            Ok(Ok(())) => info!("all members have what was salvaged: it is deleted here"),
            Ok(Err(error)) => warn!(%error, "cannot delete what was salvaged"),
            Err(_) => {}
        }
    }
}

fn acceptor(config: &args::Sidecar) -> Result<Option<TlsAcceptor>, String> {
    if !config.peer_tls {
        return Ok(None);
    }
    let bundle = Bundle::read(&config.tls).map_err(|error| error.to_string())?;
    let peer = bundle.and_then(|bundle| bundle.issued.peer).ok_or("there is no certificate yet")?;
    server::config(&peer.trust).map(TlsAcceptor::from).map(Some)
}
