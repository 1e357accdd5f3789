//! Whether the other members let this one in, tried now and then: kept connections hide every fault of certificates
//! until they are cut.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::tls::{
    Identity,
    handshake::{Failed, with},
};

/// Between two rounds, while all let it in and while some do not.
const CALM: Duration = Duration::from_secs(60);
const TROUBLED: Duration = Duration::from_secs(10);
/// A change of certificates or addresses comes to all members at about the same time.
const SETTLES: Duration = Duration::from_secs(3);

/// Why members do not let this one in, by their names.
pub type Refusals = BTreeMap<String, String>;

/// Tries until the receiver of `told` is gone. `members`: their names and addresses.
pub async fn follow(
    mut identity: watch::Receiver<Option<Arc<Identity>>>,
    mut members: watch::Receiver<Vec<(String, String)>>,
    told: watch::Sender<Refusals>,
) {
    loop {
        let (who, others) = (identity.borrow_and_update().clone(), members.borrow_and_update().clone());
        let refusals = match &who {
            Some(identity) => round(identity, &others).await,
            None => Refusals::new(),
        };
        let calm = refusals.is_empty();
        told.send_if_modified(|before| {
            let changed = *before != refusals;
            *before = refusals;
            changed
        });
        let nap = if calm { CALM } else { TROUBLED };
        // All arms are cancel-safe: a change stays pending in its watch, a nap has no effect.
        tokio::select! {
            changed = identity.changed() => if changed.is_err() { return },
            changed = members.changed() => if changed.is_err() { return },
            () = sleep(nap) => continue,
        }
        sleep(SETTLES).await;
    }
}

async fn round(identity: &Identity, members: &[(String, String)]) -> Refusals {
    let mut refusals = Refusals::new();
    for (member, address) in members {
        let Ok(address) = address.parse::<IpAddr>() else { continue };
        match with(address, identity).await {
            Ok(()) | Err(Failed::Silent { .. }) => {}
            Err(failed @ (Failed::Refused { .. } | Failed::Other { .. })) => {
                refusals.insert(member.clone(), failed.to_string());
            }
        }
    }
    refusals
}
